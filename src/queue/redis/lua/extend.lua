-- Keeps a turn for another ttl where renew.lua can't: while a slot is on its way between two nodes
-- of a cluster, a script on several keys is done only where all of them are. KEYS: the lock. ARGV:
-- ticket, ttl in ms. Takes and hands on nothing; "gone" leaves it to renew.lua whether the turn can
-- be taken again.
local holder = redis.call('GET', KEYS[1])

if holder == ARGV[1] then
	redis.call('PEXPIRE', KEYS[1], ARGV[2])
	return { 'renewed', 0, '', 0, 0 }
end
return { holder and 'lost' or 'gone', 0, '', 0, 0 }
