-- Keeps a turn for another ttl, or confirms one that was handed over. ARGV: ..., ticket, ttl in ms, 1 if
-- it is in use. Never takes one that was lost; but one in use that Redis has lost (started anew, failed
-- over, evicted) is seated again. The number replied is in how many ms the turn begins; behind the
-- common part, why it is lost, or what had happened to it, or ''; and 1 if it is a probe.
settle()
local kept, why = keep_turn(ARGV[3], ARGV[4], ARGV[5] == '1')
serve()
local r = kept and record(ARGV[3])
local answer = reply(kept and 'renewed' or 'lost', start_in(r))
answer[5], answer[6] = why or '', r and r.probe and 1 or 0
return answer
