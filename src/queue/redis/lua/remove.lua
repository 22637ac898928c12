-- Takes a waiter out of the line, by an operator's order. ARGV: ..., ticket.
-- Its process is told; if the message is lost it asks again at its next touch, and then hears it.
local id = ARGV[3]

settle()
serve()
if holds(id) then
	return reply('busy')
end
if not redis.call('ZSCORE', WAIT, id) then
	return reply('unknown')
end
leave_line(id)
put_end(id, 'removed')
tell(id, 'removed')
serve()
return reply('done')
