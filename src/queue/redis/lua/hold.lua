-- The upstream has refused a request of the account, for a limit: hold.h. ARGV: ..., "throttle" or "quota",
-- for how many ms (0: it doesn't say), what it said, of which families of models (0: of all requests).
-- Of a window the processes of those who wait for it are told, each once: they ask for the rest by entering
-- again.
local kind, said_ms, refusal, families = ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])

local function refused(limit)
	local ms, is_new = said_ms, not line['limit_kind' .. limit]
	if ms <= 0 then
		ms = math.min(C.HOLD_FIRST_MS * 2 ^ math.min(number('limit_refusals' .. limit), 10), C.HOLD_LAST_MS)
	end
	local left = math.max(is_new and 0 or limit_left('until', limit), math.min(ms, C.HOLD_MAX_MS))
	set_line('limit_since' .. limit, line['limit_since' .. limit] or whole(NOW))
	set_line('limit_kind' .. limit, line['limit_kind' .. limit] == 'quota' and 'quota' or kind)
	set_line('limit_said' .. limit, whole(NOW))
	set_line('limit_until' .. limit, whole(NOW + left))
	set_line('limit_probe' .. limit, whole(NOW + math.min(left, C.HOLD_PROBE_MS)))
	set_line('limit_refusals' .. limit, whole(number('limit_refusals' .. limit) + 1))
	if refusal ~= '' then
		redis.call('HSET', LINE, 'refusal' .. limit, refusal)
	end
end

settle()
if families == 0 then
	refused('')
end
for _, bit in ipairs(bits(families)) do
	if not has(number('limit_families'), bit) then
		set_line('limit_families', whole(number('limit_families') + bit))
	end
	refused(':' .. bit)
end
local told = {}
for _, id in ipairs(windows() > 0 and redis.call('ZRANGE', WAIT, 0, -1) or {}) do
	if not told[owner(id)] and (families == 0 or overlap(families_of(record(id)), families)) then
		told[owner(id)] = true
		tell(id, 'held')
	end
end
serve()
return reply('done')
