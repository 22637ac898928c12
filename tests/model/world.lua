-- world.lua - processes, connections and a clock around the real scripts, for run.py.
--
-- One call runs whole schedules: everything random comes from the schedule's number, so a schedule
-- that fails can be run again and traced. Redis is real but for time: keys expire by the schedule's
-- clock, not by Redis' own.
--
--      process ──out──> [cmd]    ──> scripts ──> in ──> process      calls and answers, in order
--              ──out──> [keeper] ──> scripts ──> in ──>              one round at a time
--              <──────── [sub]   <── PUBLISH                         may be dropped
--
-- A step lets one of them happen, or time pass, or something break: a process crashes, starts again,
-- is stopped (SIGSTOP) and goes on; a connection is cut; an operator pauses the account; its slot is on its way to another
-- node of a cluster, and only calls on one key are done. Then all faults end, and what is left must come to an end, too. A
-- process does what redis_turns.c and keeper.c do.
--
-- In front of this text run.py puts: SCRIPTS, a table of functions (KEYS, ARGV), which see the
-- `redis` below; and BUGS, what is broken on purpose.

local LEASE_MS, CONFIRM_MS, TOUCH_MS = 3000, 2000, 1000
local ACCOUNT_KEYS = { 'm_lock', 'm_last', 'm_wait', 'm_alive', 'm_pause', 'm_who', 'm_times' }
local LOCK, WAIT, ALIVE = ACCOUNT_KEYS[1], ACCOUNT_KEYS[3], ACCOUNT_KEYS[4]

local now, expiry, world, line, sequence, trace

local function note(...)
	if trace then
		trace[#trace + 1] = now .. ' ' .. table.concat({ ... }, ' ')
	end
end

local function violated(what)
	note('VIOLATED', what)
	error({ violated = what })
end

-- --- Redis, with the schedule's clock --------------------------------------------------------

local real_call = real_redis.call
local published

-- While nothing breaks no turn may run out because its process hasn't heard of it.
local function check_unnoticed(id)
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.id == id and t.state == 'waiting' and world.calm_at and now > world.calm_at then
				violated('lost wake-up: the turn of ' .. id .. ' ran out unnoticed')
			end
		end
	end
end

local function expire_keys()
	for key, at in pairs(expiry) do
		if now >= at then
			if key == LOCK then
				check_unnoticed(real_call('GET', LOCK))
			end
			real_call('DEL', key)
			expiry[key] = nil
		end
	end
end

local special = {
	TIME = function()
		return { tostring(math.floor(now / 1000)), tostring(now % 1000 * 1000) }
	end,
	SET = function(key, value, unit, n)
		expiry[key] = unit and now + n * (unit == 'EX' and 1000 or 1) or nil
		return real_call('SET', key, value)
	end,
	PEXPIRE = function(key, ms)
		if real_call('EXISTS', key) == 0 then
			return 0
		end
		expiry[key] = now + ms
		return 1
	end,
	PTTL = function(key)
		if real_call('EXISTS', key) == 0 then
			return -2
		end
		return expiry[key] and expiry[key] - now or -1
	end,
	DEL = function(key)
		expiry[key] = nil
		return real_call('DEL', key)
	end,
	PUBLISH = function(channel, text)
		published[#published + 1] = { channel, text }
		return 1
	end,
}

shim.call = function(command, ...)
	local f = special[command]
	if f then
		return f(...)
	end
	return real_call(command, ...)
end
shim.pcall = shim.call

-- --- what must hold ----------------------------------------------------------------------------

-- `line` is what the model itself knows of the waiters, by order of joining: id, end of the lease.
local function line_index(id)
	for i, w in ipairs(line) do
		if w.id == id then
			return i
		end
	end
end

local function leave_line(id)
	local i = line_index(id)
	if i then
		table.remove(line, i)
	end
end

-- Who has the turn now was first in line when it got it, among those that were alive.
local function check_promotion(before, asker)
	local holder = real_call('GET', LOCK)
	if not holder or holder == before or holder == asker then
		return holder
	end
	local i = line_index(holder)
	if real_call('EXISTS', 'm_pause') == 1 then
		violated('turn in a pause: ' .. holder)
	elseif not i then
		violated('turn of one that is dead or never joined: ' .. holder)
	elseif i > 1 then
		violated('order: ' .. holder .. ' before ' .. line[1].id)
	end
	table.remove(line, 1)
	return holder
end

-- At most one ticket believes with reason, by its own clock, that it has the turn.
local function check_exclusion()
	local holder
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.state == 'held' and now < t.lease_until then
				if holder then
					violated('exclusion: ' .. holder .. ' and ' .. t.id)
				end
				holder = t.id
			end
		end
	end
end

-- --- calls --------------------------------------------------------------------------------------

local function update_line(call, what, before)
	if call.script == 'enter' and what == 'waiting' then
		local i = line_index(call.id)
		if i then
			line[i].lease = now + LEASE_MS
		else
			line[#line + 1] = { id = call.id, lease = now + LEASE_MS }
		end
	elseif call.script == 'enter' and what == 'granted' and before ~= call.id then
		local was_first = line_index(call.id) == 1 -- asked again while it waited
		leave_line(call.id)
		if line[1] and not was_first then
			violated('order: ' .. call.id .. ' did not join behind ' .. line[1].id)
		end
	end
end

-- What a call says of the line, before it is executed: every script but a pause drops the dead.
local function expect(call)
	if call.script == 'give_back' then
		leave_line(call.id)
	end
	for _, id in ipairs(call.ids or {}) do
		local i = line_index(id)
		if i and real_call('ZSCORE', call.key or WAIT, id) then
			line[i].lease = now + LEASE_MS
		end
	end
	local drops = not call.key and (call.script ~= 'pause' or call.args[1] == 0)
	for i = #line, 1, -1 do
		local owner = string.match(line[i].id, '^(.*):')
		if line[i].lease <= now and drops or call.script == 'sweep' and owner == call.args[2] then
			table.remove(line, i)
		end
	end
end

local function execute(p, call)
	local keys = call.key and { call.key } or ACCOUNT_KEYS
	local argv = call.key and {} or { 'm', p.owner }
	for _, a in ipairs(call.args) do
		argv[#argv + 1] = tostring(a)
	end
	expire_keys()
	expect(call)
	local before = real_call('GET', LOCK)
	published = {}
	local answer = SCRIPTS[call.script](keys, argv)
	local joined = call.script == 'enter' and answer[1] == 'granted' and call.id
	local renewed = call.script == 'renew' and answer[1] == 'renewed' and call.id
	local holder = check_promotion(before, joined or renewed)
	update_line(call, answer[1], before)
	note(p.owner, call.script, call.id or '', '->', answer[1], 'turn:', holder or '-')
	for _, m in ipairs(published) do
		for _, q in ipairs(world) do
			if m[1] == 'm:' .. q.owner and q.state ~= 'dead' and not (world.drops and math.random() < 0.3) then
				q.sub[#q.sub + 1] = m[2]
			end
		end
	end
	return answer
end

-- --- processes, as redis_turns.c and keeper.c -------------------------------------------------

local function send(p, wire, call)
	call.sent = now
	p[wire].out[#p[wire].out + 1] = call
end

local function give_back(p, t, used)
	t.state = 'gone'
	send(p, 'cmd', { script = 'give_back', id = t.id, until_ms = now + world.ttl,
		args = { t.id, used and 1 or 0, 60, 0, 0 } })
end

local function send_enter(p, t)
	send(p, 'cmd', { script = 'enter', id = t.id, args = { t.id, world.ttl, world.max_waiting, 'c' } })
end

local function hold(t, sent)
	t.state = 'held'
	t.using = false
	t.lease_until = sent + world.ttl
	t.renew_at = sent + math.floor(world.ttl / 3)
end

-- While the slot is on its way: a turn, and the places of waiters.
local function extend(p, t)
	send(p, 'cmd', { script = 'extend', key = LOCK, id = t.id, args = { t.id, world.ttl } })
end

local function stay(p, ids)
	send(p, 'cmd', { script = 'stay', key = WAIT, args = { LEASE_MS } })
	send(p, 'cmd', { script = 'stay', key = ALIVE, ids = ids, args = { LEASE_MS, unpack(ids) } })
end

local function confirm(p, t)
	t.state = 'confirming'
	send(p, 'cmd', { script = 'renew', id = t.id, args = { t.id, world.ttl } })
end

local function handed_over(p, t)
	if t and (t.state == 'entering' or t.state == 'waiting') then
		if BUGS.unconfirmed then
			hold(t, now)
		else
			confirm(p, t)
		end
	end
end

local function ticket(p, id)
	for _, t in ipairs(p.tickets) do
		if t.id == id and t.state ~= 'gone' then
			return t
		end
	end
end

local function granted_in_time(p, t, call)
	if now < call.sent + world.ttl then
		hold(t, call.sent)
	else
		confirm(p, t)
	end
end

local take = {
	enter = function(p, t, call, answer)
		if not t then
			return
		elseif answer[1] == 'granted' and (t.state == 'entering' or t.state == 'waiting') then
			granted_in_time(p, t, call)
		elseif answer[1] == 'waiting' and t.state == 'entering' then
			t.state = 'waiting'
		elseif answer[1] == 'full' and (t.state == 'entering' or t.state == 'waiting') then
			t.state = 'gone'
		end
	end,
	renew = function(p, t, call, answer)
		if t and t.state == 'confirming' and call.wire ~= 'keeper' then
			t.state = 'waiting'
			if answer[1] == 'renewed' then
				granted_in_time(p, t, call)
			else
				send_enter(p, t)
			end
		elseif t and t.state == 'held' and call.wire == 'keeper' then
			if answer[1] == 'adrift' then
				extend(p, t)
			elseif answer[1] == 'renewed' then
				t.lease_until = call.sent + world.ttl
				t.renew_at = call.sent + math.floor(world.ttl / 3)
			else
				t.state = 'lost'
			end
		end
	end,
	extend = function(p, t, call, answer)
		if not t or answer[1] == 'gone' then
			return
		elseif t.state == 'held' and answer[1] == 'lost' then
			t.state = 'lost'
		elseif t.state == 'held' and call.sent + world.ttl > t.lease_until then
			t.lease_until = call.sent + world.ttl
			t.renew_at = call.sent + math.floor(world.ttl / 3)
		elseif t.state == 'confirming' and answer[1] == 'renewed' then
			t.state = 'waiting'
			granted_in_time(p, t, call)
		end
	end,
	stay = function() end,
	touch = function(p, _, call, answer)
		if answer[1] == 'adrift' then
			local waiters = {}
			for _, id in ipairs(call.ids) do
				local t = ticket(p, id)
				if t and t.state == 'waiting' then
					waiters[#waiters + 1] = id
				elseif t and t.state == 'confirming' then
					extend(p, t)
				end
			end
			stay(p, waiters)
		end
		for i = 6, #answer do
			local t = ticket(p, answer[i])
			if t and t.state == 'waiting' then
				send_enter(p, t)
			end
		end
	end,
	give_back = function() end,
	sweep = function() end,
}

local function take_answer(p, wire)
	local m = table.remove(p[wire].in_, 1)
	if m.answer[3] ~= '' then
		handed_over(p, ticket(p, m.answer[3]))
	end
	take[m.call.script](p, m.call.id and ticket(p, m.call.id), m.call, m.answer)
end

local function take_message(p)
	local text = table.remove(p.sub, 1)
	handed_over(p, ticket(p, string.match(text, '^(.*) ')))
end

-- The keeper's round, if one is due and the last one has come back.
local function keep(p)
	if #p.keeper.out + #p.keeper.in_ > 0 then
		return
	end
	for _, t in ipairs(p.tickets) do
		if t.state == 'held' and now >= t.lease_until then
			t.state = 'lost'
		elseif t.state == 'held' and now >= t.renew_at then
			t.renew_at = now + 250
			send(p, 'keeper', { script = 'renew', wire = 'keeper', id = t.id, args = { t.id, world.ttl } })
		end
	end
	if now >= p.touch_at then
		local ids = {}
		for _, t in ipairs(p.tickets) do
			if t.state == 'waiting' or t.state == 'confirming' then
				ids[#ids + 1] = t.id
			end
		end
		p.touch_at = now + TOUCH_MS
		if #ids > 0 then
			send(p, 'keeper', { script = 'touch', ids = ids, args = ids })
		end
	end
end

-- What the link's going down does: enters fail, give-backs are owed and sent again.
local function cut(p, wire)
	local lost = {}
	for _, c in ipairs(p[wire].out) do
		lost[#lost + 1] = c
	end
	for _, m in ipairs(p[wire].in_) do
		lost[#lost + 1] = m.call
	end
	p[wire] = { out = {}, in_ = {} }
	p.touch_at = now
	for _, c in ipairs(lost) do
		local t = c.id and ticket(p, c.id)
		if c.script == 'give_back' and now < c.until_ms then
			send(p, wire, c)
		elseif c.script == 'enter' and t and t.state == 'entering' then
			give_back(p, t, false)
		elseif c.script == 'renew' and wire == 'cmd' and t and t.state == 'confirming' then
			t.state = 'waiting'
		end
	end
end

-- --- steps --------------------------------------------------------------------------------------

local function boot(p)
	p.boots = p.boots + 1
	p.owner = p.instance .. '.' .. p.boots
	p.tickets, p.sub, p.touch_at, p.state = {}, {}, now, 'runs'
	p.cmd, p.keeper = { out = {}, in_ = {} }, { out = {}, in_ = {} }
	if p.boots > 1 then
		send(p, 'cmd', { script = 'sweep', args = { '', p.instance .. '.' .. (p.boots - 1) } })
	end
end

local function arrive(p)
	sequence = sequence + 1
	local t = { id = p.owner .. ':' .. sequence, state = 'entering' }
	p.tickets[#p.tickets + 1] = t
	send_enter(p, t)
end

local function serve(p, wire)
	local i = 1
	while world.adrift and wire == 'cmd' and p.cmd.out[i] and not p.cmd.out[i].key do
		i = i + 1 -- the loop tries these again and again, while others overtake them
	end
	local call = table.remove(p[wire].out, i)
	if call then
		local put_off = world.adrift and not call.key
		local answer = put_off and { 'adrift', 0, '', 0, 0 } or execute(p, call)
		p[wire].in_[#p[wire].in_ + 1] = { call = call, answer = answer }
	end
end

-- One ticket goes on: a turn begins, ends, or its client hangs up.
local function act(p, patient)
	local t = p.tickets[math.random(math.max(#p.tickets, 1))]
	if not t then
		return
	elseif t.state == 'held' and not t.using then
		t.using = true
		if now >= t.lease_until then
			t.state = 'lost'
		end
	elseif t.state == 'held' then
		give_back(p, t, true)
	elseif t.state == 'lost' then
		give_back(p, t, false)
	elseif not patient and t.state ~= 'gone' and math.random() < 0.2 then
		give_back(p, t, false)
	end
end

local function react(p)
	local ways = { 'cmd', 'keeper', 'sub' }
	local way = ways[math.random(3)]
	if way == 'sub' then
		if #p.sub > 0 then
			take_message(p)
		end
	elseif #p[way].in_ > 0 then
		take_answer(p, way)
	end
end

local faults = {
	function(p) -- kill -9; what it sent may still arrive
		if p.state ~= 'dead' then
			note(p.owner, 'crashes')
			for _ = 1, math.random(0, #p.cmd.out) do
				serve(p, 'cmd')
			end
			p.state, p.tickets, p.sub = 'dead', {}, {}
		end
	end,
	function(p) -- SIGSTOP
		if p.state == 'runs' then
			p.state = 'stopped'
			note(p.owner, 'is stopped')
		end
	end,
	function(p)
		if p.state ~= 'dead' then
			note(p.owner, 'loses its link')
			cut(p, 'cmd')
		end
	end,
	function(p)
		cut(p, 'keeper')
	end,
	function(p)
		p.sub, p.touch_at = {}, now
	end,
}

local function recover(p)
	if p.state == 'dead' then
		boot(p)
	elseif p.state == 'stopped' then
		p.state = 'runs'
		note(p.owner, 'goes on')
	end
end

local function step()
	local p = world[math.random(#world)]
	local dice = math.random(100)
	if world.adrifts and math.random(25) == 1 then
		world.adrift = not world.adrift
		note(world.adrift and 'the slot leaves' or 'the slot has arrived')
	end
	if dice <= 3 then
		faults[world.stops and 2 or math.random(#faults)](p)
	elseif dice <= 8 then
		if not world.stops or math.random(4) == 1 then
			recover(p)
		end
	elseif dice == 9 and math.random(4) == 1 and not world.adrift then
		execute(p, { script = 'pause', args = { math.random(0, 1) } })
	elseif dice <= 20 then
		now = now + (math.random(3) == 1 and math.random(2500) or math.random(60))
	elseif dice <= 55 then
		if p.state ~= 'dead' then
			serve(p, math.random(3) == 1 and 'keeper' or 'cmd')
		end
	elseif p.state ~= 'runs' then
		return
	elseif dice <= 62 then
		if #p.tickets < 12 then
			arrive(p)
		end
	elseif dice <= 85 then
		react(p)
	else
		act(p)
		keep(p)
	end
	check_exclusion()
end

-- --- the end --------------------------------------------------------------------------------------

local function pending(p)
	for _, t in ipairs(p.tickets) do
		if t.state ~= 'gone' then
			return t
		end
	end
end

-- Everything that can happen at this moment happens.
local function settle(p)
	for _ = 1, 40 do
		serve(p, 'cmd')
		serve(p, 'keeper')
		for _, wire in ipairs({ 'cmd', 'keeper' }) do
			while #p[wire].in_ > 0 do
				take_answer(p, wire)
			end
		end
		while #p.sub > 0 do
			take_message(p)
		end
		act(p, true)
		keep(p)
		if not pending(p) and #p.cmd.out == 0 then
			return
		end
	end
end

-- No more faults but lost messages: within a few leases everybody must have been served.
local function finish()
	for _, p in ipairs(world) do
		recover(p)
	end
	world.adrift = false
	execute(world[1], { script = 'pause', args = { 0 } })
	world.calm_at = now + CONFIRM_MS + world.ttl
	local limit = now + world.ttl + CONFIRM_MS + 2 * LEASE_MS + sequence * 2 * TOUCH_MS
	while now < limit do
		local busy
		for _, p in ipairs(world) do
			settle(p)
			check_exclusion()
			busy = busy or pending(p)
		end
		if not busy then
			return
		end
		now = now + 250
	end
	for _, p in ipairs(world) do
		local t = pending(p)
		if t then
			violated('wedged: ' .. t.id .. ' is still ' .. t.state)
		end
	end
end

-- When all leases are over nothing is left, and a newcomer is served at once.
local function check_clean()
	now = now + world.ttl + CONFIRM_MS + LEASE_MS
	line = {}
	local p = world[1]
	local probe = execute(p, { script = 'enter', id = p.owner .. ':last',
		args = { p.owner .. ':last', 1000, 10, 'c' } })
	if probe[1] ~= 'granted' then
		violated('leak: a newcomer is told ' .. probe[1])
	end
	execute(p, { script = 'give_back', id = p.owner .. ':last', args = { p.owner .. ':last', 0, 60, 0, 0 } })
	for _, key in ipairs({ LOCK, WAIT, ALIVE }) do
		if real_call('EXISTS', key) == 1 then
			violated('leak: ' .. key)
		end
	end
	for _, key in ipairs(real_call('KEYS', 'm_*')) do
		if not expiry[key] then
			violated('leak: ' .. key .. ' never expires')
		end
	end
end

local function run(seed)
	math.randomseed(seed)
	now, expiry, world, line, sequence = 1000000, {}, {}, {}, 0
	real_call('DEL', unpack(ACCOUNT_KEYS))
	world.ttl = math.random(2) == 1 and 2000 or 5000
	world.max_waiting = math.random(4) == 1 and 2 or 100
	world.drops = math.random(2) == 1
	world.stops = math.random(3) == 1 -- nothing but long stops
	world.adrifts = math.random(3) == 1
	for i = 1, math.random(2, 4) do
		world[i] = { instance = 'i' .. i, boots = 0 }
		boot(world[i])
	end
	for _ = 1, math.random(20, 120) do
		step()
	end
	finish()
	check_clean()
end

-- ARGV: the first schedule's number, how many, 1 to trace. Replies how many calls the scripts got,
-- and of the first schedule that failed its number and why, and its trace.
local first, count = tonumber(ARGV[1]), tonumber(ARGV[2])
trace = ARGV[3] == '1' and {} or nil
for seed = first, first + count - 1 do
	local ok, why = pcall(run, seed)
	if not ok then
		return { seed, type(why) == 'table' and (why.violated or why.err) or tostring(why),
			trace or {} }
	end
end
return {}
