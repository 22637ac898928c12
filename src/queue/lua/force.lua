-- Ends an account's turn, whoever has it, by an operator's order. No ARGV of its own.
-- The former holder's process is told; the next in line is served.
local holder = redis.call('GET', LOCK)

if not holder then
	advance()
	return reply('unknown')
end
redis.call('DEL', LOCK)
forget_all(holder)
tell(holder, 'lost')
advance()
return reply('done')
