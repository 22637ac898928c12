-- Keeps a turn for another ttl. ARGV: ..., ticket, ttl in ms. Never takes one that was lost.
local id, ttl = ARGV[3], ARGV[4]
local held = redis.call('GET', LOCK) == id

if held then
	redis.call('PEXPIRE', LOCK, ttl)
end
advance()
return reply(held and 'renewed' or 'lost')
