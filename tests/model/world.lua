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
	p.boots, p.turns = p.boots + 1, p.turns or world.turns
	p.owner = p.instance .. '.' .. p.boots
	p.tickets, p.sub, p.mail, p.touch_at, p.state = {}, {}, {}, now, 'runs'
	p.cmd, p.keeper, p.late = { out = {}, in_ = {} }, { out = {}, in_ = {} }, {}
	if p.boots > 1 then
		send(p, 'cmd', { script = 'sweep', args = { '', p.instance .. '.' .. (p.boots - 1) } })
	end
end

-- A request of somebody; now and then one that has left is sent again, and has a place that is kept.
local function arrive(p)
	sequence = sequence + 1
	local t = { id = p.owner .. ':' .. sequence, state = 'entering', use_ms = 0 }
	local again = math.random(2) == 1 and world.left[math.random(math.max(#world.left, 1))]
	local share = again and again.share or math.random(#world.shares)
	t.share, t.weight, t.share_number = 's' .. share, world.shares[share], share
	t.yields = world.yields and math.random(3) == 1 and 3 or 0
	t.families = world.of_models and sequence % 4 or 0
	world.families[t.id] = t.families
	t.key = again and again.key or string.format('%016x', math.random(6) + 16 * share)
	if math.random(world.long and 2 or 8) == 1 then
		t.use_ms = math.random(2 * world.ttl)
	end
	p.tickets[#p.tickets + 1] = t
	send_enter(p, t)
end

local function is_away()
	return world.away_until and now < world.away_until
end

local function serve(p, wire)
	local out, i = p[wire].out, 1
	if is_away() then
		return
	end
	while world.adrift and wire == 'cmd' and out[i] and not out[i].key do
		i = i + 1 -- the loop tries these again and again, while others overtake them
	end
	if out[i] then
		local call = table.remove(out, i)
		local put_off = world.adrift and not call.key
		local answer = put_off and { 'adrift', 0, {}, 0 } or execute(call)
		p[wire].in_[#p[wire].in_ + 1] = { call = call, answer = answer }
	end
end

local function serve_late(p)
	if #p.late > 0 and not is_away() and (not world.adrift or p.late[1].key) then
		execute(table.remove(p.late, 1))
	end
end

-- A turn that may be of no use any more isn't begun: queue.c, start_turn().
local function begin(t)
	if t.kept ~= 'turn' or now >= t.lease_until then
		t.may_be_over = true
		lose(t, 'over')
		return
	end
	t.using = true
	t.use_until = now + t.use_ms
end

-- A ticket goes on, if it can: its turn begins or ends, or it hears that it has none.
local function go_on(p, t)
	if t.state == 'held' and not t.using and now < t.start_at then
		return false
	elseif t.state == 'held' and not t.using then
		begin(t)
	elseif t.state == 'held' then
		answered(p, t)
		give_back(p, t, 'used')
	elseif t.state == 'unsure' or t.state == 'none' then
		give_back(p, t, 'unused')
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
	if t and not go_on(p, t) and math.random() < (world.leaves and 0.4 or 0.1) then
		world.left[#world.left + 1] = { key = t.key, share = t.share_number }
		give_back(p, t, math.random(2) == 1 and 'keep' or 'unused')
	end
end

local function serve_some(p)
	local wire = (math.random(3) == 1) ~= (world.slow or false) and 'keeper' or 'cmd'
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
			t.late = t.late or t.id == call.id or set_of(call.turns or {})[t.id]
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

-- A process that is stopped finds out when it goes on.
local function cut_all()
	for _, p in ipairs(world) do
		p.is_cut = p.state == 'stopped'
		faults[3](p)
		faults[4](p)
	end
end

-- Redis can't be reached, or is frozen, for so long that connections to it are given up.
local function go_away()
	world.away_from, world.away_until = now, now + 2500 + math.random(15000)
	note('Redis is away until', world.away_until)
end

local function come_back()
	now = math.max(now, world.away_until)
	note('Redis is back')
	cut_all()
end

-- --- what Redis loses -----------------------------------------------------------------------------

local function for_all(f)
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			f(t)
		end
	end
end

-- What was known of earlier losses, and hasn't been heard yet, may be lost as well.
local function lose_witnesses()
	world.said_lost = {}
	for_all(function(t)
		t.no_witness = t.no_witness or t.hurt and not t.counted
	end)
end

local function hurt_those_without_seat(before)
	local after = holders_now()
	for_all(function(t)
		if before[t.id] and not after[t.id] then
			hurts(t, 'gone')
			t.excused = true
		end
	end)
end

-- A key is evicted, deleted by hand, or by another program that cleans up.
local function evict(key)
	local before, first = holders_now(), real_call('HGET', LINE, 'first')
	note('lost:', key)
	expire_keys()
	lose_witnesses()
	shim.call('DEL', key)
	if key == LINE then
		world.turns_in_force, world.held, world.easing = 1, {}, 0
	elseif key == WHO then
		world.blind_until = now + 1000 -- who was passed may be of no family now
	end
	hurt_those_without_seat(before)
	for_all(function(t)
		if key == LOCK and t.id == first and real_call('ZSCORE', SEATS, t.id) then
			hurts(t, 'gone')
		end
	end)
end

local function lose_all()
	local before = holders_now()
	note('FLUSHALL')
	lose_witnesses()
	shim.call('DEL', unpack(ACCOUNT_KEYS))
	world.turns_in_force, world.held, world.easing = 1, {}, 0
	hurt_those_without_seat(before)
end

-- A replica takes over, which lags behind.
local function fail_over()
	local before = holders_now()
	note('a replica takes over')
	lose_witnesses()
	put_back(world.replica)
	world.held, world.limits, world.blind_until = {}, false, now + 1000
	for _, name in ipairs(real_call('HKEYS', LINE)) do
		if string.find(name, '^limit_') then
			shim.call('HDEL', LINE, name) -- how it was then isn't known here
		end
	end
	world.turns_in_force = tonumber(real_call('HGET', LINE, 'turns') or 1)
	hurt_those_without_seat(before)
	for_all(function(t)
		local ends = before[t.id] and tonumber(real_call('ZSCORE', SEATS, t.id) or nil)
		if ends and t.lease_until and ends < t.lease_until + skew then
			t.excused, t.no_witness = true, true -- a renewal is lost
		elseif before[t.id] and real_call('ZSCORE', WAIT, t.id) then
			t.no_witness = true -- it may get its turn anew before anybody looks
		end
	end)
	cut_all()
end

local function lose_data()
	local dice = math.random(8)
	if dice == 1 then
		lose_all()
	elseif dice == 2 and world.replica then
		fail_over()
	elseif dice <= 4 then
		evict(LOCK)
	else
		evict(ACCOUNT_KEYS[math.random(#ACCOUNT_KEYS)])
	end
	world.replica = math.random(2) == 1 and snapshot() or world.replica
end

local function set_clock_back()
	for i = #world.kept, 1, -1 do
		if world.kept[i].until_ms <= now + skew then
			table.remove(world.kept, i)
		end
	end
	skew = skew - 300000
	world.set_back_at = now
	for _, name in ipairs({ 'begun_at', 'done_at' }) do -- times from before count as now
		world[name] = world[name] and math.min(world[name], now + skew)
	end
	for _, l in pairs(world.held) do
		l.stale = true
	end
	note('the clock of Redis is set back')
	for_all(function(t)
		t.no_witness = true -- a lock that is over by the old clock, and a seat that isn't by the new one
	end)
end

local function order(p)
	local dice = math.random(8)
	if dice <= 2 then
		send(p, 'cmd', { script = 'pause', args = { dice - 1 } })
	elseif not world.operated then
		return
	elseif dice <= 4 then
		send(p, 'cmd', { script = 'force', args = { math.random(2) == 1 and real_call('GET', LOCK) or '' } })
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
		if p.is_cut then
			faults[3](p)
			faults[4](p)
		end
		p.is_cut = false
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

-- The others run on with what they had.
local function retune(p)
	p.turns = math.random(world.most_turns)
	send(p, 'cmd', { script = 'retune', args = { p.turns, world.interval } })
end

-- What befalls Redis itself.
local function befall()
	if world.away_until and now >= world.away_until and not world.is_back then
		world.is_back = true
		come_back()
	elseif world.goes_away and not is_away() and math.random(50) == 1 then
		world.is_back = false
		go_away()
	elseif world.lossy and math.random(40) == 1 then
		lose_data()
	elseif world.lossy and math.random(10) == 1 then
		world.replica = snapshot()
	elseif world.sets_back and math.random(100) == 1 then
		set_clock_back()
	end
end

local function step()
	local p = world[math.random(#world)]
	local dice = math.random(100)
	befall()
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
		elseif world.retunes then
			retune(p)
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
	world.limits = false
	local ms = world.ttl + 2 * CONFIRM_MS + 2 * LEASE_MS + sequence * (2 * TOUCH_MS + world.delay + world.interval)
	for _, l in pairs(world.held) do
		ms = ms + math.max(l.until_ms - now, 0)
	end
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			ms = ms + (t.state ~= 'gone' and t.use_ms + 250 or 0)
		end
	end
	return ms
end

-- A turn that was used ended with its give-back, and not only by a lease that ran out or a sweep.
local function check_given_back()
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.left == 'used' and not (t.finished or t.unpaid or t.late or t.may_be_over or t.hurt or t.forced or
				t.no_witness or world.lossy) then
				violated('used, and never given back: ' .. t.id)
			end
		end
	end
end

-- No more faults but lost messages: within a few leases everybody must have been served.
local function finish()
	note('no more faults')
	world.adrift = false
	if is_away() then
		come_back()
	end
	for _, p in ipairs(world) do
		while #p.late > 0 do
			serve_late(p)
		end
		recover(p)
	end
	settle_all()
	check_exclusion()
	expire_keys()
	for id in pairs(holders_now()) do
		check_known(id)
	end
	for _, id in ipairs(real_call('ZRANGE', WAIT, 0, -1)) do
		check_known(id)
	end
	send(world[1], 'cmd', { script = 'pause', args = { 0 } })
	world.calm_at = now + 2 * CONFIRM_MS + world.ttl
	local limit = now + patience_ms()
	while now < limit do
		local busy
		for _, p in ipairs(world) do
			settle(p)
			check_exclusion()
			busy = busy or pending(p)
		end
		if not busy then
			check_given_back()
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
	local owner = world[1].owner
	now = now + world.ttl + CONFIRM_MS + LEASE_MS
	execute({ script = 'sweep', owner = owner, args = { '' } }) -- it gives a grace, if somebody is left
	now = now + LEASE_MS
	line = {}
	local t = { id = owner .. ':last', share = 's1', weight = 1, yields = 0, families = 0 }
	local args = { t.id, 1000, 10, 0, 1, 0, 'c', 0, 's1', '-', '-', 's1', 1, 0, '-', '-', 0 }
	world.most_of_share = 0
	local probe = execute({ script = 'enter', owner = owner, id = t.id, ticket = t, args = args })
	if probe[1] ~= 'granted' then
		violated('leak: a newcomer is told ' .. probe[1])
	end
	execute({ script = 'give_back', owner = owner, id = t.id, ticket = t, how = 'unused',
		args = { t.id, 'unused', 60, 0, 0, 0, '-', 10 } })
	for _, key in ipairs({ LOCK, SEATS, WAIT, ALIVE, 'm_shares', 'm_count' }) do
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

local function one_of(...)
	return select(math.random(select('#', ...)), ...)
end

local function new_world()
	return { held = {}, families = {}, blind_until = 0, ended = {}, kept = {}, left = {}, granted = {}, turn_of = {},
		starts = {}, said_lost = {}, grants = 0, joined = 0,
		order = { v = 0, seq = 0, F = {} }, set_back_at = -1e9, turns_in_force = 1 }
end

local function run(seed)
	math.randomseed(seed)
	now, skew, expiry, world, line, sequence = 100000000, 0, {}, new_world(), {}, 0
	real_call('DEL', unpack(ACCOUNT_KEYS))
	world.ttl = one_of(2000, 5000, 9000)
	world.delay = one_of(0, 0, 300)
	world.interval = one_of(0, 0, 0, 700)
	world.most_turns = one_of(1, 1, 2, 3)
	world.turns = world.most_turns
	world.retunes = math.random(3) == 1
	world.shares = ({ { 1 }, { 1, 1 }, { 1, 3, 1 / 3 } })[math.random(3)]
	world.yields = math.random(2) == 1
	world.keep_ms = one_of(0, 3000, 20000)
	world.max_waiting = one_of(2, 100, 100, 100)
	world.most_of_share = one_of(0, 0, 2)
	world.drops = math.random(2) == 1
	world.stops = math.random(3) == 1 -- nothing but long stops
	world.operated = math.random(2) == 1
	world.brisk = math.random(2) == 1
	world.leaves = math.random(3) == 1
	world.long = math.random(4) == 1
	world.limits = math.random(4) == 1
	world.slow = seed % 16 == 3 or seed % 16 == 8 -- calls of the loop come late
	world.of_models = world.limits and seed % 2 == 0 -- some requests are for models of families
	world.adrifts = math.random(3) == 1
	world.lossy = math.random(4) == 1
	world.goes_away = not world.lossy and not world.adrifts and math.random(4) == 1
	world.sets_back = not world.lossy and not world.goes_away and math.random(6) == 1
	for name, value in pairs(FORCED) do
		world[name] = value
	end
	world.lossy = world.lossy and not (FORCED.goes_away or FORCED.sets_back)
	world.adrifts = world.adrifts and not FORCED.goes_away
	world.goes_away = world.goes_away and not (world.lossy or world.adrifts)
	world.sets_back = world.sets_back and not (world.lossy or world.goes_away)
	if world.sets_back then
		world.keep_ms = 0 -- which of several kept places is the oldest can't be said then
	end
	for i = 1, one_of(2, 2, 2, 3, 4) do
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
