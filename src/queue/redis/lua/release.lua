-- Ends the account's hold and those of families of models: the line goes on, its next turns apart by their
-- delay. ARGV: ..., these families.
local families, was = tonumber(ARGV[3]), false

settle()
for _, limit in ipairs(limits(families)) do
	was = true
	for _, name in ipairs(LIMIT_FIELDS) do
		set_line('limit_' .. name .. limit, nil)
	end
	redis.call('HDEL', LINE, 'refusal' .. limit)
end
for _, bit in ipairs(bits(number('limit_families'))) do
	if has(families, bit) then
		local left = number('limit_families') - bit
		set_line('limit_families', left > 0 and whole(left) or nil)
	end
end
if was then
	set_line('easing', whole(math.max(number('turns'), 1)))
end
serve()
return reply(was and 'done' or 'unknown')
