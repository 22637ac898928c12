-- Ends an account's turn, whoever has it, by an operator's order. No ARGV of its own.
-- The former holder's process is told; the next in line is served.
local holder = redis.call('GET', LOCK)

if not holder then
	advance()
	return reply('unknown')
end
redis.call('DEL', LOCK)
forget(holder)
note_who(holder, string.format('removed %.0f', NOW)) -- so that it doesn't take it again
tell(holder, 'lost')
advance()
return reply('done')
