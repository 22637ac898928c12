-- Drops an idle account from the index. KEYS: the index. ARGV: account.
-- Who uses an account notes it every 30 s, so one noted lately may be in use again.
local t = redis.call('TIME')
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])

if at and t[1] * 1000 - tonumber(at) > 60000 then
	return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
