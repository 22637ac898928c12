#!/usr/bin/env python3
"""Compares programs that order a line (src/queue/order.h says by which rule) with the rule itself,
bit for bit, over random histories.

usage: tests/order/run.py PROGRAM... [-- SEED...]

A program reads a history and answers each line; tests/order/driver.c says how. Python's floats are
C's doubles, and each operation is written down here once more, from the rule. So programs that all
agree with it also agree with each other.
"""
import bisect
import random
import subprocess
import sys

WEIGHTS = (1, 1, 1, 0.01, 0.25, 1 / 3, 0.7, 2, 3, 7.7, 64, 100)
SHARES_MAX = 4096
STEPS_MIN = 64


class Line:
    """The rule. Who waits is kept sorted, so that the lowest rank is the first."""

    def __init__(self):
        self.now, self.joined = 0.0, 0
        self.finish = {}
        self.waiting = []
        self.guests = {}

    def join(self, share, weight, yields):
        name = share + ("~" if yields else "")
        start = max(self.now, self.finish.get(name, 0.0))
        self.finish[name] = start + 1 / weight
        while len(self.finish) > SHARES_MAX:
            del self.finish[min(self.finish, key=self.finish.get)]
        self.joined += 1
        rank = start + yields + self.joined * 2.0**-32
        self.guests[self.joined] = rank, start, weight
        bisect.insort(self.waiting, (rank, self.joined))
        return rank, start

    def turn(self):
        number = self.waiting.pop(0)[1]
        _, start, weight = self.guests.pop(number)
        step = min(1, 1 / weight) / max(STEPS_MIN, len(self.waiting))
        self.now = max(self.now + step, start)
        self.finish = {name: at for name, at in self.finish.items() if at > self.now}
        self.forget_if_empty()
        return number

    def leave(self, number):
        self.waiting.remove((self.guests.pop(number)[0], number))
        self.forget_if_empty()
        return len(self.waiting)

    def forget_if_empty(self):
        if not self.waiting:
            self.finish = {}


def history(seed):
    """Lines for the programs, and what the rule answers. Each seed is of another kind."""
    pick = random.Random(seed)
    shares = pick.choice((1, 2, 5, 60, 1000, 20000))
    weights = [pick.choice(WEIGHTS) for _ in range(shares)]
    yielding = pick.choice((0, 0, 0.3))
    rounds = pick.choice((1, 20, 1000))
    # How full the line tends to be; the cap on shares shows only in a full one.
    fill = 6000 if shares == 20000 else pick.choice((1, 3, 100, 1500))
    line = Line()
    for _ in range(12000 if shares == 20000 else 4000):
        what = pick.random()
        if not line.waiting or what < (0.75 if len(line.waiting) < fill else 0.35):
            share = pick.randrange(shares)
            yields = rounds if pick.random() < yielding else 0
            yield (f"join s{share} {weights[share]!r} {yields}",
                   line.join(f"s{share}", weights[share], yields))
        elif what < 0.9:
            yield "turn", (line.turn(),)
        else:
            number = line.waiting[pick.randrange(len(line.waiting))][1]
            yield f"leave {number}", (line.leave(number),)


def number(text):
    return float.fromhex(text) if "x" in text else int(text)


def compare(program, seed):
    asked, wanted = zip(*history(seed))
    answer = subprocess.run([program], input="\n".join(asked) + "\n", text=True, check=True,
                            capture_output=True, timeout=120).stdout.splitlines()
    for i, (line, want) in enumerate(zip(asked, wanted)):
        got = tuple(map(number, answer[i].split())) if i < len(answer) else None
        if got != want:
            sys.exit(f"{program}, seed {seed}, line {i + 1}: {line}: {got}, not {want}")
    if len(answer) != len(asked):
        sys.exit(f"{program}, seed {seed}: {len(answer)} answers to {len(asked)} lines")
    return len(asked)


def main():
    programs, _, seeds = " ".join(sys.argv[1:]).partition(" -- ")
    seeds = [int(s) for s in seeds.split()] or range(1, 25)
    for program in programs.split():
        lines = sum(compare(program, seed) for seed in seeds)
        print(f"{program}: the same bits on {len(seeds)} histories of {lines} lines in all")


if __name__ == "__main__":
    main()
