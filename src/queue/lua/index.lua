-- Notes that an account is in use, so that cleaning up needs no SCAN, and names those idle for longest while there
-- are too many. KEYS: the index, which may live in another slot than the accounts' keys. ARGV: account, most accounts.
-- Replies 1 if it is noted, and those names, each followed by its score. They get a new one, which is nobody's use (those are whole numbers): so
-- no other call names them too, one that can't be forgotten stands behind the others, and unindex.lua sees if it
-- was used again. Out of memory nothing can be noted, and room is made as well.
local MOST = 4

local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local full = type(redis.pcall('ZADD', KEYS[1], now, ARGV[1])) == 'table'
local over = full and MOST or math.min(redis.call('ZCARD', KEYS[1]) - ARGV[2], MOST)
local oldest, answer = {}, { full and 0 or 1 }

redis.call('PEXPIRE', KEYS[1], 86400000)
if over > 0 then
	oldest = redis.call('ZRANGE', KEYS[1], 0, over - 1, 'WITHSCORES')
end
for i = 1, #oldest, 2 do
	local score = oldest[i + 1]
	if not full then
		score = now .. '.5'
		redis.call('ZADD', KEYS[1], score, oldest[i])
	end
	answer[i + 1], answer[i + 2] = oldest[i], score
end
return answer
