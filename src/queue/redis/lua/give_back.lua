-- Ends a ticket's place or turn. ARGV: ..., ticket; "used", "unused", or "keep" to keep its place; seconds
-- to keep `last`; how long it waited and how long it held in ms; how long to keep its place in ms, under
-- which key, and how many places of the account at most.
-- The number replied says whether it had the turn; behind the common part, what had happened to it, or ''.
local id, how, keep_s = ARGV[3], ARGV[4], ARGV[5]

settle()
local r, text = record(id)
local held = holds(id)
local waits = redis.call('ZSCORE', WAIT, id)
local happened = r and r.broken or ''

if held then
	end_seat(id)
elseif text and not r then
	happened = string.match(text, '^lost %d+ (.*)$') or 'ended'
else
	happened = 'gone'
end

-- A short turn alone may be that of a key that somebody made up, and there is no end of those: it
-- is remembered no longer than `last` is. Out of memory, `n` is an error, and nothing remembered.
local function remember(waited, held_ms)
	local n = redis.pcall('LPUSH', TIMES, table.concat({ whole(NOW), waited, held_ms, r and r.share or '-' }, ' '))
	redis.call('LTRIM', TIMES, 0, C.LOCK_SAMPLES_MAX - 1)
	local ms = n == 1 and waited + held_ms < 1000 and PLACES_MS or C.LOCK_RECENT_MS
	redis.call('PEXPIRE', TIMES, ms)
	return ms
end

if held and how == 'used' then
	-- As long as the account's past is there, it is listed.
	local ms = remember(ARGV[6], ARGV[7])
	redis.pcall('SET', LAST, whole(NOW), 'PX', math.max(ms, keep_s * 1000))
	count_start(r)
elseif r and (held or waits) then
	-- Who leaves without having used a turn counts as well: else a line in which nobody lasts looks
	-- empty.
	local until_ms = math.min(tonumber(r.start) or NOW, NOW)
	remember(whole(math.max(until_ms - r.joined, 0)), '-1')
end
if how == 'keep' and r and (held or waits) then
	keep_place(ARGV[9], r, tonumber(ARGV[8]), tonumber(ARGV[10]))
end
forget(id)
serve()
local answer = reply('done', held and 1 or 0)
answer[5] = happened
return answer
