-- Renews the leases of one process in an account in which it has waiters. ARGV: ..., how many turns it
-- has; each with its ttl in ms; its waiters.
-- The number replied is windows(). Behind the common part come the waiters that neither wait nor hold; and of
-- each turn its ticket, "renewed" or "lost", and as renew.lua does, why.
local turns = tonumber(ARGV[3])
local first_waiter = 4 + 2 * turns

notice_absence()
for i = first_waiter, #ARGV do
	if redis.call('ZSCORE', WAIT, ARGV[i]) then
		renew_lease(ARGV[i])
	end
end
renew_queue()
settle()
local kept = {}
for i = 4, first_waiter - 1, 2 do
	local has, why = keep_turn(ARGV[i], ARGV[i + 1], true)
	kept[#kept + 1] = ARGV[i]
	kept[#kept + 1] = has and 'renewed' or 'lost'
	kept[#kept + 1] = why or ''
end
serve()

local unknown = {}
granted_here = {} -- all that have a turn, also those of before
for i = first_waiter, #ARGV do
	local id = ARGV[i]
	if holds(id) then
		say_granted(id, record(id))
	elseif not redis.call('ZSCORE', WAIT, id) then
		unknown[#unknown + 1] = id
	end
end
local answer = reply('touched', windows())
answer[5], answer[6] = unknown, kept
return answer
