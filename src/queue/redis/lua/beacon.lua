-- Keeps what a process says of itself for surveys. KEYS: the notes' index, the note. ARGV: the
-- process, its note, how long to keep it in ms.
local t = redis.call('TIME')
local NOW = t[1] * 1000 + math.floor(t[2] / 1000)

redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[1], NOW, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', NOW - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
