-- Joins an account's line. ARGV: ..., ticket, ttl in ms, most waiters, most of its share (0: no limit),
-- turns, interval in ms, client's address, delay in ms, share, mark, session, the share that it is
-- ordered as, weight, by how many rounds it yields, key of a kept place, what was replied about a place
-- that it had, the families of models that it is for. "-": none. Asking again for a ticket that waits or
-- holds changes nothing but its lease.
-- Replies, behind the common part, a waiter's "<rank> <S> <era>", or ''; 1 if its place was a kept one; 1 if
-- its turn is a probe; windows(); and of each window that is spent, whomever it concerns, the family that it
-- is of, or 0, its end, in how many ms that is, and what the upstream said.
-- An error leaves no trace: the lease goes in before the place, and a lease alone is dropped.
local id, ttl, most, most_of_share = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local as, weight, yields, keep_key = ARGV[14], tonumber(ARGV[15]), tonumber(ARGV[16]), ARGV[17]
local families = tonumber(ARGV[19])
local had_rank, had_start, had_era = string.match(ARGV[18], '^(%S+) (%S+) (%S+)$')

-- It had a place, and has lost it: it gets the same rank. If Redis has lost the whole line, that begins
-- again where those who come back were, and nobody gets a turn until all of them have been heard, which
-- takes a touch.
local function rejoin()
	had_rank, had_start = tonumber(had_rank), tonumber(had_start)
	if line.era ~= had_era then
		set_line('era', had_era)
		set_line('v', exact(math.max(number('v'), had_start)))
		set_line('gather', whole(NOW + C.REDIS_GATHER_MS))
	end
	local ahead = had_rank - had_start -- whole rounds that it yields, or had to at a place that was kept, and its seq
	local seq = math.floor((ahead - math.floor(ahead)) * 2 ^ 32 + 0.5)
	set_line('seq', whole(math.max(number('seq'), seq)))
	local finish = had_start + 1 / weight
	if finish > math.max(number('v'), tonumber(redis.call('ZSCORE', SHARES, as) or '') or 0) then
		redis.call('ZADD', SHARES, exact(finish), as)
	end
	return had_rank, had_start
end

local came_back = 0

-- Where it is, in the line or in a turn.
local function answer()
	local position, a = redis.call('ZRANK', WAIT, id), nil
	if position then
		renew_queue()
		local r = record(id)
		a = reply('waiting', position + holders)
		a[5], a[7] = r and table.concat({ r.rank, r.S, line.era }, ' ') or '', 0
	else
		keep_turn(id, ttl)
		local r = record(id)
		a = reply('granted', start_in(r))
		a[5], a[7] = '', r and r.probe and 1 or 0
	end
	a[6] = came_back
	a[8] = windows()
	for _, limit in ipairs(limits()) do
		if window_end(limit) > 0 then
			a[#a + 1] = tonumber(string.match(limit, '%d+') or 0)
			a[#a + 1] = window_end(limit)
			a[#a + 1] = limit_left('until', limit)
			a[#a + 1] = redis.call('HGET', LINE, 'refusal' .. limit) or ''
		end
	end
	return a
end

set_line('era', line.era or whole(NOW))
set_line('turns', ARGV[7])
set_line('interval', ARGV[8])
set_line('ttl', whole(math.max(number('ttl'), ttl)))
notice_absence()
if redis.call('ZSCORE', WAIT, id) then
	renew_lease(id)
end
settle()
serve()
if redis.call('ZSCORE', WAIT, id) or holds(id) then
	return answer()
end
if string.find(redis.call('HGET', WHO, id) or '', '^removed ') then
	return reply('removed')
end
local waiting = redis.call('ZCARD', WAIT)
local free = waiting == 0 and is_free() and not overlap(families, barred_families())
if not free and (waiting >= most or is_share_full(ARGV[11], most_of_share)) then
	return reply('full')
end

local rank, start = take_kept(keep_key)
if rank then
	came_back = 1
elseif had_rank then
	rank, start = rejoin()
else
	rank, start = join(as, weight, yields)
end
local r = { joined = whole(NOW), client = ARGV[9], delay = ARGV[10], ttl = ttl, share = ARGV[11], mark = ARGV[12],
	session = ARGV[13], rank = exact(rank), S = exact(start), weight = ARGV[15],
	families = families > 0 and ARGV[19] or nil }
if free and is_free() then -- not if Redis has lost the line, see rejoin()
	take_seat(id, ttl, r)
	begin(id, r)
else
	renew_lease(id)
	redis.call('ZADD', WAIT, r.rank, id)
	look_again_at(r.rank)
	count_share(r.share, 1)
	put_record(id, r)
	serve() -- it may be before one in a grace
end
return answer()
