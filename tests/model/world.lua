-- world.lua - processes, connections and a clock around the real scripts, for run.py.
--
-- One call runs whole schedules: everything random comes from the schedule's number, so a schedule
-- that fails can be run again and traced. Redis is real but for time: keys expire by the schedule's
-- clock, not by Redis' own.
--
--      process ──> [cmd]    ──> scripts ──> process     calls and answers, in order
--      keeper  ──> [keeper] ──> scripts ──> keeper      one round at a time; its news go by mail
--      process <── [sub]    <── PUBLISH                 may be dropped
--
-- A step lets one of them happen, or time pass, or something break: a process crashes, starts again, is
-- stopped (SIGSTOP) and goes on; a connection is cut, and what had been sent over it is heard, or not, or
-- only later, behind what was sent after it; an operator pauses the account, ends a turn or takes
-- somebody out of the line; the slot is on its way to another node of a cluster, so that only calls on one
-- key are done, and the others are put off. Then all faults end, and what is left must come to an end, too.
-- process.lua is what a process does; rules.lua is what must hold.

-- --- steps --------------------------------------------------------------------------------------

local function boot(p)
	p.boots = p.boots + 1
	p.owner = p.instance .. '.' .. p.boots
	p.tickets, p.sub, p.mail, p.touch_at, p.state = {}, {}, {}, now, 'runs'
	p.cmd, p.keeper, p.late = { out = {}, in_ = {} }, { out = {}, in_ = {} }, {}
	if p.boots > 1 then
		send(p, 'cmd', { script = 'sweep', args = { '', p.instance .. '.' .. (p.boots - 1) } })
	end
end

local function arrive(p)
	sequence = sequence + 1
	local t = { id = p.owner .. ':' .. sequence, state = 'entering', use_ms = 0 }
	if math.random(8) == 1 then
		t.use_ms = math.random(2 * world.ttl)
	end
	p.tickets[#p.tickets + 1] = t
	send_enter(p, t)
end

local function serve(p, wire)
	local out, i = p[wire].out, 1
	while world.adrift and wire == 'cmd' and out[i] and not out[i].key do
		i = i + 1 -- the loop tries these again and again, while others overtake them
	end
	if out[i] then
		local call = table.remove(out, i)
		local put_off = world.adrift and not call.key
		local answer = put_off and { 'adrift', 0, '', 0, 0 } or execute(call)
		p[wire].in_[#p[wire].in_ + 1] = { call = call, answer = answer }
	end
end

local function serve_late(p)
	if #p.late > 0 and (not world.adrift or p.late[1].key) then
		execute(table.remove(p.late, 1))
	end
end

-- A turn that may be of no use any more isn't begun: queue.c, start_turn().
local function begin(t)
	if t.kept ~= 'turn' or now >= t.lease_until then
		lose(t)
		return
	end
	t.using = true
	t.use_until = now + t.use_ms
end

-- A ticket goes on, if it can: its turn begins or ends, or it hears that it has none.
local function go_on(p, t)
	if t.state == 'held' and not t.using then
		begin(t)
	elseif t.state == 'held' then
		give_back(p, t, true)
	elseif t.state == 'unsure' or t.state == 'none' then
		give_back(p, t, false)
	else
		return false
	end
	return true
end

-- So does one of them, or its client hangs up.
local function act(p)
	local live = {}
	for _, t in ipairs(p.tickets) do
		if t.state ~= 'gone' then
			live[#live + 1] = t
		end
	end
	local t = live[math.random(math.max(#live, 1))]
	if t and not go_on(p, t) and math.random() < 0.1 then
		give_back(p, t, false)
	end
end

local function serve_some(p)
	local wire = math.random(3) == 1 and 'keeper' or 'cmd'
	serve(p, #p[wire].out > 0 and wire or wire == 'cmd' and 'keeper' or 'cmd')
end

local function hear_message(p)
	take_message(p)
	if #p.sub == 0 then
		check_told(p)
	end
end

local hear = { take_answer, keeper_takes, take_mail, hear_message }

-- Something that was said is heard.
local function react(p)
	local queues, ways = { p.cmd.in_, p.keeper.in_, p.mail, p.sub }, {}
	for i = 1, 4 do
		if #queues[i] > 0 then
			ways[#ways + 1] = hear[i]
		end
	end
	if #ways > 0 then
		ways[math.random(#ways)](p)
	else
		check_told(p)
	end
end

-- Of what was sent over a connection that ends some is heard.
local function hear_some(p, wire)
	for _ = 1, math.random(0, #p[wire].out) do
		serve(p, wire)
	end
end

-- The rest may be heard when the process has given the connection up, and has gone on without it.
local function hear_later(p, wire)
	if math.random(4) > 1 then
		return
	end
	for _, call in ipairs(p[wire].out) do
		local c = { late = true }
		for k, v in pairs(call) do
			c[k] = v
		end
		p.late[#p.late + 1] = c
		for _, t in ipairs(p.tickets) do
			t.late = t.late or t.id == call.id
		end
	end
end

local faults = {
	function(p) -- kill -9; what it sent may still arrive
		if p.state ~= 'dead' then
			note(p.owner, 'crashes')
			hear_some(p, 'cmd')
			hear_some(p, 'keeper')
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
		if p.state == 'runs' then
			note(p.owner, 'loses its link')
			hear_some(p, 'cmd')
			hear_later(p, 'cmd')
			cut_cmd(p)
		end
	end,
	function(p)
		if p.state == 'runs' then
			note(p.owner, 'loses its keeper\'s connection')
			hear_some(p, 'keeper')
			hear_later(p, 'keeper')
			cut_keeper(p)
		end
	end,
	function(p)
		if p.state == 'runs' then
			cut_sub(p)
		end
	end,
}

local function order(p)
	local dice = math.random(8)
	if dice <= 2 then
		send(p, 'cmd', { script = 'pause', args = { dice - 1 } })
	elseif not world.operated then
		return
	elseif dice <= 4 then
		send(p, 'cmd', { script = 'force', args = {} })
	elseif #line > 0 then
		local id = line[math.random(#line)].id
		send(p, 'cmd', { script = 'remove', target = id, args = { id } })
	end
end

local function recover(p)
	if p.state == 'dead' then
		boot(p)
	elseif p.state == 'stopped' then
		p.state = 'runs'
		note(p.owner, 'goes on')
	end
end

local function pass_time()
	local dice = math.random(world.brisk and 16 or 6)
	now = now + (dice <= 2 and math.random(2500) or dice == 3 and math.random(400) or math.random(60))
end

-- Where a turn has just begun or ended, what breaks hurts most: so it often does. A renewal that is under
-- way is overtaken, and nobody reads how it ended.
local function hurt()
	local p = world.moved
	world.moved = nil
	if not p or p.state ~= 'runs' or math.random(5) > 1 then
		return
	elseif #p.keeper.out == 0 or world.stops then
		faults[2](p)
		return
	end
	for _ = 1, #p.cmd.out do
		serve(p, 'cmd')
	end
	faults[4](p)
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
	elseif dice <= 19 then
		pass_time()
	elseif dice <= 52 then
		if p.state ~= 'dead' then
			serve_some(p)
		end
	elseif dice == 53 then
		serve_late(p)
	elseif p.state ~= 'runs' then
		return
	elseif dice <= 55 then
		if math.random(2) == 1 then
			order(p)
		end
	elseif dice <= 62 then
		if #p.tickets < 12 then
			arrive(p)
		end
	elseif dice <= 86 then
		react(p)
	else
		act(p)
		keep(p)
	end
	hurt()
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

-- Everything that was said is heard.
local function hear_all(p)
	serve(p, 'cmd')
	serve(p, 'keeper')
	while #p.cmd.in_ > 0 do
		take_answer(p)
	end
	while #p.keeper.in_ > 0 do
		keeper_takes(p)
	end
	while #p.mail > 0 do
		take_mail(p)
	end
	while #p.sub > 0 do
		take_message(p)
	end
	check_told(p)
	return #p.cmd.out + #p.keeper.out == 0
end

local function settle_all()
	for _ = 1, 1000 do
		local quiet = true
		for _, p in ipairs(world) do
			quiet = hear_all(p) and quiet
		end
		if quiet then
			return
		end
	end
	violated('they talk for ever')
end

-- Everything that can happen at this moment happens.
local function settle(p)
	for _ = 1, 100 do
		local busy = not hear_all(p)
		for _, t in ipairs(p.tickets) do
			local in_use = t.state == 'held' and t.using and now < t.use_until
			busy = not in_use and go_on(p, t) or busy
		end
		keep(p)
		if not busy and #p.cmd.out + #p.keeper.out == 0 then
			return
		end
	end
	violated('it never comes to rest')
end

-- How long all that is left to do may take.
local function patience_ms()
	local ms = world.ttl + CONFIRM_MS + 2 * LEASE_MS + sequence * 2 * TOUCH_MS
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			ms = ms + (t.state ~= 'gone' and t.use_ms + 250 or 0)
		end
	end
	return ms
end

-- No more faults but lost messages: within a few leases everybody must have been served.
local function finish()
	note('no more faults')
	world.adrift = false
	for _, p in ipairs(world) do
		while #p.late > 0 do
			serve_late(p)
		end
		recover(p)
	end
	settle_all()
	check_exclusion()
	expire_keys()
	for _, id in ipairs({ real_call('GET', LOCK) or 'nobody:', unpack(real_call('ZRANGE', WAIT, 0, -1)) }) do
		check_known(id)
	end
	send(world[1], 'cmd', { script = 'pause', args = { 0 } })
	world.calm_at = now + CONFIRM_MS + world.ttl
	local limit = now + patience_ms()
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
	local owner = world[1].owner
	local id = owner .. ':last'
	local probe = execute({ script = 'enter', owner = owner, id = id, args = { id, 1000, 10, 'c', 0 } })
	if probe[1] ~= 'granted' then
		violated('leak: a newcomer is told ' .. probe[1])
	end
	execute({ script = 'give_back', owner = owner, id = id, args = { id, 0, 60, 0, 0 } })
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
	now, expiry, world, line, sequence = 1000000, {}, { ended = {} }, {}, 0
	real_call('DEL', unpack(ACCOUNT_KEYS))
	world.ttl = ({ 2000, 5000, 9000 })[math.random(3)]
	world.delay = math.random(0, 1)
	world.max_waiting = math.random(4) == 1 and 2 or 100
	world.drops = math.random(2) == 1
	world.stops = math.random(3) == 1 -- nothing but long stops
	world.operated = math.random(2) == 1
	world.brisk = math.random(2) == 1
	world.adrifts = math.random(3) == 1
	for i = 1, ({ 2, 2, 2, 3, 4 })[math.random(5)] do
		world[i] = { instance = 'i' .. i, boots = 0 }
		boot(world[i])
	end
	for _ = 1, math.random(20, 180) do
		step()
	end
	finish()
	check_clean()
end

-- ARGV: the first schedule's number, how many, 1 to trace. Replies of the first schedule that failed its
-- number and why, and its trace.
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
