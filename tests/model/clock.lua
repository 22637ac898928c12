-- clock.lua - Redis with the schedule's clock. The first part of the text that run.py puts together:
-- clock.lua, rules.lua, process.lua, world.lua; the head of the last says what it is all about.
--
-- In front of it run.py puts: SCRIPTS, a table of functions (KEYS, ARGV), which see the `redis`
-- below; and BUGS, what is broken on purpose.

local LEASE_MS, CONFIRM_MS, TOUCH_MS, GATHER_MS, STEPS_MIN = 3000, 2000, 1000, 1500, 64
local FIRST_MS, LAST_MS, PROBE_MS = 2000, 8000, 5000 -- of a limit, the last two as in run.py
local KEPT_OF_SHARE_MAX = 2 -- as in run.py
local FAMILIES, ANY_FAMILY = { 1, 2 }, 2 ^ 32 - 1 -- of models
local ACCOUNT_KEYS = { 'm_lock', 'm_last', 'm_wait', 'm_alive', 'm_pause', 'm_who', 'm_times', 'm_seats', 'm_line',
	'm_shares', 'm_count', 'm_kept', 'm_kept_at' }
local LOCK, WAIT, ALIVE, PAUSE, WHO, SEATS, LINE = 'm_lock', 'm_wait', 'm_alive', 'm_pause', 'm_who', 'm_seats', 'm_line'

-- `now` is what processes go by, which nobody sets; Redis' clock is off from it by `skew`.
local now, skew, expiry, world, line, sequence, trace

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
local published, seated -- by a call: messages; who got a seat, in this order

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
		if now + skew >= at then
			if key == LOCK then
				check_expiry(real_call('GET', LOCK))
			end
			real_call('DEL', key)
			expiry[key] = nil
		end
	end
end

-- What is there now, to be put back later: a master that lags behind takes over.
local function snapshot()
	local copy = { keys = {}, expiry = {} }
	for _, key in ipairs(ACCOUNT_KEYS) do
		copy.keys[key] = real_call('DUMP', key) or nil
		copy.expiry[key] = expiry[key]
	end
	return copy
end

local function put_back(copy)
	real_call('DEL', unpack(ACCOUNT_KEYS))
	expiry = {}
	for key, bytes in pairs(copy.keys) do
		real_call('RESTORE', key, 0, bytes)
		expiry[key] = copy.expiry[key]
	end
	expire_keys()
end

local special = {
	TIME = function()
		local wall = now + skew
		return { tostring(math.floor(wall / 1000)), tostring(wall % 1000 * 1000) }
	end,
	SET = function(key, value, unit, n)
		expiry[key] = unit and now + skew + n * (unit == 'EX' and 1000 or 1) or nil
		return real_call('SET', key, value)
	end,
	PEXPIRE = function(key, ms)
		if real_call('EXISTS', key) == 0 then
			return 0
		end
		expiry[key] = now + skew + ms
		return 1
	end,
	PTTL = function(key)
		if real_call('EXISTS', key) == 0 then
			return -2
		end
		return expiry[key] and expiry[key] - now - skew or -1
	end,
	DEL = function(...)
		for _, key in ipairs({ ... }) do
			expiry[key] = nil
		end
		return real_call('DEL', ...)
	end,
	ZADD = function(key, score, id)
		if key == SEATS then
			seated[#seated + 1] = id
		end
		return real_call('ZADD', key, score, id)
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
