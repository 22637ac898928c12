#!/usr/bin/env python3
"""Runs the scripts of src/queue/redis/lua under random schedules, within a real redis-server.

usage: run.py LUA_DIRECTORY [--schedules N] [--first N] [--bug NAME] [--trace] [--no-bugs]

Without --bug: N schedules of the scripts as they are must pass; then every bug of BUGS below, planted
in a copy, must be found. world.lua says what is simulated, rules.lua what must hold.
"""
import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = ["enter", "give_back", "renew", "touch", "sweep", "pause", "force", "remove",
           "extend", "stay"]
WORLD = ["clock", "rules", "process", "world"]
BATCH = 50          # schedules in one call: some 100 ms
BUG_SCHEDULES = 10000   # within which a planted bug must be found

# What is planted: a list of (file, what it says, what it is to say instead); or flags of process.lua.
BUGS = {
    "release without owner check": [
        ("give_back", "local held = redis.call('GET', LOCK) == id", "local held = true")],
    "renewal without owner check": [
        ("renew", "local held = holder == id", "local held = holder and true")],
    "renewal takes what was lost": [
        ("renew", "not holder and", "true and"), ("renew", "redis.call('HEXISTS', WHO, id)", "0")],
    "dead waiters are kept": [("prelude", "\tdrop_dead()\n", "\n")],
    "the served stay in line": [("prelude", "\tforget(id)\n\tlocal joined", "\tlocal joined")],
    "newcomers overtake": [
        ("enter", "advance()\n", "drop_dead()\n"),
        ("enter", "not holder and waiting == 0", "not holder")],
    "last come, first served": [
        ("prelude", "local id = redis.call('ZRANGE', WAIT, 0, 0)[1]\n\twhile",
         "local id = redis.call('ZRANGE', WAIT, -1, -1)[1]\n\twhile")],
    "places without a lease": [
        ("enter", "renew_lease(id)\nredis.call('ZADD', WAIT", "redis.call('ZADD', WAIT")],
    "nobody hands on": [("give_back", "forget_all(id)\nadvance()", "forget_all(id)")],
    "a pause is overlooked": [
        ("prelude", "redis.call('EXISTS', LOCK) == 1 or paused()", "redis.call('EXISTS', LOCK) == 1")],
    "a touch tells nothing": [("touch", "granted_here = holder", "local _ = holder")],
    "a hand-over without a lease": [
        ("prelude", "redis.pcall('SET', LOCK, id, 'PX', CONFIRM_MS)", "redis.pcall('SET', LOCK, id)")],
    "a hand-over is used unconfirmed": "unconfirmed",
    "a fresh hand-over is taken for a whole lease": "whole_lease",
    "a fresh hand-over is confirmed late": "confirmed_late",
    "what a touch tells is used at once": "touch_at_once",
    "no freshness check": "any_age",
    "late answers are taken for new ones": "any_age lease_from_answer",
    "bad news count only for holders": "undoubted",
    "strays are left": "strays",
    "strays that may have been heard are left": "unheard",
    "debts aren't paid": "unpaid",
    "a slot on its way, and places aren't kept": [
        ("stay", "if redis.call('ZSCORE', KEYS[1], ARGV[i])", "if false")],
    "who finds the line full again gives nothing back": "full_is_all",
    "an operator's order counts once": [
        ("enter", "\treturn reply('removed')", "\tredis.call('HDEL', WHO, id)\n\treturn reply('removed')")],
    "force doesn't tell": [("force", "tell(holder, 'lost')\n", "\n")],
    "force hands nothing on": [("force", "tell(holder, 'lost')\nadvance()", "tell(holder, 'lost')")],
    "who was forced may join again": [("force", "note_who(holder,", "local _ = (")],
    "remove leaves its place": [("remove", "forget(id)\n", "\n")],
    "remove doesn't tell": [("remove", "tell(id, 'removed')\n", "\n")],
    "who was removed may join again": [("remove", "note_who(id,", "local _ = (")],
}


class Redis:
    """A redis-server of our own, and just enough of its protocol."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="turnstile-model-")
        path = os.path.join(self.dir.name, "redis")
        self.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
             "--dir", self.dir.name], stdout=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + 20
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        self.input = self.socket.makefile("rb")

    def close(self):
        self.server.kill()
        self.server.wait()
        self.dir.cleanup()

    def call(self, *args):
        args = [str(a).encode() for a in args]
        self.socket.sendall(b"*%d\r\n" % len(args) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in args))
        return self._read()

    def _read(self):
        line = self.input.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else self.input.read(n + 2)[:-2].decode()
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise RuntimeError(rest.decode())
        return rest.decode()


def compose(directory, bug):
    """One Lua text: the scripts as functions, and the world around them."""
    texts = {name: open(os.path.join(directory, name + ".lua"), encoding="ascii").read()
             for name in ["prelude"] + SCRIPTS}
    planted = BUGS.get(bug, [])
    for file, old, new in planted if isinstance(planted, list) else []:
        if texts[file].count(old) != 1:
            sys.exit("the bug \"%s\" can't be planted: %s.lua has changed" % (bug, file))
        texts[file] = texts[file].replace(old, new)
    parts = ["local real_redis, shim = redis, {}\nlocal redis = shim\nlocal SCRIPTS, BUGS = {}, {}\n"]
    if isinstance(planted, str):
        parts += ["BUGS.%s = true\n" % flag for flag in planted.split()]
    for name in SCRIPTS:
        parts.append("SCRIPTS['%s'] = function(KEYS, ARGV)\n%s\n%s\nend\n"
                     % (name, "" if "KEYS[" in texts[name] else texts["prelude"], texts[name]))
    for name in WORLD:
        parts.append(open(os.path.join(HERE, name + ".lua"), encoding="utf-8").read())
    return "".join(parts)


def run(redis, directory, bug, first, schedules, trace):
    """The first schedule that fails: [number, why, trace], or None."""
    sha = redis.call("SCRIPT", "LOAD", compose(directory, bug))
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
    failure = run(redis, args.lua, None, args.first, args.schedules, True)
    if failure:
        print("\n".join(failure[2]))
        print("not ok: schedule %d: %s" % (failure[0], failure[1]))
        return False
    print("ok: %d schedules in %.1f s" % (args.schedules, time.monotonic() - start))
    return True


def check_bugs(redis, args):
    good = True
    for bug in BUGS:
        failure = run(redis, args.lua, bug, args.first, BUG_SCHEDULES, False)
        if failure:
            print("ok: found \"%s\" in schedule %d: %s" % (bug, failure[0], failure[1]))
        else:
            print("not ok: \"%s\" isn't found in %d schedules" % (bug, BUG_SCHEDULES))
            good = False
        sys.stdout.flush()
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lua")
    parser.add_argument("--schedules", type=int, default=10000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--bug", choices=sorted(BUGS))
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--no-bugs", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    redis = Redis()
    try:
        if args.bug:
            failure = run(redis, args.lua, args.bug, args.first, args.schedules, args.trace)
            print("\n".join((failure or [0, "nothing found", []])[2]))
            print(failure[:2] if failure else "nothing found")
            good = bool(failure)
        else:
            good = check_scripts(redis, args) and (args.no_bugs or check_bugs(redis, args))
    finally:
        redis.close()
    sys.exit(0 if good else 1)


main()
