-- In front of every script on an account. Its keys, then ARGV: the key prefix and the process that
-- asks ("<instance>.<boot>"), then the script's own. C.NAME is a number of a C header: embed.py.
--
-- Whatever a script does, it makes the facts agree: settle() before, so that nobody who is dead waits or
-- holds; serve() behind, so that while a turn is free the first waiter has it. So no wake-up can be
-- forgotten.
--
--      LOCK    the first seat: a ticket, for as long as its lease. The relay's own lock has this form
--      SEATS   all who hold a turn, the one in LOCK included, by the end of their leases
--      WAIT    all who wait, by rank; ALIVE: by the end of their leases
--      WHO     what a ticket is, see record(), from its enter to its give-back
--      LINE    numbers of the line, see `line`; SHARES: where each share's next request starts (F);
--              COUNT: how many of each share wait
--      KEPT    places of those who have left and may come back; KEPT_AT: the same, by their end
--      LAST    the last completion; TIMES: the latest turns; PAUSE: while it is there nobody gets one
--
-- Redis 5 or later: scripts replicate their effects, so reading the clock before writing is fine.
local LOCK, LAST, WAIT, ALIVE, PAUSE, WHO, TIMES = unpack(KEYS, 1, 7)
local SEATS, LINE, SHARES, COUNT, KEPT, KEPT_AT = unpack(KEYS, 8, 13)
local PREFIX, ME = ARGV[1], ARGV[2]

local LEASE_MS, CONFIRM_MS, PLACES_MS = C.REDIS_LEASE_MS, C.REDIS_CONFIRM_MS, C.REDIS_PLACES_MS

local t = redis.call('TIME')
local NOW = t[1] * 1000 + math.floor(t[2] / 1000)

-- What the asking process hears: its tickets that have a turn now, each followed by when it starts
-- in ms, and 1 if it is a probe; how many waiters were taken for dead.
local granted_here, dropped = {}, 0
local holders -- how many have a turn; see settle_seats()

local function whole(x)
	return string.format('%.0f', x)
end

local function exact(x)
	return string.format('%.17g', x)
end

-- "<instance>.<boot>:<uuid>" -> "<instance>.<boot>"; '' for tickets of other programs.
local function owner(id)
	return string.match(id, '^(.*):') or ''
end

-- A hint only: where publishing is forbidden, its next touch or renewal finds out.
local function tell(id, text)
	redis.pcall('PUBLISH', PREFIX .. ':' .. owner(id), id .. ' ' .. text)
end

local function paused()
	return redis.call('EXISTS', PAUSE) == 1
end

-- --- the numbers of the line --------------------------------------------------------------------

-- era: when the line was made; v: its virtual time; seq: how many have joined; turns, interval: of the
-- latest who joined, in force for all; ttl: the longest lease; begun: the latest start of a turn that is
-- over; first: who has LOCK; grace, gather: see notice_absence() and rejoin(); counted: when COUNT was
-- checked; kept_until: when the last kept place is over; limit_*: of a hold, see LIMIT_FIELDS;
-- limit_families: of which families of models there is one, too; easing: so many turns more begin apart, as a
-- hold has just ended; passed, passed_by, passed_at: see first(). All
-- as text.
local LINE_FIELDS = { 'era', 'v', 'seq', 'turns', 'interval', 'ttl', 'begun', 'first', 'grace', 'gather', 'counted',
	'kept_until', 'limit_kind', 'limit_since', 'limit_until', 'limit_probe', 'limit_refusals', 'limit_said',
	'limit_families', 'easing', 'passed', 'passed_by', 'passed_at' }
local line, line_changes = {}, {}

local function read_line(names)
	for i, value in ipairs(redis.call('HMGET', LINE, unpack(names))) do
		line[names[i]] = value or nil
	end
end
read_line(LINE_FIELDS)

local function set_line(name, value)
	if line[name] ~= value then
		line[name] = value
		line_changes[name] = true
	end
end

local function number(name)
	return tonumber(line[name] or '') or 0
end

-- --- families of models: a number, a bit for each (request/limits.h) ------------------------------

local function has(families, bit)
	return math.floor(families / bit) % 2 == 1
end

-- A process of another version may know more of them than this one.
local function bits(families)
	local list = {}
	for i = 0, families > 0 and 31 or -1 do
		if has(families, 2 ^ i) then
			list[#list + 1] = 2 ^ i
		end
	end
	return list
end

local function overlap(families, others)
	for _, bit in ipairs(bits(families)) do
		if has(others, bit) then
			return true
		end
	end
	return false
end

-- --- which limits of the upstream there are: hold.h has the rule ---------------------------------

-- The numbers of a limit in LINE: 'limit_kind' and so on of the account's own; of that of a family
-- 'limit_kind:1', behind ':' its bit. That end, '' or ':1', is what a limit is named by here. said: when the
-- upstream said so last. What it said is in 'refusal', 'refusal:1'.
local LIMIT_FIELDS = { 'kind', 'since', 'until', 'probe', 'refusals', 'said' }

for _, bit in ipairs(bits(number('limit_families'))) do
	local names = {}
	for i, name in ipairs(LIMIT_FIELDS) do
		names[i] = 'limit_' .. name .. ':' .. bit
	end
	read_line(names)
end

-- Those that there are; with `families`: that concern a request for these.
local function limits(families)
	local list = { line.limit_kind and '' }
	for _, bit in ipairs(bits(number('limit_families'))) do
		if not families or has(families, bit) then
			list[#list + 1] = ':' .. bit
		end
	end
	return list
end

local function is_limited(families)
	return #limits(families) > 0
end

-- In how many ms 'until' or 'probe' of a limit is due.
local function limit_left(name, limit)
	return number('limit_' .. name .. limit) - NOW
end

local function line_life()
	local until_ms = math.max(number('kept_until'), NOW)
	for _, limit in ipairs(limits()) do
		until_ms = math.max(until_ms, number('limit_until' .. limit))
	end
	return PLACES_MS + math.min(until_ms - NOW, C.HOLD_MAX_MS)
end

local function save_line()
	local changes = {}
	for name in pairs(line_changes) do
		if line[name] then
			changes[#changes + 1] = name
			changes[#changes + 1] = line[name]
		else
			redis.call('HDEL', LINE, name)
		end
	end
	if #changes > 0 then
		redis.call('HSET', LINE, unpack(changes))
		redis.call('PEXPIRE', LINE, line_life())
	end
end

-- --- what a ticket is ----------------------------------------------------------------------------

-- One value, which is written and read only here, and read by view.c. All fields are text without
-- blanks; one that isn't there is nil, and "-" in the record. `given` is when it got a turn, and
-- `start` when that begins, the delay included; until then there are none. `broken`: what
-- happened to its turn that others may have had one beside it; `probe`: the account was held then, or a
-- family of models that it is for. `families`: these.
--
-- The version in front: 3 with families, 2 without them. A process of before families takes version 3 for one
-- of version 1, and serves it; so what it has written itself isn't put down in a form that it doesn't know.
local RECORD_FIELDS = { 'joined', 'client', 'given', 'start', 'delay', 'ttl', 'share', 'mark', 'session',
	'rank', 'S', 'weight', 'broken', 'probe', 'families' }
local RECORD_2 = '^2' .. string.rep(' (%S+)', #RECORD_FIELDS - 1) .. '$'
local RECORD_3 = '^3' .. string.rep(' (%S+)', #RECORD_FIELDS) .. '$'

-- Nil if there is none in this form; and its text. Other texts are of version 1, or an end().
local function record(id)
	local text = redis.call('HGET', WHO, id)
	local form = string.sub(text or '', 1, 1) == '3' and RECORD_3 or RECORD_2
	local values = { string.match(text or '', form) }
	if #values == 0 then
		return nil, text
	end
	local r = {}
	for i, name in ipairs(RECORD_FIELDS) do
		r[name] = values[i] ~= '-' and values[i] or nil
	end
	return r, text
end

local function families_of(r)
	return tonumber(r and r.families or '') or 0
end

-- Out of memory nobody knows who it is, and that is all.
local function put_who(id, text)
	redis.pcall('HSET', WHO, id, text)
	redis.pcall('PEXPIRE', WHO, 86400000)
end

local function put_record(id, r)
	local text = r.families and '3' or '2'
	for i = 1, r.families and #RECORD_FIELDS or #RECORD_FIELDS - 1 do
		text = text .. ' ' .. (r[RECORD_FIELDS[i]] or '-')
	end
	put_who(id, text)
end

-- Of a ticket whose record was evicted: it may be for any family.
local function blank_record()
	return { joined = whole(NOW), delay = '0', ttl = whole(CONFIRM_MS), rank = line.v or '0', S = line.v or '0',
		weight = '1', families = whole(2 ^ 32 - 1) }
end

-- The same, of one that has a turn.
local function blank_turn()
	local r = blank_record()
	r.given, r.start = r.joined, r.joined
	return r
end

-- What is left of a ticket that has lost its place or turn, until its give-back, as its process may
-- have asked more than once: "removed <when>" by an operator, "lost <when> <why>".
local function put_end(id, what, why)
	put_who(id, what .. ' ' .. whole(NOW) .. (why and ' ' .. why or ''))
end

-- --- rank: order.h has the rule ------------------------------------------------------------------

local function join(as, weight, yields)
	local start = math.max(number('v'), tonumber(redis.call('ZSCORE', SHARES, as) or '') or 0)
	redis.call('ZADD', SHARES, exact(start + 1 / weight), as)
	redis.call('ZREMRANGEBYRANK', SHARES, 0, -C.ORDER_SHARES_MAX - 1)
	set_line('seq', whole(number('seq') + 1))
	return start + yields + number('seq') * 2 ^ -32, start
end

local function turn(start, weight, waiting)
	local step = math.min(1, 1 / weight) / math.max(C.ORDER_STEPS_MIN, waiting)
	set_line('v', exact(math.max(number('v') + step, start)))
	if waiting > 0 then
		redis.call('ZREMRANGEBYSCORE', SHARES, '-inf', line.v)
	else
		redis.call('DEL', SHARES, COUNT)
	end
end

-- --- places --------------------------------------------------------------------------------------

local function count_share(share, n)
	if share and redis.call('HINCRBY', COUNT, share, n) <= 0 then
		redis.call('HDEL', COUNT, share)
	end
end

-- Ends its place. `r`: its record, if that has been read.
local function leave_line(id, r)
	redis.call('ZREM', ALIVE, id)
	if redis.call('ZREM', WAIT, id) == 1 then
		r = r or record(id)
		count_share(r and r.share, -1)
	end
end

local function forget(id)
	leave_line(id)
	redis.call('HDEL', WHO, id)
end

-- COUNT may have been evicted, or processes of version 1 may have dropped some: before anybody is
-- refused for its sake it is counted anew, though not more often than once a second.
local function count_shares()
	redis.call('DEL', COUNT)
	for _, id in ipairs(redis.call('ZRANGE', WAIT, 0, -1)) do
		local r = record(id)
		count_share(r and r.share, 1)
	end
	set_line('counted', whole(NOW))
end

local function is_share_full(share, most)
	local function full()
		return (tonumber(redis.call('HGET', COUNT, share) or '') or 0) >= most
	end
	if most > 0 and (full() or redis.call('EXISTS', COUNT) == 0) and math.abs(NOW - number('counted')) > 1000 then
		count_shares()
	end
	return most > 0 and full()
end

local function renew_lease(id, ms)
	redis.call('ZADD', ALIVE, NOW + (ms or LEASE_MS), id)
end

-- When all processes die at once nobody is left to drop their places.
local function renew_queue()
	for _, key in ipairs({ WAIT, ALIVE, SHARES, COUNT }) do
		redis.call('PEXPIRE', key, PLACES_MS)
	end
	redis.call('PEXPIRE', LINE, line_life())
end

-- If nobody who waits has been heard for as long as nobody can be silent who lives, it was Redis that
-- was away, or frozen, or all of them together. Then they have a grace, in which nobody gets a turn
-- whose process hasn't been heard since. All who are graced have this one end of a lease, so it is seen
-- if nobody was heard since, and it isn't given twice. Before anybody's lease is renewed.
local function notice_absence()
	local last = redis.call('ZRANGE', ALIVE, -1, -1, 'WITHSCORES')[2]
	if last and tonumber(last) < NOW + LEASE_MS - 2 * C.REDIS_TOUCH_MS and last ~= line.grace then
		set_line('grace', whole(NOW + CONFIRM_MS))
		for _, id in ipairs(redis.call('ZRANGE', ALIVE, 0, -1)) do
			renew_lease(id, CONFIRM_MS)
		end
	end
end

-- Those whose lease is over are dead.
local function drop_dead()
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', ALIVE, '-inf', NOW)) do
		forget(id)
		dropped = dropped + 1
	end
	-- Leases from before the clock was set back would last too long.
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', ALIVE, '(' .. (NOW + LEASE_MS), '+inf')) do
		renew_lease(id)
	end
end

-- --- limits of the upstream: hold.h has the rule ------------------------------------------------

-- If the clock was set back since the upstream said so, it begins anew.
local function settle_limits()
	for _, limit in ipairs(limits()) do
		local ahead = number('limit_said' .. limit) - NOW
		for _, name in ipairs(ahead > 0 and { 'since', 'until', 'probe', 'said' } or {}) do
			set_line('limit_' .. name .. limit, whole(number('limit_' .. name .. limit) - ahead))
		end
	end
end

-- Whether somebody may begin, where nobody may while the account is held but one alone that asks.
local function limit_allows()
	return not line.limit_kind or holders == 0 and limit_left('probe', '') <= 0
end

-- Whether somebody has a turn that is for a family.
local function is_held_for(bit)
	local lock = redis.call('GET', LOCK)
	for _, id in ipairs(redis.call('ZRANGE', SEATS, 0, -1)) do
		if has(families_of(record(id)), bit) then
			return true
		end
	end
	return lock and has(families_of(record(lock)), bit)
end

-- The families of which nobody may begin: they are held, and not to be asked about yet, or that is done now.
local function barred_families()
	local families = 0
	for _, bit in ipairs(bits(number('limit_families'))) do
		if limit_left('probe', ':' .. bit) > 0 or is_held_for(bit) then
			families = families + bit
		end
	end
	return families
end

-- The end of a window that is longer than anybody may want to wait, for those who do; 0: it is none.
local function window_end(limit)
	return line['limit_kind' .. limit] == 'quota' and limit_left('until', limit) > 0 and
		number('limit_until' .. limit) or 0
end

-- What changes with each window that is spent: the sum of their ends; 0: there is none.
local function windows()
	local sum = 0
	for _, limit in ipairs(limits()) do
		sum = sum + window_end(limit)
	end
	return sum
end

-- --- who is next -----------------------------------------------------------------------------------

-- How many at the head of the line are known to be of barred families: it is looked through from its
-- head once a second, or where others are barred.
local function count_passed(barred)
	if line.passed and line.passed_by == whole(barred) and math.abs(NOW - number('passed_at')) < 1000 then
		return redis.call('ZCOUNT', WAIT, '-inf', '(' .. line.passed)
	end
	set_line('passed_by', whole(barred))
	set_line('passed_at', whole(NOW))
	return 0
end

-- One has joined, maybe in front of those.
local function look_again_at(rank)
	if line.passed and number('passed') > tonumber(rank) then
		set_line('passed', rank)
	end
end

-- Where the first one is, from the i-th on, that is of no barred family.
local function skip_barred(i, barred)
	local is_barred = {}
	while true do
		local ids = redis.call('ZRANGE', WAIT, i, i + 99)
		for k, text in ipairs(#ids > 0 and redis.call('HMGET', WHO, unpack(ids)) or {}) do
			local families = string.match(text or '', '^3 .* (%d+)$') or '0'
			if is_barred[families] == nil then
				is_barred[families] = overlap(tonumber(families), barred)
			end
			if not is_barred[families] then
				return i + k - 1
			end
		end
		if #ids < 100 then
			return i + #ids
		end
		i = i + 100
	end
end

-- The first waiter that may go; one without a lease (evicted, deleted by hand) counts as dead. Nil also if
-- it is in a grace.
local function first()
	local barred = barred_families()
	local i = barred > 0 and skip_barred(count_passed(barred), barred) or 0
	local id, rank = unpack(redis.call('ZRANGE', WAIT, i, i, 'WITHSCORES'))
	local lease = id and redis.call('ZSCORE', ALIVE, id)
	while id and not lease do
		forget(id)
		dropped = dropped + 1
		i = barred > 0 and skip_barred(i, barred) or 0
		id, rank = unpack(redis.call('ZRANGE', WAIT, i, i, 'WITHSCORES'))
		lease = id and redis.call('ZSCORE', ALIVE, id)
	end
	set_line('passed', barred > 0 and (rank or 'inf') or nil)
	return lease ~= line.grace and id or nil
end

-- --- kept places -----------------------------------------------------------------------------------

-- KEPT: "<rank> <S> <weight> <share> <until>" of each key; and of each share "/<share>", which keys, the
-- oldest first.
local function drop_kept(key)
	local share = string.match(redis.call('HGET', KEPT, key) or '', '^%S+ %S+ %S+ (%S+) ')
	redis.call('HDEL', KEPT, key)
	redis.call('ZREM', KEPT_AT, key)
	if share then
		local left = string.gsub(redis.call('HGET', KEPT, '/' .. share) or '', key .. ' ', '')
		if left == '' then
			redis.call('HDEL', KEPT, '/' .. share)
		else
			redis.call('HSET', KEPT, '/' .. share, left)
		end
	end
end

local function drop_old_kept(most)
	for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEPT_AT, '-inf', NOW)) do
		drop_kept(key)
	end
	for _, key in ipairs(most and redis.call('ZRANGE', KEPT_AT, 0, -most - 1) or {}) do
		drop_kept(key)
	end
end

-- The rank and S of a place that is kept, which then is kept no longer; or nil.
local function take_kept(key)
	local text = key ~= '-' and redis.call('HGET', KEPT, key)
	local rank, start, until_ms = string.match(text or '', '^(%S+) (%S+) %S+ %S+ (%S+)$')
	if not rank then
		return nil
	end
	drop_kept(key)
	if tonumber(until_ms) <= NOW then
		return nil
	end
	return tonumber(rank), tonumber(start)
end

-- The oldest go, of a share that has many, and of an account. A key that is there already: the lower
-- rank.
local function keep_place(key, r, ms, most)
	if key == '-' or ms <= 0 then
		return
	end
	local rank, start = take_kept(key)
	if not rank or rank > tonumber(r.rank) then
		rank, start = r.rank, r.S
	else
		rank, start = exact(rank), exact(start)
	end
	local share = r.share or '-'
	local keys = (redis.call('HGET', KEPT, '/' .. share) or '') .. key .. ' '
	redis.call('HSET', KEPT, key, table.concat({ rank, start, r.weight, share, whole(NOW + ms) }, ' '))
	redis.call('HSET', KEPT, '/' .. share, keys)
	redis.call('ZADD', KEPT_AT, NOW + ms, key)
	local _, n = string.gsub(keys, ' ', '')
	if n > C.LOCK_KEPT_PER_SHARE_MAX then
		drop_kept(string.match(keys, '^%S+'))
	end
	drop_old_kept(most)
	set_line('kept_until', whole(math.max(number('kept_until'), NOW + ms)))
	redis.call('PEXPIRE', KEPT, math.max(number('kept_until') - NOW, ms))
	redis.call('PEXPIRE', KEPT_AT, math.max(number('kept_until') - NOW, ms))
end

-- --- turns ---------------------------------------------------------------------------------------

-- When its turn begins; not further ahead than it was when it was given, in case that the clock was
-- set back since.
local function begins(r)
	return math.min(tonumber(r.start), NOW + r.start - r.given)
end

-- When a turn that is given now begins: the delay after the last completion, and the interval after
-- the last start, or behind a hold the delay if that is more; never before one that was given before. Times
-- from before the clock was set back count as now.
local function start_at(delay)
	local last = tonumber(redis.call('GET', LAST) or '')
	local interval = math.max(number('interval'), number('easing') > 0 and delay or 0)
	local at = last and math.max(math.min(last, NOW) + delay, NOW) or NOW
	if interval > 0 and line.begun then
		at = math.max(at, math.min(number('begun'), NOW) + interval)
	end
	for _, id in ipairs((interval > 0 or holders > 1) and redis.call('ZRANGE', SEATS, 0, -1) or {}) do
		local r = record(id)
		at = math.max(at, r and r.start and begins(r) + interval or 0)
	end
	return at
end

local function lease_seat(id, ttl)
	redis.call('ZADD', SEATS, NOW + ttl, id)
	redis.call('PEXPIRE', SEATS, 86400000)
end

-- Its turn is accounted for and begins: once.
local function begin(id, r)
	local start = start_at(tonumber(r.delay))
	leave_line(id, r)
	turn(tonumber(r.S), tonumber(r.weight), redis.call('ZCARD', WAIT))
	if number('easing') > 0 then
		set_line('easing', number('easing') > 1 and whole(number('easing') - 1) or nil)
	end
	r.given, r.start, r.probe = whole(NOW), whole(start), is_limited(families_of(r)) and '1' or nil
	put_record(id, r)
end

local function end_seat(id)
	local lock, seat = redis.call('GET', LOCK) == id, redis.call('ZREM', SEATS, id) == 1
	if lock then
		redis.call('DEL', LOCK)
	end
	if line.first == id then
		set_line('first', nil)
	end
	if lock or seat then
		holders = holders - 1
	end
end

-- A turn that has begun counts for the interval, and goes on to do so when it is over.
local function count_start(r)
	if r and r.start and tonumber(r.start) <= NOW then
		set_line('begun', whole(math.max(number('begun'), tonumber(r.start))))
	end
end

-- A turn that is over, without a give-back.
local function lose(id, why)
	count_start(record(id))
	end_seat(id)
	put_end(id, 'lost', why)
	tell(id, 'lost ' .. why)
end

-- Its lock was deleted or evicted, but nobody has taken it: it is set again.
local function restore(id, ends)
	local r = record(id) or blank_turn()
	redis.call('SET', LOCK, id, 'PX', math.ceil(ends - NOW))
	r.broken = 'gone'
	put_record(id, r)
	tell(id, 'broken gone')
end

-- A lease from before the clock was set back would last too long.
local function shorten(id, ends)
	if ends > NOW + math.max(number('ttl'), CONFIRM_MS) then
		local r = record(id)
		local ttl = r and tonumber(r.ttl)
		if ttl and ends > NOW + ttl then
			lease_seat(id, ttl)
			if redis.call('GET', LOCK) == id then
				redis.call('PEXPIRE', LOCK, ttl)
			end
		end
	end
end

-- A lease that is as good as over isn't restored: LOCK may end a moment before its seat does.
local RESTORE_MIN_MS = 10

-- One of SEATS that isn't in LOCK. Returns whether it holds its turn.
local function settle_seat(id, ends, lock)
	local in_lock = id == line.first
	if in_lock and lock then
		lose(id, 'taken')
	elseif ends <= NOW or in_lock and ends < NOW + RESTORE_MIN_MS then
		lose(id, 'over')
	elseif in_lock and string.find(redis.call('HGET', WHO, id) or '', '^removed ') then
		end_seat(id) -- an operator asked a process of version 1 for that
	elseif in_lock then
		restore(id, ends)
		return true
	else
		shorten(id, ends)
		return true
	end
end

-- Finds out who holds, and counts them. What is in LOCK and in no seat is another program's, or of a
-- version 1 that shares this Redis.
local function settle_seats()
	local lock = redis.call('GET', LOCK)
	local list = redis.call('ZRANGE', SEATS, 0, -1, 'WITHSCORES')
	local count = lock and 1 or 0
	holders = 0 -- what ends here doesn't count anyway
	for i = 1, #list, 2 do
		if list[i] == lock then
			shorten(lock, tonumber(list[i + 1]))
		elseif settle_seat(list[i], tonumber(list[i + 1]), lock) then
			count = count + 1
		end
	end
	holders = count
end

-- Right behind settle_seats().
local function holds(id)
	return redis.call('GET', LOCK) == id or redis.call('ZSCORE', SEATS, id)
end

-- Takes a seat, the first one if it can. False: out of memory, or there is none for this ticket: a
-- process of version 1 knows no other seat than the first.
local function take_seat(id, ttl, r)
	if redis.call('EXISTS', LOCK) == 0 then
		if redis.pcall('SET', LOCK, id, 'PX', ttl).err then
			return false
		end
		set_line('first', r and id)
	elseif not r then
		return false
	end
	if r then
		lease_seat(id, ttl)
	end
	holders = holders + 1
	return true
end

-- In how many ms its turn begins.
local function start_in(r)
	return r and r.start and math.max(begins(r) - NOW, 0) or 0
end

local function say_granted(id, r)
	for _, each in ipairs({ id, start_in(r), r and r.probe and 1 or 0 }) do
		granted_here[#granted_here + 1] = each
	end
end

-- A turn that is handed over lasts for CONFIRM_MS unless its process confirms it by renewing: time
-- for two touches, if the message is lost. With the touch that follows its end, a dead waiter at the
-- head costs those behind it no more than a lease.
local function grant(id)
	local r, text = record(id)
	r = r or not text and blank_record() or nil
	if not take_seat(id, CONFIRM_MS, r) then
		return false
	end
	if r then
		begin(id, r)
	else
		leave_line(id)
	end
	if owner(id) == ME then
		say_granted(id, r)
	else
		tell(id, 'granted')
	end
	return true
end

-- Nobody dead waits or holds any more.
local function settle()
	settle_limits()
	notice_absence()
	drop_dead()
	settle_seats()
end

-- Whether a turn may begin, now that settle() has counted them.
local function is_free()
	return holders < math.max(number('turns'), 1) and limit_allows() and number('gather') <= NOW and not paused()
end

-- While a turn is free the first waiter that may go gets it.
local function serve()
	local id = is_free() and first()
	while id and grant(id) do
		id = is_free() and first()
	end
	-- A DEL of nothing would be a write all the same, behind which a full Redis refuses no more.
	if redis.call('EXISTS', WAIT) == 0 and redis.call('EXISTS', SHARES, COUNT) > 0 then
		redis.call('DEL', SHARES, COUNT)
	end
end

-- Keeps a turn for another ttl. One that is in use and isn't known to be lost goes on, whatever has
-- become of the keys: then it gets a seat again, also beyond `turns`, so that no further one begins
-- beside it. Returns whether it has the turn; and why not, or what has happened to it.
local function keep_turn(id, ttl, in_use)
	local r, text = record(id)
	local in_lock = redis.call('GET', LOCK) == id
	local seated = in_lock or redis.call('ZSCORE', SEATS, id)
	if not seated and text and not r then
		return false, string.match(text, '^lost %d+ (.*)$') or 'ended'
	elseif not seated and not in_use then
		return false, 'gone'
	end
	r = r or blank_turn()
	local outlives = tonumber(ttl) > tonumber(r.ttl) -- its record was evicted
	if outlives then
		r.ttl = whole(ttl)
	end
	if not seated then
		r.broken = 'gone'
		in_lock = redis.call('EXISTS', LOCK) == 0
		holders = holders + 1
	end
	if in_lock then
		redis.call('SET', LOCK, id, 'PX', ttl)
		set_line('first', id)
	end
	lease_seat(id, ttl)
	if not r.start then
		begin(id, r) -- a process of version 1 gave it the turn; or all that is known is older
	elseif not seated or not text or outlives then
		leave_line(id, r)
		put_record(id, r)
	end
	return true, r.broken
end

-- Every reply begins alike: what happened, a number, the tickets of the asking process that have
-- got a turn, how many dead waiters were dropped.
local function reply(what, n)
	save_line()
	return { what, n or 0, granted_here, dropped }
end
