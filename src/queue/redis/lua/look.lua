-- One account, as view.lua says. ARGV: ..., most waiters, most turns.
local keys = { lock = LOCK, wait = WAIT, seats = SEATS, who = WHO, line = LINE, kept_at = KEPT_AT, times = TIMES,
	count = COUNT }

return view(keys, redis.call('GET', LOCK) or nil, redis.call('GET', LAST) or nil, redis.call('GET', PAUSE) or nil,
	NOW, tonumber(ARGV[3]), tonumber(ARGV[4]))
