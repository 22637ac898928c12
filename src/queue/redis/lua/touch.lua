-- Renews the leases of waiters of one process. ARGV: ..., their tickets.
-- Replies which of them has the turn, and behind that those that neither wait nor hold.
for i = 3, #ARGV do
	if redis.call('ZSCORE', WAIT, ARGV[i]) then
		renew_lease(ARGV[i])
	end
end
renew_queue()
advance()

local holder = redis.call('GET', LOCK)
local unknown = {}
for i = 3, #ARGV do
	if ARGV[i] == holder then
		granted_here = holder
	elseif not redis.call('ZSCORE', WAIT, ARGV[i]) then
		unknown[#unknown + 1] = ARGV[i]
	end
end
local answer = reply('touched')
for _, id in ipairs(unknown) do
	answer[#answer + 1] = id
end
return answer
