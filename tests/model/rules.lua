-- rules.lua - what must hold, whatever breaks, and the execution of a call, after which it is checked.
--
--   exclusion    at most `turns` tickets believe with reason, by their own clocks, that they have a
--                turn; but for those whose turns an operator has ended, or whose data Redis has lost
--   no loss      is hidden: a turn that was used while something had happened to it is counted, once;
--                no other is
--   order        turns go to the living by rank, and within a share in the order in which they joined; but
--                past those whose families of models are limited.
--                A rank is what design and order.h say, computed here once more; who comes back to a
--                kept place, or has lost its place, has the rank that it had
--   pace         a turn begins `delay` after a completion and `interval` after the last start
--   no lost      while somebody waits, no turn is free; and in calm times none runs out
--   no death     by absence: who lives isn't dropped because Redis couldn't be reached
--   no leak      what Redis keeps, a process knows; or it is over within a lease
--   an operator's order is for good: whom it ended isn't served, and its process is told

local function owner_of(id)
	return string.match(id, '^(.*):')
end

local function set_of(list, step)
	local set = {}
	for i = 1, #list, step or 1 do
		set[list[i]] = true
	end
	return set
end

-- `line` is what the model itself knows of the waiters: id, rank, number, as, when it was last heard.
local function find_waiter(id)
	for i, w in ipairs(line) do
		if w.id == id then
			return w, i
		end
	end
end

local function leave_line(id)
	local _, i = find_waiter(id)
	if i then
		table.remove(line, i)
	end
end

local function tickets_of(id)
	local found = {}
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.id == id then
				found[#found + 1] = t
			end
		end
	end
	return found
end

local function holders_now()
	local list, lock = real_call('ZRANGE', SEATS, 0, -1), real_call('GET', LOCK)
	local set = set_of(list)
	if lock then
		set[lock] = true
	end
	return set
end

-- Something happened to its turn, of which its process has to know in the end.
local function hurts(t, why)
	if not t.finished then
		t.hurt = t.hurt or why
	end
end

local function count(set)
	local n = 0
	for _ in pairs(set) do
		n = n + 1
	end
	return n
end

-- The start that WHO has of a ticket.
local function start_of(id)
	return tonumber(string.match(real_call('HGET', WHO, id) or '', '^[23] %S+ %S+ %S+ (%d+) ') or nil)
end

-- A turn has ended that had begun.
local function count_start(id)
	local start = world.starts[id]
	if start and start <= now + skew then
		world.begun_at = math.max(world.begun_at or 0, start)
	end
end

-- The rank that WHO has of it.
local function rank_of(id)
	return tonumber(string.match(real_call('HGET', WHO, id) or '', '^[23]' .. string.rep(' %S+', 9) .. ' (%S+)') or nil)
end

-- --- the rank, once more ---------------------------------------------------------------------------

local function model_join(call)
	local o, args = world.order, call.args
	local as, weight, yields = args[12], args[13], args[14]
	local start = math.max(o.v, o.F[as] or 0)
	o.F[as] = start + 1 / weight
	o.seq = o.seq + 1
	return start + yields + o.seq * 2 ^ -32, start
end

-- Never so many wait here that the step depends on it.
local function model_turn(w)
	local o = world.order
	o.v = math.max(o.v + math.min(1, 1 / w.weight) / STEPS_MIN, w.S)
	for as, finish in pairs(o.F) do
		if finish <= o.v then
			o.F[as] = nil
		end
	end
end

-- --- limits of the upstream -------------------------------------------------------------------------

local function has(families, bit)
	return math.floor(families / bit) % 2 == 1
end

-- Which models a ticket is for; where Redis has lost data, as far as it is known there. A turn that was
-- restored by a renewal that came late may be for any.
local function families_of(id)
	local known = tonumber(string.match(real_call('HGET', WHO, id) or '', '^3 .* (%d+)$') or 0)
	if world.lossy or known == ANY_FAMILY then
		return known
	end
	return world.families[id] or 0
end

-- hold.h, once more: `of` is 0 for all of the account, or a family.
local function refuse(of, kind, for_ms)
	local l = world.held[of] or { kind = kind, until_ms = 0, refusals = 0 }
	local ms = for_ms > 0 and for_ms or math.min(FIRST_MS * 2 ^ l.refusals, LAST_MS)
	l.kind = l.kind == 'quota' and 'quota' or kind
	l.until_ms = math.max(l.until_ms, now + ms)
	l.probe_ms = math.min(l.until_ms, now + PROBE_MS)
	l.refusals, l.said_at = l.refusals + 1, now
	world.held[of] = l
end

local function limit_refused(kind, for_ms, families)
	if families == 0 then
		refuse(0, kind, for_ms)
	end
	for _, bit in ipairs(FAMILIES) do
		if has(families, bit) then
			refuse(bit, kind, for_ms)
		end
	end
end

local function limit_ends(families)
	for of in pairs(world.held) do
		if of == 0 or has(families, of) then
			world.held[of], world.easing = nil, world.turns_in_force
		end
	end
end

-- Behind a clock that was set back it begins anew, with the first call that looks.
local function settle_limit(call)
	if call.key or call.script == 'pause' and call.args[1] == 1 then
		return
	end
	for _, l in pairs(world.held) do
		if l.stale then
			l.until_ms, l.probe_ms = now + l.until_ms - l.said_at, now + l.probe_ms - l.said_at
			l.said_at, l.stale = now, false
		end
	end
end

-- Whether a ticket may get a turn, where these have one: a limit that concerns it lets one alone ask.
local function limit_allows(id, holders)
	local families = families_of(id)
	for of, l in pairs(world.held) do
		local concerned = of == 0 or has(families, of)
		if concerned and now < l.probe_ms then
			return false
		end
		for holder in pairs(concerned and holders or {}) do
			if of == 0 or has(families_of(holder), of) then
				return false
			end
		end
	end
	return true
end

-- Whoever waits hears of windows that are spent.
local function check_windows(call, answer)
	local sum, n = 0, 0
	for _, l in pairs(world.held) do
		if l.kind == 'quota' and l.until_ms > now then
			sum, n = sum + l.until_ms + skew, n + 1
		end
	end
	if not world.lossy and world.set_back_at < 0 and (answer[8] ~= sum or #answer ~= 8 + 4 * n) then
		violated('not told of what is spent: ' .. call.id)
	end
end

-- A turn that begins while a limit concerns it says so.
local function check_probe(id)
	local form = '^[23]' .. string.rep(' %S+', 13) .. ' (%S+)'
	local probe = string.match(real_call('HGET', WHO, id) or '', form)
	local concerned = world.held[0]
	for _, bit in ipairs(FAMILIES) do
		concerned = concerned or has(families_of(id), bit) and world.held[bit]
	end
	if probe and not world.lossy and (probe == '1') ~= (concerned ~= nil and concerned ~= false) then
		violated('probe: ' .. id .. ' is none, or is one for nothing')
	end
end

-- --- kept places -----------------------------------------------------------------------------------

local function find_kept(key)
	for i, k in ipairs(world.kept) do
		if k.key == key then
			return k, i
		end
	end
end

local function model_keep(call, w)
	local k = { key = call.args[7], rank = w.rank, S = w.S, number = w.number, share = w.share,
		until_ms = now + skew + world.keep_ms }
	if k.key == '-' or world.keep_ms == 0 then
		return
	end
	local other, i = find_kept(k.key)
	if other then
		table.remove(world.kept, i)
		if other.rank < k.rank and other.until_ms > now + skew then
			k.rank, k.S, k.number = other.rank, other.S, other.number
		end
	end
	world.kept[#world.kept + 1] = k
	local of_share, oldest = 0, nil
	for j, each in ipairs(world.kept) do
		if each.share == k.share then
			of_share = of_share + 1
			oldest = oldest or j
		end
	end
	if of_share > KEPT_OF_SHARE_MAX then
		table.remove(world.kept, oldest)
	end
	for j = #world.kept, 1, -1 do
		if world.kept[j].until_ms <= now + skew then
			table.remove(world.kept, j)
		end
	end
	while #world.kept > world.max_waiting do
		local j = 1 -- of several that end at once any may go
		while world.kept[j + 1] and world.kept[j + 1].until_ms == world.kept[1].until_ms and
			real_call('HEXISTS', 'm_kept', world.kept[j].key) == 1 do
			j = j + 1
		end
		table.remove(world.kept, j)
	end
end

-- --- who holds ------------------------------------------------------------------------------------

-- By its own clock it has a turn, and nothing has happened that it needn't know.
local function believes(t)
	return t.state == 'held' and now < t.lease_until - 10 and not t.forced and not t.excused
end

local function check_exclusion()
	local believers = {}
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if believes(t) then
				believers[#believers + 1] = t.id
			end
		end
	end
	if #believers > world.most_turns then
		violated('exclusion: ' .. table.concat(believers, ' and '))
	end
end

-- Of what happened to a turn that was used its process knows, when it has been given back.
local function check_counted(t)
	if t.no_witness then
		return
	elseif t.hurt and not t.counted then
		violated('a hidden loss: ' .. t.id .. ', ' .. t.hurt)
	elseif t.counted and not t.hurt and not t.may_be_over and not t.late then
		violated('counted without a cause: ' .. t.id .. ', ' .. t.counted)
	end
end

local function check_pace(id)
	local start = start_of(id)
	if not start or world.lossy or now - world.set_back_at < 60000 then
		return
	end
	if world.done_at and start < world.done_at + world.delay then
		violated('pace: ' .. id .. ' begins too soon after a completion')
	end
	local interval = math.max(world.interval, (world.easing or 0) > 0 and world.delay or 0)
	world.easing = math.max((world.easing or 0) - 1, 0)
	if world.begun_at and start < world.begun_at + interval then
		violated('pace: ' .. id .. ' begins too soon after another')
	end
	for other in pairs(holders_now()) do
		local before = start_of(other)
		if other ~= id and before and start < before + interval and
			(world.granted[other] or math.huge) < world.granted[id] then
			violated('pace: ' .. id .. ' begins too soon after ' .. other)
		end
	end
end

local function is_given(id, w)
	world.grants = world.grants + 1
	world.granted[id], world.turn_of[id] = world.grants, w
	for _, t in ipairs(tickets_of(id)) do
		t.hurt, t.counted, t.excused, t.no_witness = nil, nil, nil, nil
	end
end

-- Who gets a turn is first in line, among those that live.
local function check_promotion(w, id)
	if real_call('EXISTS', PAUSE) == 1 then
		violated('turn in a pause: ' .. id)
	elseif not w and not world.lossy then
		violated('turn of one that is dead or never joined: ' .. id)
	elseif not world.lossy and now - w.heard >= LEASE_MS and w.heard > world.set_back_at then
		violated('turn of one that is dead: ' .. id)
	end
end

-- `joining`: who joins by this call; Redis had lost its place, so it can't have been before others. `holders`:
-- those that there were.
local function check_order(w, after, joining, holders)
	if now < world.blind_until then
		return
	end
	for _, other in ipairs(line) do
		local waits = other.id ~= joining and (real_call('ZSCORE', WAIT, other.id) or after[other.id])
		local older = other.as == w.as and other.number < w.number and not other.returned and not w.returned
		if other ~= w and waits and (other.rank < w.rank or older and not world.lossy) and
			limit_allows(other.id, holders) then
			violated('order: ' .. w.id .. ' before ' .. other.id)
		end
	end
end

-- Who was taken for dead, has not been heard for a lease; and it isn't Redis that was away.
local function check_dropped(was_waiting, gone)
	for _, id in ipairs(was_waiting) do
		local w = find_waiter(id)
		if w and not gone[id] and not real_call('ZSCORE', WAIT, id) then
			if now - w.heard < LEASE_MS and not world.lossy then
				violated('dropped, though it lives: ' .. id)
			elseif world.away_from and w.heard >= world.away_from - TOUCH_MS and
				now < world.away_until + CONFIRM_MS then
				violated('death by absence: ' .. id)
			end
			leave_line(id)
		end
	end
end

local function check_waiters(after)
	if real_call('EXISTS', PAUSE) == 1 or count(after) >= world.turns_in_force then
		return
	end
	local id
	for _, each in ipairs(real_call('ZRANGE', WAIT, 0, -1)) do
		id = id or limit_allows(each, after) and each
	end
	if not id or now < world.blind_until then
		return
	end
	local grace = real_call('HGET', LINE, 'grace')
	local gather = tonumber(real_call('HGET', LINE, 'gather') or 0)
	if grace and grace == real_call('ZSCORE', ALIVE, id) and tonumber(grace) <= now + skew + CONFIRM_MS then
		return
	elseif gather > now + skew and gather <= now + skew + GATHER_MS then
		return
	end
	violated('a turn is free, though ' .. id .. ' waits')
end

-- Once it has read all its messages a process acts on what operators did.
local function check_told(p)
	for _, t in ipairs(p.tickets) do
		if t.owed_news == 'lost' and t.state == 'held' or
			t.owed_news == 'removed' and t.state == 'waiting' then
			violated('not told that it is ended: ' .. t.id)
		end
	end
end

-- What Redis keeps for living processes is known to them, when all has been said on all ways. But not
-- where a call came after its connection had been given up, or could be repeated until it was pointless.
local function check_known(id)
	for _, t in ipairs(tickets_of(id)) do
		if not t.late and not t.unpaid and (t.state == 'gone' or t.state == 'none') then
			violated('leak: Redis keeps ' .. id .. ', its process doesn\'t')
		end
	end
end

-- --- calls --------------------------------------------------------------------------------------

-- sweep.lua lets what is left of ended tickets go after a while, in case that their processes have crashed.
-- One that asks again only then joins anew, and the order is of the past.
local function check_ended(call)
	local at = world.ended[call.id]
	if not at or call.late or world.lossy then
		return
	elseif now - at <= 4 * LEASE_MS then
		violated('back, though an operator has ended it: ' .. call.id)
	end
	for _, t in ipairs(tickets_of(call.id)) do
		t.owed_news, t.forced = nil, nil
	end
end

local function share_count(share)
	local n = 0
	for _, id in ipairs(real_call('ZRANGE', WAIT, 0, -1)) do
		local w = find_waiter(id)
		n = n + (w and w.share == share and 1 or 0)
	end
	return n
end

local function check_full(call)
	local waiting = real_call('ZCARD', WAIT)
	if waiting < world.max_waiting and not world.lossy and
		(world.most_of_share == 0 or share_count(call.args[9]) < world.most_of_share) then
		violated('full, though there is room: ' .. call.id)
	end
end

-- It has joined: at which rank?
local function joins(call)
	local t, args = call.ticket, call.args
	local w = { id = call.id, as = args[12], share = args[9], weight = args[13], heard = now }
	local kept, i = find_kept(args[15])
	if kept then
		table.remove(world.kept, i)
	end
	if call.had_place and args[16] == '-' then
		violated('joined anew, though it had a place: ' .. call.id)
	end
	if kept and kept.until_ms > now + skew and not world.lossy then
		w.rank, w.S, w.number, w.returned = kept.rank, kept.S, kept.number, true
	elseif args[16] ~= '-' then
		local rank, start = string.match(args[16], '^(%S+) (%S+)')
		w.rank, w.S, w.number, w.returned = tonumber(rank), tonumber(start), t.number, true
		world.order.F[w.as] = math.max(world.order.F[w.as] or 0, w.S + 1 / w.weight)
		if world.order.F[w.as] <= world.order.v then
			world.order.F[w.as] = nil
		end
	else
		w.rank, w.S = model_join(call)
		world.joined = world.joined + 1
		w.number = world.joined
	end
	t.number = w.number
	local real = rank_of(call.id)
	if real and real ~= w.rank and world.lossy and args[16] == '-' then
		w.rank = real
	elseif real and real ~= w.rank then
		violated(string.format('rank: %s has %.17g, not %.17g', call.id, real, w.rank))
	end
	return w
end

local function joins_line(call)
	leave_line(call.id)
	if #line == 0 then
		world.order.F = {}
	end
	local w = joins(call)
	line[#line + 1] = w
	return w
end

local function entered(call, what, waited)
	if what == 'waiting' or what == 'granted' then
		check_ended(call)
	end
	if what == 'full' then
		check_full(call)
		leave_line(call.id)
	elseif what == 'waiting' and not (waited and find_waiter(call.id)) then
		local w = joins_line(call)
		if real_call('ZCARD', WAIT) > world.max_waiting or not world.lossy and
			world.most_of_share > 0 and share_count(w.share) > world.most_of_share then
			violated('joined, though it is full: ' .. call.id)
		end
	end
end

local function without(set, others)
	local left = {}
	for id in pairs(set) do
		left[id] = not others[id] or nil
	end
	return left
end

-- Those that a call has given turns, in this order. One that enters has joined before it got one.
local function check_given(call, state, after, again)
	local given, order_of_given = {}, {}
	local joining = call.script == 'enter' and not state.waited and call.id
	state.others = without(state.holders, without(state.holders, after))
	for id in pairs(again) do
		state.others[id] = true
	end
	for _, id in ipairs(seated) do
		if after[id] and not state.holders[id] and not again[id] and not given[id] then
			local unknown = world.lossy and families_of(id) == ANY_FAMILY
			if not unknown and not limit_allows(id, state.others) then
				violated('turn while the upstream has limited the account: ' .. id)
			end
			local others = without(state.others, {})
			state.others[id] = true
			local w = id == joining and joins_line(call) or find_waiter(id)
			given[id] = true
			order_of_given[#order_of_given + 1] = id
			check_promotion(w, id)
			if w then
				check_order(w, after, joining, others)
				check_probe(id)
				leave_line(id)
				model_turn(w)
				is_given(id, w)
			end
		end
	end
	for _, id in ipairs(order_of_given) do
		check_pace(id)
	end
	if count(given) > 0 and count(after) > math.max(world.turns_in_force, count(state.holders)) then
		violated('more turns than there are')
	end
end

-- A call says that a process lives.
local function hear(call)
	for _, id in ipairs(call.ids or call.script == 'enter' and { call.id } or {}) do
		local w = find_waiter(id)
		if w and real_call('ZSCORE', call.key or WAIT, id) then
			w.heard = now
		end
	end
end

-- An operator has ended a turn ("lost") or a place ("removed").
local function note_end(id, news)
	world.ended[id] = now
	for _, t in ipairs(tickets_of(id)) do
		t.forced = news == 'lost'
		t.owed_news = not world.drops and not world.lossy and news
		if news == 'lost' then
			hurts(t, 'ended')
		end
	end
end

-- What the scripts themselves have found out is right: a lease was over, or something is amiss.
local function check_found(id, why)
	for _, t in ipairs(tickets_of(id)) do
		if why == 'over' and believes(t) and t.lease_until - now >= 10 then
			violated('over, though its lease isn\'t: ' .. id)
		end
		if world.calm_at and now > world.calm_at and t.state == 'held' and not t.hurt then
			violated('not renewed: the turn of ' .. id .. ' ran out')
		elseif world.calm_at and now > world.calm_at and t.state == 'waiting' then
			violated('lost wake-up: the turn of ' .. id .. ' ran out unnoticed')
		end
		hurts(t, why)
	end
	count_start(id)
end

-- What the scripts have said to be lost, no renewal takes again, as long as they can know it.
local function check_revived(call, after)
	for id, at in pairs(world.said_lost) do
		if id == call.id and (call.script == 'enter' or call.script == 'give_back') then
			world.said_lost[id] = nil
		elseif after[id] and now - at < 4 * LEASE_MS then
			violated('taken again, though it was lost: ' .. id)
		end
	end
end

local function deliver(before)
	for _, m in ipairs(published) do
		local id, what, why = string.match(m[2], '^(%S+) (%a+) ?(.*)$')
		if what == 'lost' and why ~= '' then
			check_found(id, why)
			before[id] = nil -- it may have another one by now
			world.said_lost[id] = now
		end
		for _, p in ipairs(world) do
			if m[1] == 'm:' .. p.owner and p.state ~= 'dead' and
				not (world.drops and math.random() < 0.3) then
				p.sub[#p.sub + 1] = { text = m[2], turn = world.granted[id] }
			end
		end
	end
end

-- Who left the line by this call for a good reason.
local function good_leavers(call, what, before_list, after)
	local gone = {}
	for id in pairs(after) do
		gone[id] = true
	end
	if call.script == 'give_back' then
		gone[call.id] = true
	elseif call.script == 'remove' and what == 'done' then
		gone[call.target] = true
	elseif call.script == 'sweep' then
		for _, id in ipairs(before_list) do
			gone[id] = gone[id] or owner_of(id) == call.args[2] or nil
		end
	end
	return gone
end

-- A turn that Redis had lost has a seat again. That of a ticket that has ended is a renewal that came late.
local function seated_again(call, before, after)
	local again = {}
	for _, id in ipairs(call.turns or call.script == 'renew' and { call.id } or {}) do
		again[id] = after[id] and not before[id] or nil
		for _, t in ipairs(again[id] and tickets_of(id) or {}) do
			if world.lossy then
				t.excused = true
				hurts(t, 'gone')
			end
			if believes(t) and not world.lossy then
				violated('seated again, though nothing was lost: ' .. id)
			end
		end
	end
	return again
end

local function ordered(call, answer, before)
	local what = answer[1]
	if call.script == 'hold' then
		limit_refused(call.args[1], call.args[2], call.args[4])
	elseif call.script == 'release' then
		limit_ends(call.args[1])
	elseif call.script == 'force' and what == 'done' then
		for id in pairs(before) do
			if string.find(real_call('HGET', WHO, id) or '', '^removed ') then
				note_end(id, 'lost')
				count_start(id)
			end
		end
	elseif call.script == 'remove' and what == 'done' then
		leave_line(call.target)
		note_end(call.target, 'removed')
	elseif call.script == 'give_back' and what == 'done' and answer[2] == 1 then
		call.ticket.finished = true
	elseif call.script == 'give_back' and call.ticket.lease_until and now >= call.ticket.lease_until - 10 then
		call.ticket.may_be_over = true
	end
	if call.script == 'give_back' and what == 'done' and call.how == 'used' and answer[2] == 1 then
		world.done_at = now + skew
		count_start(call.id)
	end
end

-- Who was dropped as dead by the call that was to keep its place has none; its key may have an older one.
local function kept_rank(key)
	return tonumber(string.match(real_call('HGET', 'm_kept', key) or '', '^(%S+) ') or nil)
end

local function check_call(call, answer, state)
	local before, what, after = state.holders, answer[1], holders_now()
	ordered(call, answer, before)
	deliver(before)
	check_revived(call, after)
	-- a turn that was over, or a waiter that was dead, has no place any more
	if call.script == 'give_back' and call.how == 'keep' and state.leaver and (answer[2] == 1 or
		state.waited and (answer[4] == 0 or kept_rank(call.args[7]) == state.leaver.rank)) then
		model_keep(call, state.leaver)
	end
	local gone = good_leavers(call, what, state.list, after)
	check_dropped(state.list, gone)
	for id in pairs(without(gone, after)) do
		leave_line(id)
	end
	local again = seated_again(call, before, after)
	check_given(call, state, after, again)
	if call.script == 'enter' and not before[call.id] then
		entered(call, what, state.waited)
	end
	if what == 'waiting' then
		check_windows(call, answer)
	end
	if real_call('EXISTS', WAIT) == 0 then
		world.order.F = {}
	end
	check_waiters(after)
end

-- What is of interest before a call.
local function state_before(call)
	local state = { holders = holders_now(), list = real_call('ZRANGE', WAIT, 0, -1) }
	for id in pairs(state.holders) do
		world.starts[id] = start_of(id)
	end
	state.waited = call.id and real_call('ZSCORE', WAIT, call.id)
	if call.script == 'give_back' and string.find(real_call('HGET', WHO, call.id) or '', '^[23] ') and
		(state.waited or state.holders[call.id]) then
		state.leaver = find_waiter(call.id) or world.turn_of[call.id]
	end
	return state
end

local function execute(call)
	local keys = call.key and { call.key } or ACCOUNT_KEYS
	local argv = call.key and {} or { 'm', call.owner }
	for _, a in ipairs(call.args) do
		argv[#argv + 1] = type(a) == 'number' and string.format('%.17g', a) or a
	end
	expire_keys()
	if call.script == 'enter' or call.script == 'retune' then
		world.turns_in_force = call.args[call.script == 'enter' and 5 or 1]
	end
	settle_limit(call)
	local state = state_before(call)
	hear(call)
	published, seated = {}, {}
	local answer = SCRIPTS[call.script](keys, argv)
	if trace then
		note(call.owner, call.late and 'late' or '', call.script, call.id or call.target or '', '->', answer[1],
			'turns:', table.concat(real_call('ZRANGE', SEATS, 0, -1), ' '), 'lock:', real_call('GET', LOCK) or '-',
			'line:', table.concat(real_call('ZRANGE', WAIT, 0, -1), ' '), 'v:', real_call('HGET', LINE, 'v') or '-')
	end
	if not call.key then
		check_call(call, answer, state)
	elseif call.script == 'extend' then
		for _, t in ipairs(tickets_of(call.id)) do
			t.no_witness = true -- its lock may end before its seat, or the other way round
		end
	end
	return answer
end
