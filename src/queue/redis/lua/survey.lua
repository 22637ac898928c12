-- All that operators see, in one call; changes nothing. KEYS: the index, the notes' index. ARGV:
-- the key prefix, most accounts, most waiters and most turns of those watched, the accounts
-- watched. The accounts' keys are made here, so it isn't for a cluster.
-- Replies how many accounts there are; a list of names, each followed by its view;
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

-- An account that nobody uses costs no more than its part of an MGET, and two small looks.
local function look(account, lock, last, pause)
	local keys = {}
	for _, kind in ipairs({ 'lock', 'wait', 'seats', 'who', 'line', 'kept_at', 'times', 'count' }) do
		keys[kind] = key(kind, account)
	end
	local whole = watched[account]
	return view(keys, lock or nil, last or nil, pause or nil, NOW, whole and most_waiters or 1,
		whole and most_turns or 0)
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
