-- Forgets what is remembered of an account that nobody uses: its last completion and its latest
-- turns. No ARGV of its own. Who waits or holds, a pause, a limit and kept places keep it; so does WHO,
-- by which keep_turn() tells what was taken away. It needs no serve(), as it changes nothing but where
-- nobody waits.
if redis.call('EXISTS', LOCK, WAIT, ALIVE, PAUSE, WHO, SEATS, KEPT) > 0 or is_limited() then
	return reply('kept')
end
redis.call('DEL', LAST, TIMES, LINE, SHARES, COUNT)
return reply('forgotten')
