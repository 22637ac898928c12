-- Keeps a turn for another ttl where renew.lua can't: while a slot is on its way between two nodes
-- of a cluster, a script on several keys is done only where all of them are. KEYS: the lock, or the
-- seats. ARGV: ticket, ttl in ms, "lock" or "seats". Takes and hands on nothing; "gone" leaves it to
-- renew.lua what has become of the turn.
local held

if ARGV[3] == 'lock' then
	held = redis.call('GET', KEYS[1]) == ARGV[1]
	if held then
		redis.call('PEXPIRE', KEYS[1], ARGV[2])
	end
else
	local t = redis.call('TIME')
	local now = t[1] * 1000 + math.floor(t[2] / 1000)
	local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
	held = ends and tonumber(ends) > now
	if held then
		redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
	end
end
return { held and 'renewed' or 'gone', 0, {}, 0 }
