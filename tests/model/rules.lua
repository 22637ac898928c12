-- rules.lua - what must hold, whatever breaks, and the execution of a call, after which it is checked.
--
--   exclusion    at most one ticket believes with reason, by its own clock, that it has the turn;
--                but for one whose turn an operator has ended, which is to be told
--   order        turns go to the living in the order in which they joined
--   no lost      while somebody waits, somebody has the turn; and in calm times no turn runs out
--   no leak      what Redis keeps, a process knows; or it is over within a lease
--   an operator's order is for good: whom it ended isn't served, and its process is told

local function owner_of(id)
	return string.match(id, '^(.*):')
end

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

local function check_waiters(holder)
	if not holder and real_call('EXISTS', 'm_pause') == 0 then
		local first = real_call('ZRANGE', WAIT, 0, 0)[1]
		if first then
			violated('nobody has the turn, though ' .. first .. ' waits')
		end
	end
end

local function check_exclusion()
	local holder
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.state == 'held' and now < t.lease_until and not t.forced then
				if holder then
					violated('exclusion: ' .. holder .. ' and ' .. t.id)
				end
				holder = t.id
			end
		end
	end
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
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.id == id and not t.late and not t.unpaid and
				(t.state == 'gone' or t.state == 'none') then
				violated('leak: Redis keeps ' .. id .. ', its process doesn\'t')
			end
		end
	end
end

-- --- calls --------------------------------------------------------------------------------------

-- sweep.lua lets notes of ended tickets go after a while, in case that their processes have crashed. One
-- that asks again only then joins anew, and the order is of the past.
local function check_ended(call)
	local at = world.ended[call.id]
	if not at or call.late then
		return
	elseif now - at <= 4 * LEASE_MS then
		violated('back, though an operator has ended it: ' .. call.id)
	end
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.id == call.id then
				t.owed_news, t.forced = nil, nil
			end
		end
	end
end

local function update_line(call, what, before)
	if call.script == 'enter' and (what == 'waiting' or what == 'granted') then
		check_ended(call)
	end
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
		if line[i].lease <= now and drops or
			call.script == 'sweep' and owner_of(line[i].id) == call.args[2] then
			table.remove(line, i)
		end
	end
end

-- An operator has ended a turn ("lost") or a place ("removed").
local function note_end(id, news)
	world.ended[id] = now
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.id == id then
				t.forced = news == 'lost'
				t.owed_news = not world.drops and news
			end
		end
	end
end

local function deliver()
	for _, m in ipairs(published) do
		for _, p in ipairs(world) do
			if m[1] == 'm:' .. p.owner and p.state ~= 'dead' and
				not (world.drops and math.random() < 0.3) then
				p.sub[#p.sub + 1] = m[2]
			end
		end
	end
end

local function execute(call)
	local keys = call.key and { call.key } or ACCOUNT_KEYS
	local argv = call.key and {} or { 'm', call.owner }
	for _, a in ipairs(call.args) do
		argv[#argv + 1] = tostring(a)
	end
	expire_keys()
	expect(call)
	local before = real_call('GET', LOCK)
	published = {}
	local answer = SCRIPTS[call.script](keys, argv)
	local what = answer[1]
	if what == 'done' and call.script == 'force' then
		note_end(before, 'lost')
	elseif what == 'done' and call.script == 'remove' then
		leave_line(call.target)
		note_end(call.target, 'removed')
	end
	note(call.owner, call.script, call.id or call.target or '', '->', what, 'turn:',
		real_call('GET', LOCK) or '-')
	local joined = call.script == 'enter' and what == 'granted' and call.id
	local renewed = call.script == 'renew' and what == 'renewed' and call.id
	local holder = check_promotion(before, joined or renewed)
	update_line(call, what, before)
	if not call.key then
		check_waiters(holder)
	end
	deliver()
	return answer
end
