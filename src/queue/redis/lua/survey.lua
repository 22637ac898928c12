-- All that operators see, in one call; changes nothing. KEYS: the index, the notes' index. ARGV:
-- the key prefix, most accounts, most waiters and most turns of those watched, the accounts
-- watched. The accounts' keys are made here, so it isn't for a cluster.
-- Replies how many accounts there are; a list of names, each followed by what look.lua replies;
-- and a list of notes, each behind its age in ms.
local PREFIX = ARGV[1]
local most_waiters, most_turns = tonumber(ARGV[3]), tonumber(ARGV[4])
local CHUNK = 1000 -- Lua's stack ends at 8000

local t = redis.call('TIME')
local NOW = t[1] * 1000 + math.floor(t[2] / 1000)

local function key(kind, account)
	return PREFIX .. '_' .. kind .. ':' .. account
end

local names, watched, listed = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[2] - 1), {}, {}
for _, name in ipairs(names) do
	listed[name] = true
end
for i = 5, #ARGV do
	watched[ARGV[i]] = true
	if not listed[ARGV[i]] then
		names[#names + 1] = ARGV[i]
	end
end

-- An account that nobody uses costs no more than its part of an MGET, and a ZCARD.
local function look(account, holder, last, pause)
	local waiting = redis.call('ZCARD', key('wait', account))
	local who, ttl, waiters, turns = '', -2, {}, {}
	local most = watched[account] and most_waiters or 1

	if holder then
		ttl = redis.call('PTTL', key('lock', account))
		who = redis.call('HGET', key('who', account), holder) or ''
	end
	if waiting > 0 then
		for _, id in ipairs(redis.call('ZRANGE', key('wait', account), 0, most - 1)) do
			waiters[#waiters + 1] = id
			waiters[#waiters + 1] = redis.call('HGET', key('who', account), id) or ''
		end
	end
	if watched[account] then
		turns = redis.call('LRANGE', key('times', account), 0, most_turns - 1)
	end
	return { holder or '', ttl, last or '', pause or '', waiting, who, NOW, waiters, turns }
end

local views = {}
for from = 1, #names, CHUNK do
	local keys = {}
	local to = math.min(from + CHUNK - 1, #names)
	for i = from, to do
		keys[#keys + 1] = key('lock', names[i])
		keys[#keys + 1] = key('last', names[i])
		keys[#keys + 1] = key('pause', names[i])
	end
	local values = redis.call('MGET', unpack(keys))
	for i = from, to do
		local at = 3 * (i - from)
		views[#views + 1] = names[i]
		views[#views + 1] = look(names[i], values[at + 1], values[at + 2], values[at + 3])
	end
end

local notes = {}
local by_age = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #by_age, 2 do
	local text = redis.call('GET', PREFIX .. '_note:' .. by_age[i])
	if text then
		notes[#notes + 1] = NOW - by_age[i + 1]
		notes[#notes + 1] = text
	end
end
return { redis.call('ZCARD', KEYS[1]), views, notes }
