-- Whether the scripts of the line can do their work here: it reads, writes and publishes as they do, at an
-- account that nobody has. No ARGV of its own. Behind the common part: why messages can't be sent, or ''.
redis.call('STRLEN', LAST)
redis.call('SET', LAST, whole(NOW), 'PX', 1)
local sent = redis.pcall('PUBLISH', PREFIX .. ':' .. ME, '')
local answer = reply('fine')
answer[5] = type(sent) == 'table' and sent.err or ''
return answer
