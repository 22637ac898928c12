-- Notes that an account is in use, so that cleaning up needs no SCAN, and takes out those idle for
-- longest while there are too many. KEYS: the index, which may live in another slot than the
-- accounts' keys. ARGV: account, most accounts. Replies 1 if it is noted, and the names taken out:
-- the caller forgets them, or has them noted again. Two would do to stay below the limit. Out of
-- memory nothing can be noted, and room is made for more than one, as somebody was refused.
local MOST, MOST_WHEN_FULL = 4, 64

local t = redis.call('TIME')
local noted = redis.pcall('ZADD', KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000), ARGV[1])
local full = type(noted) == 'table'
local answer = { full and 0 or 1 }

redis.call('PEXPIRE', KEYS[1], 86400000)
local over = full and MOST_WHEN_FULL or math.min(redis.call('ZCARD', KEYS[1]) - ARGV[2], MOST)
local oldest = over > 0 and redis.call('ZRANGE', KEYS[1], 0, over - 1) or {}
for _, name in ipairs(oldest) do
	redis.call('ZREM', KEYS[1], name)
	answer[#answer + 1] = name
end
return answer
