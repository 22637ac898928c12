#!/usr/bin/env python3
"""src/queue/redis/lua/prelude.lua as a program, for tests/order/run.py: what driver.c is for order.c.

It runs in a real redis-server, some lines a call, so that all numbers also go through the line's keys.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.join(HERE, "../../src")
sys.path[:0] = [os.path.join(HERE, "../model"), os.path.join(SRC, "queue/redis/lua")]
import embed  # noqa: E402
from server import Redis  # noqa: E402

LINES = 50  # of one call
KEYS = ["lock", "last", "wait", "alive", "pause", "who", "times", "seats", "line", "shares", "count", "kept", "kept_at"]
SCRIPT = """
local answers = {}
holders = 1 -- whoever has the turn: so serve() gives out none

local function leaves(id)
	redis.call('ZREM', WAIT, id)
	redis.call('HDEL', WHO, id)
end

for i = 3, #ARGV do
	local as, weight, yields = string.match(ARGV[i], '^join (%S+) (%S+) (%d+)$')
	if as then
		local rank, start = join(tonumber(yields) > 0 and as .. '~' or as, tonumber(weight), tonumber(yields))
		redis.call('ZADD', WAIT, exact(rank), line.seq)
		redis.call('HSET', WHO, line.seq, exact(start) .. ' ' .. weight)
		answers[#answers + 1] = exact(rank) .. ' ' .. exact(start)
	elseif ARGV[i] == 'turn' then
		local id = redis.call('ZRANGE', WAIT, 0, 0)[1]
		local start, weight = string.match(redis.call('HGET', WHO, id), '^(%S+) (%S+)$')
		leaves(id)
		turn(tonumber(start), tonumber(weight), redis.call('ZCARD', WAIT))
		answers[#answers + 1] = id
	else
		leaves(string.match(ARGV[i], '^leave (%d+)$'))
		serve()
		answers[#answers + 1] = whole(redis.call('ZCARD', WAIT))
	end
end
save_line()
return answers
"""


def as_driver_has_it(answer):
    words = answer.split()
    return " ".join(float(word).hex() for word in words) if len(words) == 2 else answer


def main():
    text = embed.with_numbers(embed.numbers(SRC), embed.compact(embed.read("prelude") + SCRIPT))
    lines = sys.stdin.read().splitlines()
    redis = Redis()
    try:
        sha = redis.call("SCRIPT", "LOAD", text)
        for i in range(0, len(lines), LINES):
            for answer in redis.call("EVALSHA", sha, len(KEYS), *KEYS, "p", "me.1", *lines[i:i + LINES]):
                print(as_driver_has_it(answer))
    finally:
        redis.close()


main()
