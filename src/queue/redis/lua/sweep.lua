-- Cleans one account. ARGV: ..., whose, owners that are known to be dead.
-- A lock without a lease is nobody's: it is released. Tickets of the owners named are released.
-- `whose`: an instance, whose other boots are replied so that the caller can find out if they
-- live; '*', to release everybody's but the caller's; or '', to leave it at that.
-- Replies 1 if nothing is left, and behind the common part: locks without a lease, tickets
-- released, owners to find out about.
local whose = ARGV[3]
local dead, seen, owners = {}, {}, {}
local orphans, released = 0, 0

local function of_instance(o)
	return string.sub(o, 1, #whose + 1) == whose .. '.' and
		not string.find(o, '.', #whose + 2, true)
end

local function is_left_over(id)
	local o = owner(id)
	if o == ME then
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
local holder = redis.call('GET', LOCK)
if holder and redis.call('PTTL', LOCK) == -1 then
	redis.call('DEL', LOCK)
	orphans = 1
elseif holder and is_left_over(holder) then
	redis.call('DEL', LOCK)
end
if whose ~= '' or #ARGV > 3 then
	for _, id in ipairs(redis.call('ZRANGE', WAIT, 0, -1)) do
		if is_left_over(id) then
			forget_all(id)
		end
	end
end
advance()

-- Of holders that crashed, and of waiters removed whose process crashed as well.
local now_holds = redis.call('GET', LOCK)
for _, id in ipairs(redis.call('HKEYS', WHO)) do
	if id ~= now_holds and not redis.call('ZSCORE', WAIT, id) then
		local removed = string.match(redis.call('HGET', WHO, id), '^removed (%d+)')
		if not removed or NOW - removed > 4 * LEASE_MS then
			redis.call('HDEL', WHO, id)
		end
	end
end

-- While something is left it stays in the index, which bounds how much that is.
local idle = redis.call('EXISTS', LOCK, WAIT, PAUSE, LAST, TIMES) == 0
local answer = reply('swept', idle and 1 or 0)
answer[6], answer[7] = orphans, released
for _, o in ipairs(owners) do
	answer[#answer + 1] = o
end
return answer
