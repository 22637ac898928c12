"""The scenarios. Each takes the bench and its settings, and returns the rows of its measures.

Rounds are interleaved: each round runs every peer once, one after another, so that whatever else
the machine does meets all of them alike.
"""
import json
import os
import re
import statistics
import subprocess
import time

from . import load, peers
from .machine import LOAD, PROXY, Process
from .table import Row


def percentile(values, of_100):
    values = sorted(values)
    return values[int((len(values) - 1) * of_100 / 100)]


def each_round(settings, group, most=5):
    for _ in range(min(settings.rounds, most)):
        yield from group


def hand_off(bench, settings):
    """Bursts of one account."""
    group = [peers.turnstile(bench), peers.polling(bench)]
    if not settings.smoke:
        group += [peers.turnstile_redis(bench), peers.haproxy_one(bench)]
    rows = [Row("hand-off", "p50, ms", 3, target="≤ 0.15, Redis ≤ 0.3"),
            Row("hand-off", "p99, ms", 3, target="≤ 1"),
            Row("hand-off", "max, ms", 3),
            Row("hand-off", "wall / ideal", 3, target="≤ 1.02"),
            Row("hand-off", "inversions in 20", 1, target="0")]
    for peer in each_round(settings, group):
        bursts = 1 if settings.smoke or peer.name == "polling" else 3
        result, _ = load.run(bench, "bursts", peer, bursts=bursts, upstream=bench.upstream_port,
                             connections=5 if settings.smoke else 20)
        bursts = result["bursts"]
        gaps = [g / 1000 for b in bursts for g in b["gaps_us"]]
        values = [percentile(gaps, 50), percentile(gaps, 99), max(gaps),
                  statistics.median(b["wall_over_ideal"] for b in bursts),
                  statistics.mean(b["inversions"] for b in bursts)]
        for row, value in zip(rows, values):
            row.add(peer.name, value)
    return rows


def deep_queue(bench, settings):
    """1,000 connections of one account, each asking again: there are always 999 that wait."""
    group = [peers.turnstile(bench), peers.turnstile_redis(bench), peers.haproxy_one(bench)]
    rows = [Row("deep queue, 1,000", "turns/s (1 ms service)", 0, more_is_better=True),
            Row("deep queue, 1,000", "CPU of the proxy a turn, µs", 0),
            Row("deep queue, 1,000", "CPU of Redis a turn, µs", 0)]
    for peer in each_round(settings, group):
        result, spent = load.run(bench, "turns", peer, connections=1000, service_us=1000,
                                 warm_ms=500, run_ms=1000)
        rows[0].add(peer.name, result["answered"] / result["seconds"])
        for row, cpu in zip(rows[1:], spent):
            row.add(peer.name, cpu * 1e6 / result["answered"])
    return rows


PASS_SIZES = [  # name, bytes of body, connections, target of the rate's ratio
    ("GET", 0, 32, "≥ 0.6 ×"), ("27 KB", 27_000, 32, "≥ 0.8 ×"),
    ("200 KB", 200_000, 16, "≥ 0.9 ×"), ("2 MB", 2_000_000, 8, "≥ 0.9 ×")]


def pass_through(bench, settings):
    """Requests that don't wait: small GETs, and tool results of three sizes."""
    group = [peers.turnstile(bench), peers.nginx(bench), peers.haproxy(bench),
             peers.direct(bench)]
    rows = []
    for name, size, connections, target in PASS_SIZES:
        path = "/v1/messages" if size else "/v1/models"
        new = [Row("pass-through", f"{name}: requests/s", 0, more_is_better=True, target=target),
               Row("pass-through", f"{name}: p99, ms", 2),
               Row("pass-through", f"{name}: CPU a request, µs", 1),
               Row("pass-through", f"{name}: its core is busy, %", 0, only="none")]
        for peer in group:
            load.wrk(bench, peer, path, size, connections, 0.3)
        for peer in each_round(settings, group):
            result, spent = load.wrk(bench, peer, path, size, connections, settings.seconds)
            values = [result["answered"] / result["seconds"], result["p99_us"] / 1000,
                      spent[0] * 1e6 / result["answered"], result["busy"] * 100]
            for row, value in zip(new, values):
                row.add(peer.name, value)
        rows += new
    return rows


def floor(bench, settings):
    """What the libraries alone cost: the plainest server on one, the plainest client on the other.

    A proxy has to be both. Its sum is what one that leaves all to them can't go below.
    """
    ours, server = peers.turnstile(bench), peers.floor_server(bench)
    rows = []
    for name, size, connections, _ in PASS_SIZES:
        path = "/v1/messages" if size else "/v1/models"
        row = Row("floor", f"{name}: CPU a request, µs", 1)
        for peer in (ours, server):
            load.wrk(bench, peer, path, size, connections, 0.3)
        for _ in range(min(settings.rounds, 3)):
            spent = {}
            for peer in (ours, server):
                result, cpu = load.wrk(bench, peer, path, size, connections, settings.seconds)
                spent[peer.name] = cpu[0] / result["answered"]
            spent["libcurl"] = load.floor_client(bench, size, connections,
                                                 settings.seconds / 2)
            spent["both libraries"] = spent["libmicrohttpd"] + spent["libcurl"]
            for peer, seconds in spent.items():
                row.add(peer, seconds * 1e6)
        rows.append(row)
    return rows


def streams(bench, settings):
    """200 streams with an event every 10 ms each."""
    group = [peers.turnstile(bench), peers.nginx(bench), peers.haproxy(bench),
             peers.direct(bench)]
    names = ["p50, ms", "p99, ms", "max, ms"]
    rows = [Row("200 streams", "event is late: " + n, 3, only="none") for n in names]
    added = [Row("200 streams", "added: p50, ms", 3, target="≤ 0.2"),
             Row("200 streams", "added: p99, ms", 3, target="≤ 2")]
    cpu = Row("200 streams", "CPU an event, µs", 1, target="≤ 1.5 × HAProxy", only="HAProxy")
    for peer in each_round(settings, group):
        result, spent = load.run(bench, "streams", peer, run_ms=settings.seconds * 1000)
        for row, key in zip(rows, ["p50_us", "p99_us", "max_us"]):
            row.add(peer.name, result[key] / 1000)
        if peer.name != "direct":
            cpu.add(peer.name, spent[0] * 1e6 / result["events"])
    for row, late in zip(added, rows):
        for peer in [p.name for p in group if p.name != "direct"]:
            for value, base in zip(late.values[peer], late.values["direct"]):
                row.add(peer, value - base)
    return rows + added + [cpu]


def held(bench, peer, window_s=0.0, **options):
    """Holds connections: (RSS they added, CPU seconds a second while they wait)."""
    peer.proxy.settle()
    before = peer.proxy.rss_bytes()
    holding = load.Load(bench, "held", peer, **options)
    peer.proxy.settle()
    rss = peer.proxy.rss_bytes() - before
    start, cpu = time.monotonic(), holding.spent()[0]
    time.sleep(window_s)
    cost = (holding.spent()[0] - cpu) / (time.monotonic() - start) if window_s else 0
    result, _ = holding.result()
    if result["refused"]:
        raise RuntimeError(f"{peer.name}: {result['refused']} of the held were refused")
    return rss, cost


def memory(bench, settings):
    """5,000 idle streams; 5,000 waiters with 20 KB each. A fresh proxy each time."""
    count, body = 5000, 20_000
    rows = [Row("memory, 5,000", "KiB an idle stream", 1, target="≤ 64"),
            Row("memory, 5,000", "KiB a waiter, above its 20 KB body", 1, target="≤ 32")]
    starters = [(peers.turnstile, 0), (peers.nginx, 0), (peers.haproxy, 0), (peers.turnstile, 1),
                (peers.turnstile_redis, 1), (peers.haproxy_one, 1)]
    for start, waiters in each_round(settings, starters, 2):
        peer = start(bench)
        rss, _ = held(bench, peer, connections=count, streams=not waiters, bytes=body)
        rows[waiters].add(peer.name, (rss / count - (body if waiters else 0)) / 1024)
        peer.stop()
    return rows


def scanner(bench):
    """GB/s of the scanner and of cJSON, on each of the bodies that bench_scanner makes."""
    text = subprocess.run([bench.program("scanner")], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    found = re.findall(r"^(.*?) +\d+ bytes +scanner +([\d.]+) GB/s +cJSON +([\d.]+) GB/s", text,
                       re.M)
    rows = []
    for name, ours, cjson in found:
        for what, value in (("scanner", ours), ("cJSON", cjson)):
            rows.append(Row("classification", f"{what}, {name}: GB/s", 2, target=""))
            rows[-1].add("turnstile", float(value))
    return rows


POSTS = [("not looked at", {"looked_at": 0}), ("a tool's result", {}),
         ("a user message", {"gated": 1})]


def longest_stall_ms(bench, settings, peer, options):
    """Of 50 streams, while 20 MiB bodies go by one after another; without any if options is None."""
    # The bodies' sender yields its core to the streams' ends: those are what is measured.
    beside = options is not None and load.Load(bench, "posts", peer, nice=15, run_ms=30_000,
                                               **options)
    result, _ = load.run(bench, "streams", peer, connections=50, run_ms=settings.seconds * 600)
    if beside:
        beside.kill()
        if peer.proxy:
            peer.proxy.settle()
    return result["max_us"] / 1000


def classification(bench, settings):
    """20 MiB bodies, one after another, and 50 streams beside them."""
    ours = peers.turnstile(bench)
    others = [peers.haproxy(bench), peers.direct(bench)] if not settings.smoke else []
    took = {name: Row("classification", f"20 MiB, {name}: ms", 1) for name, _ in POSTS}
    added = Row("classification", "added by classifying 20 MiB, ms", 1)
    stall = {name: Row("classification", f"longest stall of streams beside 20 MiB, {name}: ms", 2,
                       target="≤ 5" if name != "not looked at" else "")
             for name, _ in [("none", None), *POSTS]}
    for _ in range(settings.rounds):
        for name, options in POSTS:
            result, _ = load.run(bench, "posts", ours, run_ms=settings.seconds * 400, **options)
            took[name].add("turnstile", statistics.median(result["ms"]))
        added.add("turnstile", took["a tool's result"].values["turnstile"][-1]
                  - took["not looked at"].values["turnstile"][-1])
        for name, options in [("none", None), *POSTS]:
            for peer in [ours, *others] if name in ("none", "not looked at") else [ours]:
                stall[name].add(peer.name, longest_stall_ms(bench, settings, peer, options))
    return [*took.values(), added, *stall.values(), *scanner(bench)]


STREAMS = {"connections": 50}
LINE = {"connections": 20, "service_us": 2000}  # bursts of 40 ms


def line_of(bench, **options):
    return {**LINE, "upstream": bench.upstream_port, **options}


def gaps_ms(result):
    return [g / 1000 for b in result["bursts"] for g in b["gaps_us"]]


def add_gaps(rows, peer, result):
    gaps = gaps_ms(result)
    for row, value in zip(rows, (percentile(gaps, 50), percentile(gaps, 99))):
        row.add(peer.name, value)


BESIDE = [  # what, the load's mode, its options
    ("nothing", None, {}),
    ("uploads of 20 MiB", "posts", {}),
    ("5,000 GET/s", "rate", {"per_second": 5000})]


def beside(bench, settings):
    """One account's line while something else passes, whose sender yields its core."""
    group = [peers.turnstile(bench), peers.turnstile_redis(bench), peers.haproxy_line(bench)]
    rows = {name: [Row("hand-off beside " + name, "p50, ms", 2),
                   Row("hand-off beside " + name, "p99, ms", 2)] for name, _, _ in BESIDE}
    for peer in each_round(settings, group, 3):
        for name, mode, options in BESIDE:
            other = mode and load.Load(bench, mode, peer, nice=15, run_ms=30_000, **options)
            result, _ = load.run(bench, "bursts", peer, **line_of(bench, bursts=12))
            if other:
                other.kill()
                peer.proxy.settle()
            add_gaps(rows[name], peer, result)
    return [row for pair in rows.values() for row in pair]


SHARES = [  # what, turnstile's options, the load's
    ("one share", (), {}),
    ("one share, queue.order = arrival", ("queue.order=arrival",), {}),
    ("20 shares", (), {"shares": 20}),
    ("20 shares, 4 turns", ("queue.turns=4",),
     {"shares": 20, "turns": 4, "service_us": 4 * LINE["service_us"], "gap_us": 500})]


def shares(bench, settings):
    """Hand-offs under the rules of the line; the program of --before knows one rule."""
    rows = {name: [Row("hand-off, " + name, "p50, ms", 3), Row("hand-off, " + name, "p99, ms", 3),
                   Row("hand-off, " + name, "CPU of the proxy a turn, µs", 0)]
            for name, _, _ in SHARES}
    group = []
    for name, options, loads in SHARES:
        options = ("account.source=static:all", *options)
        group += [(name, loads, start(bench, *options))
                  for start in (peers.turnstile, peers.turnstile_redis)]
        if bench.before and not loads:
            group.append((name, loads, peers.before(bench, options[0])))
    for name, loads, peer in each_round(settings, group, 3):
        result, spent = load.run(bench, "bursts", peer, **line_of(bench, bursts=12, **loads))
        add_gaps(rows[name], peer, result)
        rows[name][2].add(peer.name, spent[0] * 1e6 / (12 * LINE["connections"]))
    return [row for three in rows.values() for row in three]


LINES = [(waiters, shares) for waiters in (10, 10_000) for shares in (1, 1000)]


def line(bench, _):
    """The backends alone: joining, a turn handed on and its holder joining again, leaving."""
    rows = []
    redis = peers.turnstile_redis(bench).processes[1]
    for waiters, number in LINES:
        args = [bench.program("line"), "--waiters", waiters, "--shares", number]
        new = {what: Row(f"line of {waiters:,}, {number:,} share{'s' * (number > 1)}",
                         f"CPU of {what}, µs", 1)
               for what in ("joining", "turn", "leaving")}
        for peer, ops, of_redis in (
                ("turnstile", 5000, ()),
                ("turnstile, Redis", 1000, ("--redis_pid", redis.pid, redis.url))):
            with Process([*args, "--ops", ops, *of_redis], PROXY, stdout=subprocess.PIPE) as p:
                result = json.loads(p.child.stdout.read())
            for what, row in new.items():
                row.add(peer, sum(result[what]))
        rows += new.values()
    return rows


ARRIVALS = 9_500  # each takes two descriptors of a proxy, and often there are 20,000
def arrivals(bench, settings):
    """Connections that come at once, each with a message; streams and one account's line beside them.

    A fresh proxy each time. The arrivals' sender yields its core to those that are measured.
    """
    count = 200 if settings.smoke else ARRIVALS
    what = f"{count:,} arrivals at once"
    starters = [peers.turnstile, *([peers.before] if bench.before else []), peers.haproxy_line]
    rows = [Row(what, "all answered after, s", 2),
            Row(what, "longest time without an answer, ms", 1),
            Row(what, "streams beside them: longest gap, ms", 1, target="≤ 50"),
            Row(what, "hand-offs beside them: p50, ms", 2),
            Row(what, "hand-offs beside them: p99, ms", 2, target="≤ 5"),
            Row(what, "CPU of the proxy an arrival, µs", 0)]
    for start in each_round(settings, starters, 3):
        peer = start(bench)
        others = [load.Load(bench, "streams", peer, run_ms=60_000, until_eof=1, **STREAMS),
                  load.Load(bench, "bursts", peer, until_eof=1,
                            **line_of(bench, bursts=10_000))]
        come, spent = load.run(bench, "arrivals", peer, nice=15, connections=count)
        streams_beside, turns = [o.result()[0] for o in others]
        gaps = gaps_ms(turns)
        values = [come["seconds"], come["longest_gap_us"] / 1000, streams_beside["max_us"] / 1000,
                  percentile(gaps, 50), percentile(gaps, 99), spent[0] * 1e6 / count]
        for row, value in zip(rows, values):
            row.add(peer.name, value)
        peer.stop()
    return rows


SCENARIOS = {
    "hand-off": hand_off, "deep-queue": deep_queue, "pass-through": pass_through,
    "floor": floor,
    "streams": streams, "memory": memory, "classification": classification,
    "arrivals": arrivals, "beside": beside, "shares": shares, "line": line,
}
