#!/usr/bin/env python3
"""Runs the scripts of src/queue/redis/lua under random schedules, within a real redis-server.

usage: run.py [--schedules N] [--first N] [--world WORDS] [--bug NAME] [--trace] [--no-bugs]

Without --bug: N schedules of the scripts as they are must pass; then every bug of BUGS below, planted
in a copy, must be found. world.lua says what is simulated, rules.lua what must hold.
"""
import argparse
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../src/queue/redis/lua"))
import embed  # noqa: E402
from server import Redis  # noqa: E402

# What is smaller here than in the program, so that it is reached.
NUMBERS = {"LOCK_KEPT_PER_SHARE_MAX": 2, "HOLD_LAST_MS": 8000, "HOLD_PROBE_MS": 5000}
SCRIPTS = ["enter", "give_back", "renew", "touch", "sweep", "pause", "force", "remove",
           "extend", "stay", "retune", "hold", "release"]
WORLD = ["clock", "rules", "process", "world"]
BATCH = 50          # schedules in one call: some 100 ms
BUG_SCHEDULES = 10000   # within which a planted bug must be found

# What is planted: a list of (file, what it says, what it is to say instead); or flags of process.lua.
BUGS = {
    # turns and seats
    "the lock of another is released": [
        ("prelude", "local lock, seat = redis.call('GET', LOCK) == id,", "local lock, seat = true,")],
    "a renewal takes what was lost": [("prelude", "if not seated and text and not r then", "if false then")],
    "a confirmation takes what was lost": [("prelude", "elseif not seated and not in_use then", "elseif false then")],
    "one turn too many": [("prelude", "return holders < math.max", "return holders <= math.max")],
    "other seats don't count": [("prelude", "\t\t\tcount = count + 1\n", "\n")],
    "a seat outlives its lease": [("prelude", "elseif ends <= NOW or in_lock and", "elseif in_lock and")],
    "nobody hands on": [("give_back", "forget(id)\nserve()", "forget(id)")],
    "fewer turns than before don't count": [
        ("enter", "set_line('turns', ARGV[7])", "set_line('turns', whole(math.max(number('turns'), tonumber(ARGV[7]))))")],
    "more turns wait until somebody joins": [("retune", "settle()\nserve()\n", "\n")],
    "a pause is overlooked": [("prelude", " and not paused()\n", "\n")],
    "a hand-over without a lease": [("prelude", "take_seat(id, CONFIRM_MS, r)", "take_seat(id, 1e9, r)")],
    "a hand-over is used unconfirmed": "unconfirmed",
    "a fresh hand-over is taken for a whole lease": "whole_lease",
    "a fresh hand-over is confirmed late": "confirmed_late",
    "what a touch tells is used at once": "touch_at_once",
    "a touch tells nothing": [
        ("touch", "if holds(id) then", "if false then"),
        ("touch", "elseif not redis.call('ZSCORE', WAIT, id) then", "elseif false then")],
    "no freshness check": "any_age",
    "late answers are taken for new ones": "any_age lease_from_answer",
    "bad news count only for holders": "undoubted",
    "strays are left": "strays",
    "strays that may have been heard are left": "unheard",
    "give-backs aren't sent again": "unpaid",
    "copies of what has ended stay": "copies_stay",
    "a slot on its way, and places aren't kept": [
        ("stay", "if redis.call('ZSCORE', KEYS[1], ARGV[i])", "if false")],
    # losses
    "a deleted lock is forgotten": [("prelude", "\t\trestore(id, ends)\n\t\treturn true", "\t\tend_seat(id)")],
    "a deleted lock is set again in silence": [
        ("prelude", "\tr.broken = 'gone'\n\tput_record(id, r)\n\ttell(id, 'broken gone')", "")],
    "a turn that was lost is seated again in silence": [
        ("prelude", "\t\tr.broken = 'gone'\n\t\tin_lock = ", "\t\tin_lock = ")],
    "a lost turn leaves no trace": [("prelude", "put_end(id, 'lost', why)", "redis.call('HDEL', WHO, id)")],
    "a give-back finds nothing": "give_back_is_blind",
    "a renewal finds nothing": "broken_is_nothing",
    # places
    "dead waiters are kept": [("prelude", "\tnotice_absence()\n\tdrop_dead()\n", "\tnotice_absence()\n")],
    "the served stay in line": [("prelude", "\tleave_line(id, r)\n\tturn(", "\tturn(")],
    "places without a lease": [
        ("enter", "\trenew_lease(id)\n\tredis.call('ZADD', WAIT", "\tredis.call('ZADD', WAIT")],
    "absence is death": [
        ("prelude", "\tnotice_absence()\n\tdrop_dead()", "\tdrop_dead()"),
        ("touch", "notice_absence()\n", "\n"), ("enter", "notice_absence()\n", "\n")],
    "a grace without end": [("prelude", " and last ~= line.grace then", " then")],
    "a turn within the grace": [("prelude", "return lease ~= line.grace and id or nil", "return id")],
    "who finds the line full again gives nothing back": "full_is_all",
    # order
    "newcomers overtake": [("enter", "local free = waiting == 0 and", "local free =")],
    "last come, first served": [
        ("prelude", "local id, rank = unpack(redis.call('ZRANGE', WAIT, i, i, 'WITHSCORES'))\n\tlocal lease",
         "local id, rank = unpack(redis.call('ZRANGE', WAIT, -1, -1, 'WITHSCORES'))\n\tlocal lease")],
    "shares aren't remembered": [("prelude", "redis.call('ZADD', SHARES, exact(start + 1 / weight), as)", "")],
    "weights are overlooked": [("prelude", "exact(start + 1 / weight), as", "exact(start + 1), as")],
    "the virtual time stands still": [("prelude", "number('v') + step, start", "number('v'), start")],
    "the virtual time doesn't follow": [
        ("prelude", "exact(math.max(number('v') + step, start))", "exact(number('v') + step)")],
    "yielding is overlooked": [("prelude", "return start + yields +", "return start +")],
    "equal starts aren't told apart": [("prelude", " + number('seq') * 2 ^ -32", "")],
    "an empty line remembers its shares": [
        ("prelude", "\telse\n\t\tredis.call('DEL', SHARES, COUNT)\n\tend", "\tend"),
        ("prelude", "SHARES, COUNT) > 0 then\n\t\tredis.call('DEL', SHARES, COUNT)", "SHARES, COUNT) > 0 then")],
    "a lost place is joined anew": "rank_is_forgotten",
    "who comes back isn't remembered": [("enter", "redis.call('ZADD', SHARES, exact(finish), as)", "")],
    "a share has no bound": [("prelude", "return most > 0 and full()", "return false")],
    "who has left still counts": [("prelude", "count_share(r and r.share, -1)", "")],
    # kept places
    "a kept place is for everybody": [
        ("prelude", "\tdrop_kept(key)\n\tif tonumber(until_ms)", "\tif tonumber(until_ms)")],
    "a kept place is for ever": [("prelude", "if tonumber(until_ms) <= NOW then", "if false then")],
    "a share's kept places have no bound": [("prelude", "if n > C.LOCK_KEPT_PER_SHARE_MAX then", "if false then")],
    "kept places have no bound": [
        ("prelude", "most and redis.call('ZRANGE', KEPT_AT, 0, -most - 1) or {}", "{}")],
    "who is kept twice has the higher rank": [("prelude", "rank > tonumber(r.rank)", "rank < tonumber(r.rank)")],
    "a full line takes who had a place": [
        ("enter", "if not free and (waiting >= most", "if not free and keep_key == '-' and (waiting >= most")],
    # pace
    "the delay is overlooked": [("prelude", "math.max(math.min(last, NOW) + delay, NOW)", "NOW")],
    "the interval is overlooked": [("prelude", "math.min(number('begun'), NOW) + interval", "NOW")],
    "starts of those who hold are overlooked": [("prelude", "r and r.start and begins(r) + interval or 0", "0")],
    "a turn begins before one that was given before": [("prelude", "(interval > 0 or holders > 1) and", "interval > 0 and")],
    "starts of what is over are overlooked": [
        ("prelude", "if r and r.start and tonumber(r.start) <= NOW then", "if false then")],
    # the clock is set back
    "a waiter's lease from before": [
        ("prelude", "\t\trenew_lease(id)\n\tend\nend\n\n-- --- limits", "\tend\nend\n\n-- --- limits")],
    "a seat's lease from before": [
        ("prelude", "if ends > NOW + math.max(number('ttl'), CONFIRM_MS) then", "if false then")],
    "a start from before": [("prelude", "math.min(tonumber(r.start), NOW + r.start - r.given)", "tonumber(r.start)")],
    # limits of the upstream
    "a limit is overlooked": [("prelude", " and limit_allows() and", " and")],
    "all go when a limit is over": [("prelude", "holders == 0 and limit_left", "limit_left")],
    "a probe goes too soon": [("prelude", "and limit_left('probe', '') <= 0", "")],
    "a limit never ends": [("release", "set_line('limit_' .. name .. limit, nil)", "")],
    "a later word shortens a limit": [
        ("hold", "math.max(is_new and 0 or limit_left('until', limit), math.min(ms, C.HOLD_MAX_MS))",
         "math.min(ms, C.HOLD_MAX_MS)")],
    "a throttle doesn't grow": [("hold", "math.min(number('limit_refusals' .. limit), 10)", "0")],
    "a burst behind a limit": [("prelude", "number('easing') > 0 and delay or 0", "0")],
    "a limit from before the clock was set back": [("prelude", "\tsettle_limits()\n", "\n")],
    "who joins isn't told of a limit": [("enter", "a[8] = windows()", "a[8] = 0")],
    # limits of families of models
    "a family's limit is overlooked": [("prelude", "families = families + bit\n", "\n")],
    "a newcomer overlooks a family's limit": [("enter", " and not overlap(families, barred_families())", "")],
    "a family's limit is everybody's": [("hold", "if families == 0 then", "if true then")],
    "who is held blocks those behind": [("prelude", "if not is_barred[families] then", "if k == 1 and not is_barred[families] then")],
    "all of a family go when its limit is over": [("prelude", " or is_held_for(bit) then", " then")],
    "a family's probe goes too soon": [("prelude", "if limit_left('probe', ':' .. bit) > 0 or is_held_for(bit)", "if is_held_for(bit)")],
    "a family's probe is a turn like others": [("prelude", "is_limited(families_of(r)) and '1'", "line.limit_kind and '1'")],
    "a family's limit never ends": [("release", "local families, was = tonumber(ARGV[3]), false", "local families, was = 0, false")],
    "a word for one family is for all": [
        ("release", "ipairs(limits(families)) do", "ipairs(limits()) do"), ("release", "if has(families, bit) then", "if true then")],
    "families aren't written down": [("enter", "families = families > 0 and ARGV[19] or nil }", "families = nil }")],
    "who joins in front isn't looked at": [("enter", "\tlook_again_at(r.rank)\n", "\n")],
    "who was passed once is passed by others as well": [("prelude", "line.passed and line.passed_by == whole(barred) and", "line.passed and")],
    "a family's limit from before the clock was set back": [
        ("prelude", "for _, limit in ipairs(limits()) do\n\t\tlocal ahead", "for _, limit in ipairs(limits(0)) do\n\t\tlocal ahead")],
    # operators
    "an operator's order counts once": [
        ("enter", "\treturn reply('removed')", "\tredis.call('HDEL', WHO, id)\n\treturn reply('removed')")],
    "force doesn't tell": [("force", "\ttell(id, 'lost')\n", "\n")],
    "force hands nothing on": [("force", "serve()\nreturn reply(ended", "return reply(ended")],
    "who was forced may join again": [("force", "put_end(id, 'removed')", "")],
    "remove leaves its place": [("remove", "leave_line(id)\n", "\n")],
    "remove doesn't tell": [("remove", "tell(id, 'removed')\n", "\n")],
    "who was removed may join again": [("remove", "put_end(id, 'removed')", "")],
}


# In which worlds a bug shows: others aren't tried.
WORLDS = {
    "a turn that was lost is seated again in silence": "lossy",
    "a deleted lock is set again in silence": "lossy",
    "a slot on its way, and places aren't kept": "adrifts",
    "what a touch tells is used at once": "drops stops",
    "a waiter's lease from before": "sets_back",
    "a seat's lease from before": "sets_back",
    "a start from before": "sets_back",
    "a limit from before the clock was set back": "sets_back limits",
    "a fresh hand-over is confirmed late": "long ttl=9000",
    "absence is death": "goes_away",
    "a grace without end": "goes_away",
    "a kept place is for ever": "leaves keep_ms=3000",
    "a share's kept places have no bound": "leaves",
    "kept places have no bound": "leaves max_waiting=2 keep_ms=20000",
    "who is kept twice has the higher rank": "leaves",
    "who finds the line full again gives nothing back": "slow max_waiting=1",
    "more turns wait until somebody joins": "retunes",
    "fewer turns than before don't count": "retunes most_turns=3 turns=3",
    "a family's limit from before the clock was set back": "sets_back limits of_models",
    "a later word shortens a limit": "limits refuses most_turns=3 turns=3",
    "a throttle doesn't grow": "limits refuses",
    "a turn begins before one that was given before": "limits refuses most_turns=3 turns=3 delay=300 interval=0",
    "a word for one family is for all": "limits of_models refuses",
    "who was passed once is passed by others as well": "limits of_models refuses most_turns=3 turns=3",
}
OF_FAMILIES = ("who is held blocks those behind", "who joins in front isn't looked at",
               "who was passed once is passed by others as well")
for name in BUGS:
    if "famil" in name or name in OF_FAMILIES:
        WORLDS.setdefault(name, "limits of_models")
    elif "limit" in name or name in ("a probe goes too soon", "a throttle doesn't grow"):
        WORLDS.setdefault(name, "limits")

# Where some bugs were found last. They are looked for there first, as from the first schedule on it takes long; where that
# isn't so any more, they are looked for everywhere.
FOUND = {
    "who finds the line full again gives nothing back": 333,
    "a confirmation takes what was lost": 1680,
    "a seat outlives its lease": 494,
    "more turns wait until somebody joins": 285,
    "a hand-over without a lease": 2805,
    "a fresh hand-over is taken for a whole lease": 718,
    "what a touch tells is used at once": 187,
    "late answers are taken for new ones": 357,
    "bad news count only for holders": 1451,
    "give-backs aren't sent again": 838,
    "copies of what has ended stay": 422,
    "a slot on its way, and places aren't kept": 1696,
    "dead waiters are kept": 452,
    "a grace without end": 193,
    "who comes back isn't remembered": 1134,
    "a kept place is for ever": 183,
    "a share's kept places have no bound": 3535,
    "who is kept twice has the higher rank": 380,
    "a seat's lease from before": 2295,
    "an operator's order counts once": 1871,
    "remove leaves its place": 191,
    "who was removed may join again": 274,
}


def scripts(bug):
    """Functions of (KEYS, ARGV) in a table: what is in the directory, with the bug."""
    known = dict(embed.numbers(os.path.join(HERE, "../../src")), **NUMBERS)
    texts = {name: embed.read(name) for name in ["prelude"] + SCRIPTS}
    planted = BUGS.get(bug, [])
    for file, old, new in planted if isinstance(planted, list) else []:
        if texts[file].count(old) != 1:
            sys.exit("the bug \"%s\" can't be planted: %s.lua has changed" % (bug, file))
        texts[file] = texts[file].replace(old, new)
    for name in SCRIPTS:
        text = embed.with_numbers(known, embed.compact(embed.with_prelude(texts["prelude"], texts[name])))
        yield "SCRIPTS['%s'] = function(KEYS, ARGV)\n%s\nend\n" % (name, text)


def compose(bug, world):
    """One Lua text: the scripts as functions, and the world around them."""
    planted = BUGS.get(bug, [])
    parts = ["local real_redis, shim = redis, {}\nlocal redis = shim\nlocal SCRIPTS, BUGS = {}, {}\n"]
    if isinstance(planted, str):
        parts += ["BUGS.%s = true\n" % flag for flag in planted.split()]
    parts.append("local FORCED = { %s }\n" % ", ".join(w if "=" in w else w + "=true" for w in world.split()))
    parts += scripts(bug)
    for name in WORLD:
        parts.append(open(os.path.join(HERE, name + ".lua"), encoding="utf-8").read())
    return "".join(parts)


def run(redis, bug, first, schedules, trace, world=None):
    """The first schedule that fails, in that world or the bug's: [number, why, trace], or None."""
    sha = redis.call("SCRIPT", "LOAD", compose(bug, WORLDS.get(bug, "") if world is None else world))
    for start in range(first, first + schedules, BATCH):
        count = min(BATCH, first + schedules - start)
        failure = redis.call("EVALSHA", sha, 0, start, count, 0)
        if failure and trace:
            failure = redis.call("EVALSHA", sha, 0, failure[0], 1, 1)
        if failure:
            return failure
    return None


def check_scripts(redis, args):
    start = time.monotonic()
    failure = run(redis, None, args.first, args.schedules, True, args.world)
    if failure:
        print("\n".join(failure[2]))
        print("not ok: schedule %d: %s" % (failure[0], failure[1]))
        return False
    print("ok: %d schedules in %.1f s" % (args.schedules, time.monotonic() - start))
    return True


def check_bugs(redis, args):
    good = True
    for bug in BUGS:
        failure = run(redis, bug, FOUND[bug], 1, False) if bug in FOUND else None
        failure = failure or run(redis, bug, args.first, BUG_SCHEDULES, False)
        innocent = failure and run(redis, None, failure[0], 1, False, WORLDS.get(bug, ""))
        if innocent:
            print("not ok: schedule %d fails without \"%s\" as well: %s" % (innocent[0], bug, innocent[1]))
            good = False
        elif failure:
            print("ok: found \"%s\" in schedule %d: %s" % (bug, failure[0], failure[1]))
        else:
            print("not ok: \"%s\" isn't found in %d schedules" % (bug, BUG_SCHEDULES))
            good = False
        sys.stdout.flush()
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedules", type=int, default=3000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--bug", choices=sorted(BUGS))
    parser.add_argument("--world", help="what all schedules are to have, such as \"limits of_models\"")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--no-bugs", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    redis = Redis()
    try:
        if args.bug:
            failure = run(redis, args.bug, args.first, args.schedules, args.trace)
            print("\n".join((failure or [0, "nothing found", []])[2]))
            print(failure[:2] if failure else "nothing found")
            good = bool(failure)
        else:
            good = check_scripts(redis, args) and (args.no_bugs or check_bugs(redis, args))
    finally:
        redis.close()
    sys.exit(0 if good else 1)


main()
