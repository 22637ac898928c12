"""How cost grows with accounts and waiters: rows, and a chart of them."""
import os
import resource
import subprocess

from . import load, peers
from .scenarios import held
from .table import Row

# a request takes two descriptors
MOST = 10_000 if resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 21_000 else 9_500
SIZES = [1, 10, 100, 1000, MOST]
SHAPES = [  # name, how it is started, accounts of n requests
    ("one account", peers.turnstile, lambda n: 1),
    ("a holder and a waiter each", peers.turnstile, lambda n: max(n // 2, 1)),
    ("one account", peers.turnstile_redis, lambda n: 1),
]
BODY_BYTES = 1000
CHART = os.path.join(os.path.dirname(__file__), "..", "growth.svg")

GNUPLOT = """
set terminal svg size 980,330 font "sans-serif,12" background "#ffffff"
set output "{svg}"
set multiplot layout 1,3 margins 0.07,0.985,0.17,0.88 spacing 0.075,0
set logscale x
set xrange [0.7:14000]
set format x "10^{{%T}}"
set xlabel "requests in the house"
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
set key off
set style line 1 lc rgb "#1b6ca8" lw 2 pt 7 ps 0.7
set style line 2 lc rgb "#d1495b" lw 2 pt 5 ps 0.7
set style line 3 lc rgb "#66a182" lw 2 pt 9 ps 0.7
{plots}
unset multiplot
"""


def one(bench, start, accounts, n, settings):
    """(turns/s, CPU µs a turn, CPU ms a second of waiting, KiB a request) with n requests."""
    peer = start(bench)
    common = {"connections": n, "accounts": accounts, "bytes": BODY_BYTES}
    # many have timers enough to need a whole second of watching
    window = settings.seconds * (1 if n >= 1000 else 0.25)
    rss, cost = held(bench, peer, window_s=window, **common)
    peer.proxy.settle()
    # thousands that go to the upstream at once have to connect there first
    warm = 3000 if min(n, accounts) > 1000 else 200
    result, spent = load.run(bench, "turns", peer, warm_ms=settings.seconds * warm,
                             run_ms=settings.seconds * 300, **common)
    peer.stop()
    answered = max(result["answered"], 1)
    return (result["answered"] / result["seconds"], sum(spent) * 1e6 / answered, cost * 1000,
            rss / n / 1024)


def chart(rows, path):
    """Medians over n, a panel a measure, a line a shape."""
    panels = [("turns a second", "requests/s"), ("CPU while they wait", "ms/s"),
              ("memory each", "KiB")]
    plots = []
    for panel, (title, unit) in enumerate(panels):
        lines, data = [], []
        for style, (name, start, _) in enumerate(SHAPES, 1):
            column = "turnstile, Redis" if start is peers.turnstile_redis else "turnstile"
            label = f"{name}, Redis" if column != "turnstile" else name
            lines.append(f"'-' with linespoints ls {style} title '{label}'")
            for n in SIZES:
                row = rows[name, n][panel]
                if column in row.values:
                    data.append(f"{n} {row.median(column):.4f}")
            data.append("e")
        key = "set key top left vertical Left reverse samplen 2" if panel == 1 else "set key off"
        log = "set logscale y" if panel == 2 else "unset logscale y; set yrange [0:*]"
        plots += [key, log, f"set title '{title} ({unit})'", "plot " + ", ".join(lines), *data]
    subprocess.run(["gnuplot"], input=GNUPLOT.format(svg=path, plots="\n".join(plots)), text=True,
                   check=True)


def growth(bench, settings):
    """1 to 10,000 (or 9,500) requests in the house, in one account and in many."""
    rows = {}
    for name, _, _ in SHAPES[:2]:
        for n in SIZES:
            what = f"{n:,} requests, {name}"
            rows[name, n] = [Row("growth", f"{what}: turns/s", 0, more_is_better=True),
                             Row("growth", f"{what}: CPU while they wait, ms/s", 2),
                             Row("growth", f"{what}: KiB each", 1),
                             Row("growth", f"{what}: CPU a turn, µs", 0)]
    for _ in range(min(settings.rounds, 2)):
        for name, start, accounts in SHAPES:
            column = "turnstile, Redis" if start is peers.turnstile_redis else "turnstile"
            for n in SIZES:
                turns, cpu, waiting, kib = one(bench, start, accounts(n), n, settings)
                for row, value in zip(rows[name, n], (turns, waiting, kib, cpu)):
                    row.add(column, value)
    chart(rows, settings.chart)
    return [row for four in rows.values() for row in four]
