-- Notes that an account is in use, so that cleaning up needs no SCAN. KEYS: the index, which may
-- live in another slot than the account's keys. ARGV: account.
local t = redis.call('TIME')

redis.call('ZADD', KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000), ARGV[1])
redis.call('PEXPIRE', KEYS[1], 86400000)
return 1
