-- In front of look.lua and survey.lua: what an operator sees of an account; changes nothing.
-- `k`: its keys by kind; `lock`, `last`, `pause`: what these three have, or nil.
-- A view: last completion, paused since, waiters, kept places, turns that it may have, now; of each
-- holder its ticket, what is left of its lease as PTTL has it, who it is; of each of the first waiters
-- its ticket and who it is; the latest turns, "<at> <wait> <hold> <share>" in ms; of each share how many
-- wait; of a hold its kind, or '', for how long it is, in how many ms it ends, and the next may ask, how
-- often the upstream refused; and the same of each family of models. All lists are text.
local function view_holders(k, lock, now)
	local list, found = {}, {}
	local seats = redis.call('ZRANGE', k.seats, 0, -1, 'WITHSCORES')
	for i = 1, #seats, 2 do
		found[seats[i]] = seats[i + 1] - now
	end
	if lock then
		found[lock] = redis.call('PTTL', k.lock)
	end
	for id, left in pairs(found) do
		list[#list + 1] = id
		list[#list + 1] = string.format('%.0f', left)
		list[#list + 1] = redis.call('HGET', k.who, id) or ''
	end
	return list
end

local function limit_names(limit)
	local names = { 'kind', 'since', 'until', 'probe', 'said', 'refusals' }
	for i, name in ipairs(names) do
		names[i] = 'limit_' .. name .. limit
	end
	return names
end

-- Of what limit_names() names.
local function view_limit(f, now)
	if not f[1] then
		return { '', '0', '0', '0', '0' }
	end
	local list = { f[1], now - (f[2] or now) }
	for i = 3, 4 do
		list[i] = (f[i] or now) - math.max(now, f[5] or 0)
	end
	for i = 2, 4 do
		list[i] = string.format('%.0f', list[i])
	end
	list[5] = f[6] or '1'
	return list
end

-- Of families mostly none is: an empty list.
local function view_limits(k, now)
	local names = limit_names('')
	names[#names + 1] = 'limit_families'
	local f, of_families = redis.call('HMGET', k.line, unpack(names)), {}
	local families = tonumber(f[#names] or 0) or 0
	for i = 0, families > 0 and C.LIMIT_FAMILIES - 1 or -1 do
		local is_held = math.floor(families / 2 ^ i) % 2 == 1
		local of_one = is_held and redis.call('HMGET', k.line, unpack(limit_names(':' .. 2 ^ i))) or {}
		for _, text in ipairs(view_limit(of_one, now)) do
			of_families[#of_families + 1] = text
		end
	end
	return view_limit(f, now), of_families
end

local function view(k, lock, last, pause, now, most_waiters, most_turns)
	local waiters, waiting, kept = {}, redis.call('ZCARD', k.wait), 0
	local holders = view_holders(k, lock, now)
	local turns, samples, shares = 0, {}, {}

	if waiting > 0 then
		for _, id in ipairs(redis.call('ZRANGE', k.wait, 0, most_waiters - 1)) do
			waiters[#waiters + 1] = id
			waiters[#waiters + 1] = redis.call('HGET', k.who, id) or ''
		end
	end
	if waiting > 0 or #holders > 0 or most_turns > 0 then
		turns = tonumber(redis.call('HGET', k.line, 'turns') or 0)
		kept = redis.call('ZCOUNT', k.kept_at, '(' .. now, '+inf')
	end
	if most_turns > 0 then
		samples = redis.call('LRANGE', k.times, 0, most_turns - 1)
		shares = redis.call('HGETALL', k.count)
	end
	return { last or '', pause or '', waiting, kept, turns, now, holders, waiters, samples, shares,
		view_limits(k, now) }
end
