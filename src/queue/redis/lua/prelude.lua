-- In front of every script on an account. Seven keys of one account, then ARGV: the key prefix and
-- the process that asks ("<instance>.<boot>"), then the script's own.
--
-- Whatever a script does, it ends with advance(), which makes the facts agree: nobody who is dead
-- waits, and if the turn is free the first waiter has it. So no wake-up can be forgotten.
--
-- Redis 5 or later: scripts replicate their effects, so reading the clock before writing is fine.
local LOCK, LAST, WAIT, ALIVE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- For operators. PAUSE: while it is there nobody gets a turn. WHO, a hash: who a ticket is, from
-- its enter to its give-back. TIMES, a list: the latest turns, how long each waited and held.
local PAUSE, WHO, TIMES = KEYS[5], KEYS[6], KEYS[7]
local PREFIX, ME = ARGV[1], ARGV[2]

-- A waiter that hasn't been touched for so long is dead; queue/redis/scripts.h has the same number.
local LEASE_MS = 3000
-- A turn that was handed over lasts so long unless its process confirms it by renewing: time for
-- two touches, if the message is lost. With the touch that follows its end, a dead waiter at the
-- head costs those behind it no more than a lease. tickets.c has the same number.
local CONFIRM_MS = 2000

local t = redis.call('TIME')
local NOW = t[1] * 1000 + math.floor(t[2] / 1000)

local granted_here, dropped = '', 0

-- "<instance>.<boot>:<uuid>" -> "<instance>.<boot>"; '' for tickets of other programs.
local function owner(id)
	return string.match(id, '^(.*):') or ''
end

-- Milliseconds since the last completion, -1 if there was none. A clock that was set back counts
-- as no time at all, so that a delay is never longer than configured.
local function elapsed()
	local last = tonumber(redis.call('GET', LAST) or '')
	return last and math.max(NOW - last, 0) or -1
end

-- When a turn that is had from now on begins. Its process reckons alike, from the same reply.
local function start(delay)
	local since = elapsed()
	return string.format('%.0f', NOW + (since < 0 and 0 or math.max(delay - since, 0)))
end

local function forget(id)
	redis.call('ZREM', WAIT, id)
	redis.call('ZREM', ALIVE, id)
end

-- Out of memory nobody knows who it is, and that is all.
local function note_who(id, text)
	redis.pcall('HSET', WHO, id, text)
	redis.pcall('PEXPIRE', WHO, 86400000)
end

local function forget_all(id)
	forget(id)
	redis.call('HDEL', WHO, id)
end

local function tell(id, text)
	-- A hint only: where publishing is forbidden, its next touch finds out.
	redis.pcall('PUBLISH', PREFIX .. ':' .. owner(id), id .. ' ' .. text)
end

local function paused()
	return redis.call('EXISTS', PAUSE) == 1
end

local function renew_lease(id)
	redis.call('ZADD', ALIVE, NOW + LEASE_MS, id)
end

-- When all processes die at once nobody is left to drop their places.
local function renew_queue()
	redis.call('PEXPIRE', WAIT, 4 * LEASE_MS)
	redis.call('PEXPIRE', ALIVE, 4 * LEASE_MS)
end

local function drop_dead()
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', ALIVE, '-inf', NOW)) do
		forget_all(id)
		dropped = dropped + 1
	end
	-- Leases from before the clock was set back would last too long.
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', ALIVE, '(' .. (NOW + LEASE_MS), '+inf')) do
		renew_lease(id)
	end
end

-- The first waiter. One without a lease (evicted, deleted by hand) counts as dead.
local function first()
	local id = redis.call('ZRANGE', WAIT, 0, 0)[1]
	while id and not redis.call('ZSCORE', ALIVE, id) do
		forget_all(id)
		dropped = dropped + 1
		id = redis.call('ZRANGE', WAIT, 0, 0)[1]
	end
	return id
end

local function advance()
	drop_dead()
	if redis.call('EXISTS', LOCK) == 1 or paused() then
		return
	end
	local id = first()
	-- Out of memory: it keeps its place, and the next touch tries again.
	if not id or redis.pcall('SET', LOCK, id, 'PX', CONFIRM_MS).err then
		return
	end
	forget(id)
	local joined, delay = string.match(redis.call('HGET', WHO, id) or '', '^(%d+ %S* )%- (%d+)$')
	if joined then
		note_who(id, joined .. start(delay))
	end
	if owner(id) == ME then
		granted_here = id
	else
		tell(id, 'granted')
	end
end

-- Every reply begins alike: what happened, a number, the ticket of the asking process that has
-- the turn now (or ''), time since the last completion, how many dead waiters were dropped.
local function reply(what, number)
	return { what, number or 0, granted_here, elapsed(), dropped }
end
