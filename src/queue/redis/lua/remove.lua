-- Takes a waiter out of the line, by an operator's order. ARGV: ..., ticket.
-- Its process is told; if the message is lost it asks again at its next touch, and then hears it.
local id = ARGV[3]

advance()
if redis.call('GET', LOCK) == id then
	return reply('busy')
end
if not redis.call('ZSCORE', WAIT, id) then
	return reply('unknown')
end
forget(id)
note_who(id, string.format('removed %.0f', NOW))
tell(id, 'removed')
return reply('done')
