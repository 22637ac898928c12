#!/usr/bin/env python3
"""Nobody gets past the line by spelling: what a relay would serve as a message of an account waits as that account's.

Usage: run.py JUDGE [COUNT [SEED]]

COUNT random spellings of requests are shown to the readers of readers.py and to JUDGE (judge.c: turnstile's own
verdict). Each that any reader serves as a user's message must be gated, as the account of the key that the reader
finds. Of requests that show two different keys, no order suits all relays; there the reader's key must at least be
one of the two that turnstile tells. A tool's result that is spelt plainly must pass. Ends with what was served;
exits 1 with the request at the first that got past.
"""
import hashlib
import random
import subprocess
import sys

from readers import RELAYS, served
from spell import plain_tool_result, spell

KEYS = ("cr_6d79207365637265742d31", "sk-ant-api03-my-secret-2", "plainpassphrase")
PLAIN_EVERY = 20
SERVED_LEAST = 0.1  # of all: else the readers refuse everything, and the test shows nothing


def account(key):
    return "key-" + hashlib.sha256(key.encode("latin-1")).hexdigest()[:16]


def framed(request):
    out = [("%s %s %d %d\n" % (request.method, request.target, len(request.fields), len(request.body))).encode("latin-1")]
    for name, value in request.fields:
        name, value = name.encode("latin-1"), value.strip(" \t").encode("latin-1")
        out.append(b"%d %d\n%s%s\n" % (len(name), len(value), name, value))
    return b"".join(out) + request.body + b"\n"


def shown(request):
    """The keys that any field shows which a relay gets."""
    return {key for key in KEYS for _, value in request.forwarded().fields if key in value}


def past(request, verdict):
    """Which relay serves it, though it isn't gated as its account's; None if all is well."""
    gated, _, _, name, other = verdict
    for relay in RELAYS:
        key = served(relay, request, KEYS)
        if key is None:
            continue
        counts[relay] += 1
        twice = len(shown(request)) > 1 and account(key) == other
        two_keys["told"] += twice
        if gated != "1" or not (account(key) == name or twice):
            return relay
    return None


counts = dict.fromkeys(RELAYS, 0)
two_keys = {"told": 0}


def main():
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    r = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    requests = []
    for i in range(count):
        key, other = r.sample(KEYS, 2)
        requests.append(plain_tool_result(key) if i % PLAIN_EVERY == 0 else spell(r, key, other))
    out = subprocess.run([sys.argv[1]], input=b"".join(map(framed, requests)), stdout=subprocess.PIPE, check=True).stdout
    verdicts = [line.split() for line in out.decode().splitlines()]
    if len(verdicts) != count:
        sys.exit("%d verdicts on %d requests" % (len(verdicts), count))
    for i, (request, verdict) in enumerate(zip(requests, verdicts)):
        relay = past(request, verdict)
        if relay:
            sys.exit("%s serves what turnstile takes for %s:\n%s" % (relay, verdict, framed(request).decode("latin-1")))
        if i % PLAIN_EVERY == 0 and verdict[2] != "tool_result":
            sys.exit("a plain tool's result is %s" % verdict)
    print("of %d requests served as messages: %s; by another key than the first: %d" %
          (count, ", ".join("%s %d" % c for c in counts.items()), two_keys["told"]))
    sys.exit(min(counts.values()) < SERVED_LEAST * count)


main()
