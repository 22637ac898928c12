-- Holds an account's new turns, or lets them go on. ARGV: ..., 1 or 0.
local was = paused()

if ARGV[3] == '1' then
	if not was then
		redis.call('SET', PAUSE, whole(NOW))
	end
	return reply('done')
end
redis.call('DEL', PAUSE)
settle()
serve()
return reply(was and 'done' or 'unknown')
