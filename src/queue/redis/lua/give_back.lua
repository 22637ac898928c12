-- Ends a ticket's place or turn. ARGV: ..., ticket, 1 if the turn was used, seconds to keep `last`,
-- how long it waited and how long it held in ms.
-- The number replied says whether it had the turn.
local id, completed, keep_s = ARGV[3], ARGV[4], ARGV[5]
local held = redis.call('GET', LOCK) == id

-- A short turn alone may be that of a key that somebody made up, and there is no end of those: it
-- is remembered no longer than `last` is. Out of memory, `n` is an error, and nothing remembered.
local function remember(waited, held_ms)
	local n = redis.pcall('LPUSH', TIMES, string.format('%.0f ', NOW) .. waited .. ' ' .. held_ms)
	redis.call('LTRIM', TIMES, 0, 511)
	redis.call('PEXPIRE', TIMES, n == 1 and waited + held_ms < 1000 and 60000 or 300000)
end

-- Who leaves without having used a turn counts as well: else a line in which nobody lasts looks
-- empty.
local function remember_left()
	local joined, begins = string.match(redis.call('HGET', WHO, id) or '', '^(%d+) %S* ?(%d*)')
	if joined then
		local until_ms = math.min(tonumber(begins) or NOW, NOW)
		remember(string.format('%.0f', math.max(until_ms - joined, 0)), '-1')
	end
end

if held then
	redis.call('DEL', LOCK)
end
if held and completed == '1' then
	redis.pcall('SET', LAST, string.format('%.0f', NOW), 'EX', keep_s)
	remember(ARGV[6], ARGV[7])
elseif held or redis.call('ZSCORE', WAIT, id) then
	remember_left()
end
forget_all(id)
advance()
return reply('done', held and 1 or 0)
