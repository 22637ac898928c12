-- Ends a hold: the line goes on, its next turns apart by their delay. No ARGV of its own.
local was = is_limited()

settle()
if was then
	for _, name in ipairs({ 'kind', 'since', 'until', 'probe', 'refusals', 'said' }) do
		set_line('limit_' .. name, nil)
	end
	redis.call('HDEL', LINE, 'refusal')
	set_line('easing', whole(math.max(number('turns'), 1)))
end
serve()
return reply(was and 'done' or 'unknown')
