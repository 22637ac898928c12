-- Keeps a turn for another ttl, or confirms one that was handed over. ARGV: ..., ticket, ttl in ms, 1 if
-- it is in use. Never takes one that was lost; but one in use that Redis has lost (started anew, failed
-- over, evicted) is seated again. The number replied is in how many ms the turn begins; behind the common part, why it is
-- lost, or what had happened to it, or ''.
settle()
local kept, why = keep_turn(ARGV[3], ARGV[4], ARGV[5] == '1')
serve()
local answer = reply(kept and 'renewed' or 'lost', kept and start_in(ARGV[3]) or 0)
answer[5] = why or ''
return answer
