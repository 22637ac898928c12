-- process.lua - a process, as tickets.c, ticket_call.c and keeper.c are, on one Redis.
--
--      loop     cmd.out ──> Redis ──> cmd.in_ ──> answers     take_answer()
--               sub     <── PUBLISH                           take_message()
--               mail    <── keeper                            take_mail()
--      keeper   keeper.out ──> Redis ──> keeper.in_           keeper_takes(), one round at a time
--
-- A ticket's `state` is the loop's, as enum turn_state, and "gone" after its give-back. `kept` is what
-- the keeper's table has of it: "wait", "turn" with its lease, or nothing.

local FRESH_MS, CONFIRM_SOON_MS, RENEW_MIN_MS, RETRY_MS = 500, 50, 250, 250
local KEEPER_IO_MS = 1000 -- so long may a round take that is under way

local function send(p, wire, call)
	call.owner = p.owner
	call.sent = call.sent or now
	p[wire].out[#p[wire].out + 1] = call
end

-- An id that is unknown has been given back meanwhile.
local function find(p, id)
	for _, t in ipairs(p.tickets) do
		if t.id == id and t.state ~= 'gone' then
			return t
		end
	end
end

local function renewal_interval()
	return math.max(math.floor(world.ttl / 3), RENEW_MIN_MS)
end

-- A turn is lost, or others may have had one beside it: counted and logged, once.
local function count_loss(t, why)
	if not t.counted then
		note('     ', t.id, 'is counted:', why)
		t.counted = why
	end
end

-- --- giving back --------------------------------------------------------------------------------

local function send_give_back(p, t, how, ttl)
	send(p, 'cmd', { script = 'give_back', id = t.id, ticket = t, how = how, until_ms = now + math.max(ttl, LEASE_MS),
		args = { t.id, how, 60, 0, 0, world.keep_ms, t.key or '-', world.max_waiting } })
end

local function give_back(p, t, how)
	if t.state ~= 'none' then
		send_give_back(p, t, how == 'used' and t.state ~= 'held' and 'unused' or how, world.ttl)
		world.moved = p
	end
	t.kept, t.state, t.left = nil, 'gone', how
end

local function give_back_stray(p, id)
	if not BUGS.strays then
		send_give_back(p, { id = id }, 'unused', LEASE_MS)
	end
end

-- The upstream has answered a turn that was used: maybe with a limit, which is told before it is given back.
local function answered(p, t)
	if world.limits and math.random(world.refuses and 2 or 4) == 1 then
		local families = world.of_models and math.random(3) > 1 and t.families or 0
		send(p, 'cmd', { script = 'hold', id = t.id, args = { math.random(3) == 1 and 'quota' or 'throttle',
			math.random(2) == 1 and math.random(6000) or 0, 'text', families } })
	elseif t.probe then
		send(p, 'cmd', { script = 'release', id = t.id, args = { t.families } })
	end
end

-- --- turns --------------------------------------------------------------------------------------

local function send_enter(p, t)
	local place = not BUGS.rank_is_forgotten and t.place or '-'
	send(p, 'cmd', { script = 'enter', id = t.id, ticket = t, had_place = t.place ~= nil, args = { t.id, world.ttl, world.max_waiting,
		world.most_of_share, p.turns, world.interval, 'c', world.delay, t.share, '-', '-',
		t.yields > 0 and t.share .. '~' or t.share, t.weight, t.yields, t.place and '-' or t.key or '-', place,
		t.families } })
end

local function hold(p, t, sent, lease_ms, renew_in_ms, start_in)
	note('     ', t.id, 'has the turn until', sent + lease_ms)
	t.state, t.kept, t.using, t.start_at = 'held', 'turn', false, now + start_in
	t.lease_until, t.renew_at = sent + lease_ms, sent + renew_in_ms
	world.moved = p
end

local function confirm(p, t)
	t.state, t.doubted, t.kept = 'confirming', false, t.kept or 'wait'
	send(p, 'cmd', { script = 'renew', id = t.id, args = { t.id, world.ttl, 0 } })
end

local function grant(p, t, sent, start_in)
	if t.doubted or now >= sent + world.ttl then
		confirm(p, t)
	else
		hold(p, t, sent, world.ttl, renewal_interval(), start_in)
	end
end

local function lose(t, why)
	if t.state == 'held' or not BUGS.undoubted then
		t.doubted = true
	end
	if t.state == 'held' then
		if world.calm_at and now > world.calm_at and not t.forced and not t.hurt then
			violated('lost without a cause: ' .. t.id)
		end
		count_loss(t, why)
		t.state, t.kept = 'unsure', nil
	end
end

local function lock_was_broken(t, why)
	if t and t.state == 'held' and why ~= '' then
		if not BUGS.broken_is_nothing then
			count_loss(t, why)
		end
		if not t.counted then
			violated('heard, and not counted: ' .. t.id)
		end
	end
end

-- While the slot is on its way to another node of a cluster: a turn, and the places of waiters.
local function is_open(p, script, id, key)
	for _, call in ipairs(p.cmd.out) do
		if call.script == script and call.id == id and (not key or call.key == key) then
			return true
		end
	end
	return false
end

local function extend(p, t)
	for kind, key in pairs({ lock = LOCK, seats = SEATS }) do
		if not is_open(p, 'extend', t.id, key) then
			send(p, 'cmd', { script = 'extend', key = key, id = t.id, args = { t.id, world.ttl, kind } })
		end
	end
end

local function stay(p)
	local ids = {}
	for _, t in ipairs(p.tickets) do
		if t.state == 'waiting' then
			ids[#ids + 1] = t.id
		elseif t.state == 'confirming' then
			extend(p, t)
		end
	end
	if not is_open(p, 'stay') then
		send(p, 'cmd', { script = 'stay', key = WAIT, args = { LEASE_MS } })
		send(p, 'cmd', { script = 'stay', key = ALIVE, ids = ids, args = { LEASE_MS, unpack(ids) } })
	end
end

-- A turn that is confirmed where its key is begins after the whole delay and interval, as the last
-- completion is in another key.
local function extended(p, t, call, what)
	if what == 'renewed' and t.kept == 'turn' then
		if call.sent + world.ttl > t.lease_until then
			t.lease_until = call.sent + world.ttl
			t.renew_at = call.sent + renewal_interval()
		end
	elseif what == 'renewed' and t.state == 'confirming' then
		t.state = 'waiting'
		grant(p, t, call.sent, world.delay + world.interval)
	end
end

local function handed_over(p, t)
	if t and (t.state == 'entering' or t.state == 'waiting') then
		if BUGS.unconfirmed then
			hold(p, t, now, world.ttl, renewal_interval(), 0)
		else
			confirm(p, t)
		end
	end
end

-- The answer to a give-back: a turn that it hands on is used at once, if that is safe.
local function handed_on(p, call, id, start_in, probe)
	local t = find(p, id)
	local fresh = t and not t.doubted and not call.again and now < call.sent + FRESH_MS
	if BUGS.any_age then
		fresh = t and true
	end
	if fresh and t.state == 'waiting' and start_in == 0 then
		t.probe = probe == 1
		hold(p, t, BUGS.lease_from_answer and now or call.sent, BUGS.whole_lease and world.ttl or CONFIRM_MS,
			BUGS.confirmed_late and renewal_interval() or CONFIRM_SOON_MS, 0)
		if t.lease_until - now < KEEPER_IO_MS then
			violated('begun with too little of its lease left: ' .. t.id)
		end
	end
	handed_over(p, t)
end

local function remove(t)
	if t.state == 'entering' or t.state == 'waiting' then
		t.state, t.kept = 'unsure', nil
	end
end

-- --- what the loop hears --------------------------------------------------------------------------

local function take_place(p, t, call, answer)
	local what, joins = answer[1], t.state == 'entering'
	if what == 'granted' and (joins or t.state == 'waiting') then
		t.probe = answer[7] == 1
		grant(p, t, call.sent, answer[2])
	elseif what == 'waiting' then
		t.place = answer[5] ~= '' and answer[5] or nil
		t.windows = answer[8]
		if joins then
			t.state, t.kept = 'waiting', t.kept or 'wait'
		end
	elseif what == 'removed' then
		remove(t)
	elseif what == 'full' and joins then
		t.state = 'none'
	elseif what == 'full' and t.state == 'waiting' then
		t.state, t.kept = BUGS.full_is_all and 'none' or 'unsure', nil
	end
end

-- A turn that was used: had it the turn to its end? What was sent twice may have been done the first time.
local function given_back(call, answer)
	local t = call.ticket
	if call.how == 'used' and not call.again and answer[5] ~= '' and not BUGS.give_back_is_blind then
		count_loss(t, answer[5])
	end
	if call.how == 'used' and not call.again then
		check_counted(t)
	end
end

local function take_answer(p)
	local m = table.remove(p.cmd.in_, 1)
	local call, what, granted = m.call, m.answer[1], m.answer[3]
	local t = call.id and find(p, call.id)
	if call.script == 'enter' and t then
		take_place(p, t, call, m.answer)
	elseif call.script == 'extend' and t then
		extended(p, t, call, what)
	elseif call.script == 'renew' and t and t.state == 'confirming' then
		t.state = 'waiting'
		if what == 'renewed' then
			t.probe = m.answer[6] == 1
			grant(p, t, call.sent, m.answer[2])
		else
			send_enter(p, t)
		end
	elseif call.script == 'give_back' and what == 'done' then
		given_back(call, m.answer)
	elseif call.script == 'sweep' and what == 'swept' then
		for _, id in ipairs(m.answer[7]) do
			if not find(p, id) then
				send_give_back(p, { id = id }, 'unused', LEASE_MS)
			end
		end
	end
	for i = 1, #granted, 3 do
		if call.script == 'give_back' then
			handed_on(p, call, granted[i], granted[i + 1], granted[i + 2])
		else
			handed_over(p, find(p, granted[i]))
		end
	end
end

-- Of windows that are spent one ticket asks; what is said is for all of them.
local function hear_of_limit(p, windows)
	for _, t in ipairs(p.tickets) do
		if t.state == 'waiting' and t.windows ~= windows and not is_open(p, 'enter', t.id) then
			send_enter(p, t)
			return
		end
	end
end

local function take_message(p)
	local message = table.remove(p.sub, 1)
	local id, what, why = string.match(message.text, '^(%S+) (%a+) ?(.*)$')
	local t = find(p, id)
	if not t then
		return
	elseif what == 'removed' then
		t.owed_news = nil -- if it is being confirmed, it will ask again
		remove(t)
	elseif what == 'lost' then
		lose(t, why ~= '' and why or 'ended')
	elseif what == 'broken' then
		t.may_be_over = t.may_be_over or message.turn ~= world.granted[id] -- of a turn that it has lost since
		lock_was_broken(t, why)
	elseif what == 'held' then
		hear_of_limit(p, 0)
	else
		handed_over(p, t)
	end
end

local function take_mail(p)
	local news = table.remove(p.mail, 1)
	local t = news.id and find(p, news.id)
	if news.kind == 'stray' and not t then
		give_back_stray(p, news.id)
	elseif news.kind == 'adrift' and t and t.state == 'held' then
		extend(p, t)
	elseif news.kind == 'adrift' and not news.id then
		stay(p)
	elseif news.kind == 'lost' and t then
		lose(t, news.why)
	elseif news.kind == 'broken' then
		lock_was_broken(t, news.why)
	elseif news.kind == 'limited' and news.windows > 0 then
		hear_of_limit(p, news.windows)
	elseif news.kind == 'has' and t and t.state == 'waiting' and BUGS.touch_at_once then
		hold(p, t, news.sent, CONFIRM_MS, CONFIRM_SOON_MS, 0)
	elseif news.kind == 'has' then
		handed_over(p, t)
	elseif news.kind == 'unknown' and t and t.state == 'waiting' then
		send_enter(p, t)
	end
end

-- --- the keeper -----------------------------------------------------------------------------------

local function mail(p, kind, id, news)
	news = news or {}
	news.kind, news.id = kind, id
	p.mail[#p.mail + 1] = news
end

local function report_lost(p)
	for _, t in ipairs(p.tickets) do
		if t.kept == 'turn' and now >= t.lease_until then
			t.kept, t.may_be_over = nil, true
			mail(p, 'lost', t.id, { why = 'over' })
		end
	end
end

local function renewed(p, call, id, ours, why)
	local t = find(p, id)
	if not t or not t.kept then
		if ours then
			mail(p, 'stray', id)
		end
	elseif t.kept == 'turn' and ours then
		t.lease_until = call.sent + world.ttl
		t.renew_at = call.sent + renewal_interval()
		if why ~= '' then
			mail(p, 'broken', id, { why = why })
		end
	elseif t.kept == 'turn' then
		t.kept = nil
		mail(p, 'lost', id, { why = why })
	end
end

local function touched(p, call, answer)
	for i = 1, #answer[6], 3 do
		renewed(p, call, answer[6][i], answer[6][i + 1] == 'renewed', answer[6][i + 2])
	end
	for _, id in ipairs(answer[5]) do
		mail(p, 'unknown', id)
	end
	mail(p, 'limited', nil, { windows = answer[2] })
end

local function keeper_takes(p)
	local m = table.remove(p.keeper.in_, 1)
	for i = 1, #m.answer[3], 3 do
		mail(p, 'has', m.answer[3][i], { sent = m.call.sent })
	end
	local adrift = m.answer[1] == 'adrift'
	for _, id in ipairs(m.call.turns or {}) do
		local t = find(p, id)
		if adrift and not (t and t.kept) then
			mail(p, 'stray', id) -- sent twice, it may have been heard before
		elseif adrift then
			mail(p, 'adrift', id)
		end
	end
	if adrift and m.call.script == 'touch' then
		mail(p, 'adrift')
		p.touch_at = math.min(p.touch_at, now + RETRY_MS)
	elseif m.call.script == 'renew' and not adrift then
		renewed(p, m.call, m.call.turns[1], m.answer[1] == 'renewed', m.answer[5])
	elseif not adrift then
		touched(p, m.call, m.answer)
	end
	if #p.keeper.out + #p.keeper.in_ == 0 then
		report_lost(p)
	end
end

local function send_touch(p)
	local ids, turns, args = {}, {}, {}
	for _, t in ipairs(p.tickets) do
		if t.kept == 'wait' then
			ids[#ids + 1] = t.id
		elseif t.kept == 'turn' then
			turns[#turns + 1] = t.id
			args[#args + 1] = t.id
			args[#args + 1] = world.ttl
		end
	end
	if #ids == 0 then
		return
	end
	if BUGS.touches_see_no_turns then
		turns, args = {}, {}
	end
	for _, id in ipairs(ids) do
		args[#args + 1] = id
	end
	send(p, 'keeper', { script = 'touch', ids = ids, turns = turns, args = { #turns, unpack(args) } })
end

-- The keeper's round, if one is due and the last one has come back.
local function keep(p)
	if #p.keeper.out + #p.keeper.in_ > 0 then
		return
	end
	report_lost(p)
	for _, t in ipairs(p.tickets) do
		if t.kept == 'turn' and now >= t.renew_at then
			t.renew_at = now + RETRY_MS
			send(p, 'keeper', { script = 'renew', turns = { t.id }, args = { t.id, world.ttl, 1 } })
		end
	end
	if now >= p.touch_at then
		p.touch_at = now + TOUCH_MS
		send_touch(p)
	end
end

local function refresh(p)
	p.touch_at = now
	for _, t in ipairs(p.tickets) do
		if t.kept == 'turn' then
			t.renew_at = math.min(t.renew_at, now)
		end
	end
end

-- --- connections that break -------------------------------------------------------------------------

-- All without an answer, in the order in which they were sent; the connection is a new one.
local function take_unanswered(p, wire)
	local lost = {}
	for _, m in ipairs(p[wire].in_) do
		lost[#lost + 1] = m.call
	end
	for _, c in ipairs(p[wire].out) do
		lost[#lost + 1] = c
	end
	p[wire] = { out = {}, in_ = {} }
	return lost
end

local function cut_sub(p)
	p.sub = {}
	for _, t in ipairs(p.tickets) do
		t.owed_news = nil
	end
	refresh(p)
end

-- Enters fail, give-backs are sent again, the rest is found out by touches.
local function unanswered(p, call)
	local t = call.id and find(p, call.id)
	if call.script == 'give_back' and not BUGS.unpaid then
		if now < call.until_ms then
			call = { script = 'give_back', id = call.id, ticket = call.ticket, how = call.how, until_ms = call.until_ms,
				args = call.args, sent = call.sent, again = true }
			send(p, 'cmd', call)
		else
			for _, u in ipairs(p.tickets) do
				u.unpaid = u.unpaid or u.id == call.id
			end
		end
	elseif call.script == 'enter' and t and t.state == 'entering' then
		give_back(p, t, 'unused')
	elseif call.script == 'renew' and t and t.state == 'confirming' then
		t.state = 'waiting'
	elseif call.script == 'sweep' and not call.mine then
		send(p, 'cmd', { script = 'sweep', args = call.args })
	end
end

-- A new master may have copied what has ended meanwhile: see sweep.lua.
local function reconcile(p)
	if not BUGS.copies_stay then
		send(p, 'cmd', { script = 'sweep', mine = true, args = { '' } })
	end
end

local function cut_cmd(p)
	for _, call in ipairs(take_unanswered(p, 'cmd')) do
		unanswered(p, call)
	end
	reconcile(p)
	cut_sub(p)
end

-- A connection that had been closed is replaced within the round; else all is tried again later. What may
-- have been heard of a turn that isn't kept any more may have restored it.
local function cut_keeper(p)
	local lost, again = take_unanswered(p, 'keeper'), math.random(2) == 1
	for _, call in ipairs(lost) do
		if again then
			send(p, 'keeper', { script = call.script, turns = call.turns, ids = call.ids, args = call.args })
		else
			if call.script == 'touch' then
				p.touch_at = math.min(p.touch_at, now + RETRY_MS)
			end
			for _, id in ipairs(call.turns) do
				local t = find(p, id)
				if not (t and t.kept) and not BUGS.unheard then
					mail(p, 'stray', id)
				end
			end
		end
	end
	if not again then
		report_lost(p)
	end
end
