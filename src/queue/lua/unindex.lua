-- Drops an idle account from the index. KEYS: the index. ARGV: account, the score that index.lua gave it, if it did.
-- With that, it is dropped unless it was used since. Without: who uses an account notes it every 30 s, so one noted
-- lately may be in use again.
local t = redis.call('TIME')
local at = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '')
local idle = at and t[1] * 1000 - at > 60000

if ARGV[2] then
	idle = at == tonumber(ARGV[2])
end
return idle and redis.call('ZREM', KEYS[1], ARGV[1]) or 0
