-- What an operator sees of an account; changes nothing. ARGV: ..., most waiters, most turns.
-- Replies holder, PTTL, last completion, paused since, waiters, who the holder is, now; a list of
-- the first waiters, each followed by who it is; and the latest turns, "<at> <wait> <hold>" in ms.
local most_waiters, most_turns = tonumber(ARGV[3]), tonumber(ARGV[4])
local holder = redis.call('GET', LOCK) or ''
local waiters = {}

for _, id in ipairs(redis.call('ZRANGE', WAIT, 0, most_waiters - 1)) do
	waiters[#waiters + 1] = id
	waiters[#waiters + 1] = redis.call('HGET', WHO, id) or ''
end
return {
	holder,
	redis.call('PTTL', LOCK),
	redis.call('GET', LAST) or '',
	redis.call('GET', PAUSE) or '',
	redis.call('ZCARD', WAIT),
	redis.call('HGET', WHO, holder) or '',
	NOW,
	waiters,
	most_turns > 0 and redis.call('LRANGE', TIMES, 0, most_turns - 1) or {},
}
