-- Forgets what is remembered of an account that nobody uses: its last completion and its latest
-- turns. No ARGV of its own. Who waits or holds, and a pause, keep it; so does WHO, by which
-- renew.lua tells what was taken away. It needs no advance(), as it changes nothing but where
-- nobody waits.
if redis.call('EXISTS', LOCK, WAIT, ALIVE, PAUSE, WHO) > 0 then
	return reply('kept')
end
redis.call('DEL', LAST)
redis.call('DEL', TIMES)
return reply('forgotten')
