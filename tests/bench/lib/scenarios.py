"""The scenarios. Each takes the bench and its settings, and returns the rows of its measures.

Rounds are interleaved: each round runs every peer once, one after another, so that whatever else
the machine does meets all of them alike.
"""
import os
import re
import statistics
import subprocess
import time

from . import load, peers
from .machine import LOAD, Process
from .table import Row


def percentile(values, of_100):
    values = sorted(values)
    return values[int((len(values) - 1) * of_100 / 100)]


def each_round(settings, group):
    for _ in range(settings.rounds):
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
    for start, waiters in each_round(settings, starters):
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


SCENARIOS = {
    "hand-off": hand_off, "deep-queue": deep_queue, "pass-through": pass_through,
    "floor": floor,
    "streams": streams, "memory": memory, "classification": classification,
}
