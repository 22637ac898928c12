-- Ends a ticket's place or turn. ARGV: ..., ticket, 1 if the turn was used, seconds to keep `last`, how long
-- it waited and how long it held in ms.
-- The number replied says whether it had the turn.
local id, completed, keep_s = ARGV[3], ARGV[4], ARGV[5]
local held = redis.call('GET', LOCK) == id

if held then
	redis.call('DEL', LOCK)
	if completed == '1' then
		redis.pcall('SET', LAST, string.format('%.0f', NOW), 'EX', keep_s)
		redis.pcall('LPUSH', TIMES, string.format('%.0f ', NOW) .. ARGV[6] .. ' ' .. ARGV[7])
		redis.call('LTRIM', TIMES, 0, 511)
		redis.call('PEXPIRE', TIMES, 300000)
	end
end
forget_all(id)
advance()
return reply('done', held and 1 or 0)
