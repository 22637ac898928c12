-- clock.lua - Redis with the schedule's clock. The first part of the text that run.py puts together:
-- clock.lua, rules.lua, process.lua, world.lua; the head of the last says what it is all about.
--
-- In front of it run.py puts: SCRIPTS, a table of functions (KEYS, ARGV), which see the `redis`
-- below; and BUGS, what is broken on purpose.

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

local real_call = real_redis.call
local published

-- While nothing breaks no turn runs out: whoever gets one hears of it, and renews it.
local function check_expiry(id)
	for _, p in ipairs(world) do
		for _, t in ipairs(p.tickets) do
			if t.id == id and world.calm_at and now > world.calm_at then
				if t.state == 'waiting' then
					violated('lost wake-up: the turn of ' .. id .. ' ran out unnoticed')
				elseif t.state == 'held' then
					violated('not renewed: the turn of ' .. id .. ' ran out')
				end
			end
		end
	end
end

local function expire_keys()
	for key, at in pairs(expiry) do
		if now >= at then
			if key == LOCK then
				check_expiry(real_call('GET', LOCK))
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
