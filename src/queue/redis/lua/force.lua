-- Ends a turn of an account, whoever has it, by an operator's order. ARGV: ..., ticket, or "" for all.
-- The former holder's process is told; the next in line is served.
local function ends(id)
	if ARGV[3] ~= '' and ARGV[3] ~= id then
		return 0
	end
	count_start(record(id))
	end_seat(id)
	leave_line(id)
	put_end(id, 'removed') -- so that it doesn't take it again
	tell(id, 'lost')
	return 1
end

settle()
local lock, ended = redis.call('GET', LOCK), 0
for _, id in ipairs(redis.call('ZRANGE', SEATS, 0, -1)) do
	if id ~= lock then
		ended = ended + ends(id)
	end
end
if lock then
	ended = ended + ends(lock)
end
serve()
return reply(ended > 0 and 'done' or 'unknown', ended)
