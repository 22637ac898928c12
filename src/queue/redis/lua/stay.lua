-- Renews leases of waiters where touch.lua can't, see extend.lua: on one key alone, the waiters'
-- leases or, without tickets, their places, whose own lives are prolonged as well. ARGV: the lease
-- in ms, tickets. Drops and promotes nobody, and who has lost its lease doesn't get it back.
local t = redis.call('TIME')
local ends = t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[1]

for i = 2, #ARGV do
	if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
		redis.call('ZADD', KEYS[1], ends, ARGV[i])
	end
end
redis.call('PEXPIRE', KEYS[1], C.REDIS_PLACES_MS)
return { 'stayed', 0, {}, 0 }
