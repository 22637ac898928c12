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

-- --- giving back --------------------------------------------------------------------------------

local function send_give_back(p, id, used, ttl)
	send(p, 'cmd', { script = 'give_back', id = id, until_ms = now + math.max(ttl, LEASE_MS),
		args = { id, used and 1 or 0, 60, 0, 0 } })
end

local function give_back(p, t, used)
	if t.state ~= 'none' then
		send_give_back(p, t.id, used and t.state == 'held', world.ttl)
		world.moved = p
	end
	t.kept, t.state = nil, 'gone'
end

local function give_back_stray(p, id)
	if not BUGS.strays then
		send_give_back(p, id, false, LEASE_MS)
	end
end

-- --- turns --------------------------------------------------------------------------------------

local function send_enter(p, t)
	send(p, 'cmd', { script = 'enter', id = t.id, args = { t.id, world.ttl, world.max_waiting, 'c', 0 } })
end

local function hold(p, t, sent, lease_ms, renew_in_ms)
	note('     ', t.id, 'has the turn until', sent + lease_ms)
	t.state, t.kept, t.using = 'held', 'turn', false
	t.lease_until, t.renew_at = sent + lease_ms, sent + renew_in_ms
	world.moved = p
end

local function confirm(p, t)
	t.state, t.doubted, t.kept = 'confirming', false, t.kept or 'wait'
	send(p, 'cmd', { script = 'renew', id = t.id, args = { t.id, world.ttl } })
end

local function grant(p, t, sent)
	if t.doubted or now >= sent + world.ttl then
		confirm(p, t)
	else
		hold(p, t, sent, world.ttl, renewal_interval())
	end
end

local function lose(t)
	if t.state == 'held' or not BUGS.undoubted then
		t.doubted = true
	end
	if t.state == 'held' then
		if world.calm_at and now > world.calm_at and not t.forced then
			violated('lost without a cause: ' .. t.id)
		end
		t.state, t.kept = 'unsure', nil
	end
end

-- While the slot is on its way to another node of a cluster: a turn, and the places of waiters.
local function is_open(p, script, id)
	for _, call in ipairs(p.cmd.out) do
		if call.script == script and call.id == id then
			return true
		end
	end
	return false
end

local function extend(p, t)
	if not is_open(p, 'extend', t.id) then
		send(p, 'cmd', { script = 'extend', key = LOCK, id = t.id, args = { t.id, world.ttl } })
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

local function extended(p, t, call, what)
	if what == 'lost' then
		lose(t)
	elseif what == 'renewed' and t.kept == 'turn' then
		if call.sent + world.ttl > t.lease_until then
			t.lease_until = call.sent + world.ttl
			t.renew_at = call.sent + renewal_interval()
		end
	elseif what == 'renewed' and t.state == 'confirming' then
		t.state = 'waiting'
		grant(p, t, call.sent)
	end
end

local function handed_over(p, t)
	if t and (t.state == 'entering' or t.state == 'waiting') then
		if BUGS.unconfirmed then
			hold(p, t, now, world.ttl, renewal_interval())
		else
			confirm(p, t)
		end
	end
end

-- The answer to a give-back: a turn that it hands on is used at once, if that is safe.
local function handed_on(p, call, id)
	local t = find(p, id)
	local fresh = t and not t.doubted and not call.again and now < call.sent + FRESH_MS
	if BUGS.any_age then
		fresh = t and true
	end
	if fresh and t.state == 'waiting' and world.delay == 0 then
		hold(p, t, BUGS.lease_from_answer and now or call.sent, BUGS.whole_lease and world.ttl or CONFIRM_MS,
			BUGS.confirmed_late and renewal_interval() or CONFIRM_SOON_MS)
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

local function take_place(p, t, call, what)
	local joins = t.state == 'entering'
	if what == 'granted' and (joins or t.state == 'waiting') then
		grant(p, t, call.sent)
	elseif what == 'waiting' and joins then
		t.state, t.kept = 'waiting', t.kept or 'wait'
	elseif what == 'removed' then
		remove(t)
	elseif what == 'full' and joins then
		t.state = 'none'
	elseif what == 'full' and t.state == 'waiting' then
		t.state, t.kept = BUGS.full_is_all and 'none' or 'unsure', nil
	end
end

local function take_answer(p)
	local m = table.remove(p.cmd.in_, 1)
	local call, what, granted = m.call, m.answer[1], m.answer[3]
	local t = call.id and find(p, call.id)
	if call.script == 'enter' and t then
		take_place(p, t, call, what)
	elseif call.script == 'extend' and t then
		extended(p, t, call, what)
	elseif call.script == 'renew' and t and t.state == 'confirming' then
		t.state = 'waiting'
		if what == 'renewed' then
			grant(p, t, call.sent)
		else
			send_enter(p, t)
		end
	end
	if call.script == 'give_back' and granted ~= '' then
		handed_on(p, call, granted)
	else
		handed_over(p, granted ~= '' and find(p, granted))
	end
end

local function take_message(p)
	local id, what = string.match(table.remove(p.sub, 1), '^(.*) (%a+)$')
	local t = find(p, id)
	if not t then
		return
	elseif what == 'removed' then
		t.owed_news = nil -- if it is being confirmed, it will ask again
		remove(t)
	elseif what == 'lost' then
		lose(t)
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
		lose(t)
	elseif news.kind == 'has' and t and t.state == 'waiting' and BUGS.touch_at_once then
		hold(p, t, news.sent, CONFIRM_MS, CONFIRM_SOON_MS)
	elseif news.kind == 'has' then
		handed_over(p, t)
	elseif news.kind == 'unknown' and t and t.state == 'waiting' then
		send_enter(p, t)
	end
end

-- --- the keeper -----------------------------------------------------------------------------------

local function mail(p, kind, id, sent)
	p.mail[#p.mail + 1] = { kind = kind, id = id, sent = sent }
end

local function report_lost(p)
	for _, t in ipairs(p.tickets) do
		if t.kept == 'turn' and now >= t.lease_until then
			t.kept = nil
			mail(p, 'lost', t.id)
		end
	end
end

local function renewed(p, call, ours)
	local t = find(p, call.id)
	if not t or not t.kept then
		if ours then
			mail(p, 'stray', call.id)
		end
	elseif t.kept == 'turn' and ours then
		t.lease_until = call.sent + world.ttl
		t.renew_at = call.sent + renewal_interval()
	elseif t.kept == 'turn' then
		t.kept = nil
		mail(p, 'lost', t.id)
	end
end

local function keeper_takes(p)
	local m = table.remove(p.keeper.in_, 1)
	if m.answer[3] ~= '' then
		mail(p, 'has', m.answer[3], m.call.sent)
	end
	local t = m.call.id and find(p, m.call.id)
	if m.answer[1] == 'adrift' and m.call.script == 'renew' and not (t and t.kept) then
		mail(p, 'stray', m.call.id) -- sent twice, it may have been heard before
	elseif m.answer[1] == 'adrift' then
		mail(p, 'adrift', m.call.id)
		p.touch_at = math.min(p.touch_at, now + RETRY_MS)
	elseif m.call.script == 'renew' then
		renewed(p, m.call, m.answer[1] == 'renewed')
	else
		for i = 6, #m.answer do
			mail(p, 'unknown', m.answer[i])
		end
	end
	if #p.keeper.out + #p.keeper.in_ == 0 then
		report_lost(p)
	end
end

-- The keeper's round, if one is due and the last one has come back.
local function keep(p)
	if #p.keeper.out + #p.keeper.in_ > 0 then
		return
	end
	report_lost(p)
	local ids = {}
	for _, t in ipairs(p.tickets) do
		if t.kept == 'turn' and now >= t.renew_at then
			t.renew_at = now + RETRY_MS
			send(p, 'keeper', { script = 'renew', id = t.id, args = { t.id, world.ttl } })
		elseif t.kept == 'wait' then
			ids[#ids + 1] = t.id
		end
	end
	if now >= p.touch_at then
		p.touch_at = now + TOUCH_MS
		if #ids > 0 then
			send(p, 'keeper', { script = 'touch', ids = ids, args = ids })
		end
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

-- Enters fail, give-backs are owed and sent again, the rest is found out by touches.
local function unanswered(p, call)
	local t = call.id and find(p, call.id)
	if call.script == 'give_back' and not BUGS.unpaid then
		if now < call.until_ms then
			call = { script = 'give_back', id = call.id, until_ms = call.until_ms, args = call.args,
				sent = call.sent, again = true }
			send(p, 'cmd', call)
		else
			for _, u in ipairs(p.tickets) do
				u.unpaid = u.unpaid or u.id == call.id
			end
		end
	elseif call.script == 'enter' and t and t.state == 'entering' then
		give_back(p, t, false)
	elseif call.script == 'renew' and t and t.state == 'confirming' then
		t.state = 'waiting'
	elseif call.script == 'sweep' then
		send(p, 'cmd', { script = 'sweep', args = call.args })
	end
end

local function cut_cmd(p)
	for _, call in ipairs(take_unanswered(p, 'cmd')) do
		unanswered(p, call)
	end
	cut_sub(p)
end

-- A connection that had been closed is replaced within the round; else all is tried again later. What may
-- have been heard of a turn that isn't kept any more may have restored it.
local function cut_keeper(p)
	local lost, again = take_unanswered(p, 'keeper'), math.random(2) == 1
	for _, call in ipairs(lost) do
		local t = call.id and find(p, call.id)
		if again then
			send(p, 'keeper', { script = call.script, id = call.id, ids = call.ids, args = call.args })
		elseif call.script == 'touch' then
			p.touch_at = math.min(p.touch_at, now + RETRY_MS)
		elseif not (t and t.kept) and not BUGS.unheard then
			mail(p, 'stray', call.id)
		end
	end
	if not again then
		report_lost(p)
	end
end
