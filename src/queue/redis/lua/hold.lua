-- The upstream has refused a request of the account, for a limit: hold.h. ARGV: ..., "throttle" or "quota",
-- for how many ms (0: it doesn't say), what it said.
-- Of a window the processes of those who wait are told, each once: they ask for the rest by entering again.
local ms = tonumber(ARGV[4])

settle()
if ms <= 0 then
	ms = math.min(C.HOLD_FIRST_MS * 2 ^ math.min(number('limit_refusals'), 10), C.HOLD_LAST_MS)
end
local left = math.max(is_limited() and limit_left('limit_until') or 0, math.min(ms, C.HOLD_MAX_MS))
local kind = line.limit_kind == 'quota' and 'quota' or ARGV[3]
set_line('limit_since', line.limit_since or whole(NOW))
set_line('limit_kind', kind)
set_line('limit_said', whole(NOW))
set_line('limit_until', whole(NOW + left))
set_line('limit_probe', whole(NOW + math.min(left, C.HOLD_PROBE_MS)))
set_line('limit_refusals', whole(number('limit_refusals') + 1))
if ARGV[5] ~= '' then
	redis.call('HSET', LINE, 'refusal', ARGV[5])
end
local told = {}
for _, id in ipairs(limit_end() > 0 and redis.call('ZRANGE', WAIT, 0, -1) or {}) do
	if not told[owner(id)] then
		told[owner(id)] = true
		tell(id, 'held')
	end
end
serve()
return reply('done')
