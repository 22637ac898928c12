-- Keeps a turn for another ttl, or confirms one that was handed over. ARGV: ..., ticket, ttl in ms.
-- Never takes one that was lost; but where Redis has lost its data (started anew, failed over) it
-- is taken again if it is free. WHO tells: it knows each ticket until it is given back, and
-- force.lua leaves a note there.
local id, ttl = ARGV[3], ARGV[4]
local holder = redis.call('GET', LOCK)
local held = holder == id

if held then
	redis.call('PEXPIRE', LOCK, ttl)
elseif not holder and redis.call('HEXISTS', WHO, id) == 0 and not redis.call('ZSCORE', WAIT, id) then
	held = not redis.pcall('SET', LOCK, id, 'PX', ttl).err
	if held then
		note_who(id, string.format('%.0f - %.0f', NOW, NOW))
	end
end
advance()
return reply(held and 'renewed' or 'lost')
