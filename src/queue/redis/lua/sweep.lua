-- Cleans one account. ARGV: ..., whose, owners that are known to be dead.
-- A lock without a lease is nobody's: it is released. Tickets of the owners named are released.
-- `whose`: an instance, whose other boots are replied so that the caller can find out if they
-- live; '*', to release everybody's but the caller's; or '', to leave it at that.
-- Replies 1 if nothing is left, and behind the common part: locks without a lease, tickets
-- released, the caller's tickets, owners to find out about. What of its tickets it doesn't know, a new
-- master has copied, though it has ended meanwhile: the caller gives it back.
local whose = ARGV[3]
local dead, mine, seen, owners = {}, {}, {}, {}
local orphans, released = 0, 0

local function of_instance(o)
	return string.sub(o, 1, #whose + 1) == whose .. '.' and
		not string.find(o, '.', #whose + 2, true)
end

local function is_left_over(id)
	local o = owner(id)
	if o == ME then
		mine[#mine + 1] = id
		return false
	end
	if dead[o] or whose == '*' then
		released = released + 1
		return true
	end
	if whose ~= '' and of_instance(o) and not seen[o] then
		seen[o] = true
		owners[#owners + 1] = o
	end
	return false
end

for i = 4, #ARGV do
	dead[ARGV[i]] = true
end
local lock = redis.call('GET', LOCK)
if lock and redis.call('PTTL', LOCK) == -1 then
	redis.call('DEL', LOCK)
	orphans, lock = 1, nil
end
settle()
local held = redis.call('ZRANGE', SEATS, 0, -1)
if lock and not redis.call('ZSCORE', SEATS, lock) then
	held[#held + 1] = lock
end
for _, id in ipairs(held) do
	if is_left_over(id) then
		end_seat(id)
		forget(id)
	end
end
for _, id in ipairs(redis.call('ZRANGE', WAIT, 0, -1)) do
	if is_left_over(id) then
		forget(id)
	end
end
serve()

-- Of holders that crashed, and of those who lost or were removed, and whose process crashed as well.
for _, id in ipairs(redis.call('HKEYS', WHO)) do
	if not holds(id) and not redis.call('ZSCORE', WAIT, id) then
		local ended = string.match(redis.call('HGET', WHO, id), '^%a+ (%d+)')
		if not ended or NOW - ended > 4 * LEASE_MS then
			redis.call('HDEL', WHO, id)
		end
	end
end
if redis.call('EXISTS', WAIT) == 1 then
	count_shares()
end
drop_old_kept()

-- While something is left it stays in the index, which bounds how much that is.
local idle = redis.call('EXISTS', LOCK, SEATS, WAIT, PAUSE, LAST, TIMES, KEPT) == 0 and not is_limited()
local answer = reply('swept', idle and 1 or 0)
answer[5], answer[6], answer[7] = orphans, released, mine
for _, o in ipairs(owners) do
	answer[#answer + 1] = o
end
return answer
