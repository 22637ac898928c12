-- Joins an account's queue. ARGV: ..., ticket, ttl in ms, most waiters, client's address, delay in
-- ms. Asking again for a ticket that waits or holds changes nothing but its lease.
-- An error leaves no trace: the lease goes in before the place, and a lease alone is dropped.
-- WHO gets "<joined> <client> - <delay>" while it waits, "<joined> <client> <start>" when it has
-- the turn (the delay included), "removed <when>" if an operator took it out of the line: until its
-- give-back, as its process may have asked more than once.
local id, ttl, max_waiting, client = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local delay = ARGV[7]
local joined = string.format('%.0f ', NOW) .. client .. ' '

advance()
local holder = redis.call('GET', LOCK)
if holder == id then
	redis.call('PEXPIRE', LOCK, ttl)
	return reply('granted')
end
local rank = redis.call('ZRANK', WAIT, id)
if rank then
	renew_lease(id)
	renew_queue()
	return reply('waiting', rank + 1)
end
if string.find(redis.call('HGET', WHO, id) or '', '^removed ') then
	return reply('removed')
end
local waiting = redis.call('ZCARD', WAIT)
if not holder and waiting == 0 and not paused() then
	redis.call('SET', LOCK, id, 'PX', ttl)
	note_who(id, joined .. start(delay))
	return reply('granted')
end
if waiting >= max_waiting then
	return reply('full')
end
local last = redis.call('ZREVRANGE', WAIT, 0, 0, 'WITHSCORES')[2]
renew_lease(id)
redis.call('ZADD', WAIT, tonumber(last or 0) + 1, id)
note_who(id, joined .. '- ' .. delay)
renew_queue()
return reply('waiting', waiting + 1)
