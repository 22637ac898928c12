#!/usr/bin/env python3
"""Bytes that nobody should send, by count and seed: heads of requests, and JSON for operators' changes.

Usage: hostile.py --program TURNSTILE [--count N] [--seed N]

A head that is damaged anywhere is either refused, and the upstream hears nothing of it; or it was well-formed still, and
the upstream gets the fields that a plain reader finds in it. A change that is damaged is refused with
an error object in UTF-8, or has values that are allowed; one that isn't is made. The program serves all the while, and ends as it should. Exits 1 at the first finding,
with its seed.
"""
import argparse
import json
import random
import re
import socket
import sys
import urllib.error
import urllib.request

from conformance import Program
from wire import CTL, LIMIT, TOKEN, Reader, Upstream, read_response

TOKENS = [b"\0", b"\0", b"\r", b"\n", b"\r\n", b"\0\r\n", b"\r\n ", b" ", b"\t", b":", b"\x7f", b"\xff", b"X-A: 1\r\n",
          b"Content-Length: 0\r\n", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: h\r\n",
          b"Connection: x-a\r\n", b"HTTP/1.1", b"HTTP/1.0", b"\r\n\r\n"]
HEAD = b"GET /r?tag=%d HTTP/1.1\r\nHost: h\r\nX-A: one\r\nX-B: two, three\r\nX-C:\r\n\r\n"
HOP = {b"connection", b"keep-alive", b"te", b"upgrade", b"host", b"content-length", b"transfer-encoding"}


def damaged(r, data, tokens):
    for _ in range(r.randint(1, 3)):
        at, end = r.randrange(len(data) + 1), r.randrange(len(data) + 1)
        data = r.choice([
            lambda: data[:at] + r.choice(tokens) + data[at:],
            lambda: data[:at] + r.choice(tokens) + data[at + 1:],
            lambda: data[:at] + data[at + 1:],
            lambda: data[:at] + bytes([r.randrange(256)]) + data[at + 1:],
            lambda: data[:min(at, end)] + data[max(at, end):],
        ])()
    return data


def plain_fields(raw):
    """The fields of the first head in it, if it is one by RFC 9112; else None."""
    head, end, _ = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not end or not re.match(rb"^[^ ]+ [^ ]+ HTTP/1\.[0-9]$", lines[0]):
        return None
    found = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name) or CTL.search(value):
            return None
        found.append((name.lower(), value.strip(b" \t")))
    return found


# What libmicrohttpd before 1.0 reads as a well-formed head, or as the end of one: two mistakes that make up for each
# other. Also behind others on the same connection, with the body of the last one in the same piece.
UNSEEN = [b"GET /r HTTP/1.1\r\nHost: h\r\nX-A: 1\0\nX-B: 2\r\n\r\n", b"GET /r HTTP/1.1\0\nHost: h\r\n\r\n",
          b"GET /r HTTP/1.1\r\nHost: h\r\n\0\n", b"GET /r HTTP/1.1\r\nHost: h\r\n:\n",
          b"GET /r HTTP/1.1\r\nHost: h\r\n:\nGET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"]
FIRST = b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n\r\n\0\n:"


def unseen(program, upstream):
    for raw in UNSEEN:
        for before in b"", FIRST, FIRST + FIRST:
            whole, n = before + raw, before.count(b"POST")
            for cut in range(0, len(whole), 7 if before else 1):
                seen = upstream.begin(lambda m, s: s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"), None)
                with socket.create_connection(program.address, LIMIT) as s:
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    s.sendall(whole[:cut])
                    s.sendall(whole[cut:])
                    reader = Reader(s)
                    answers = [read_response(reader).status for _ in range(n + 1)]
                # 0: closed without a word
                if answers[:-1] != [204] * n or answers[-1] not in (400, 0) or len(upstream.wait(seen, n)) != n:
                    raise SystemExit(f"{whole!r}, cut at {cut}, was answered {answers}: {[g.raw for g in seen['seen']]}")
    print(f"{len(UNSEEN)} heads that look well-formed, refused")


def is_earlier(request, i):
    """A request of before, whose answer came so late that nobody waited for it any more."""
    tag = re.match(rb"^/r\?tag=(\d+)$", request.target)
    return tag and i - 50 < int(tag[1]) < i


def heads(r, program, upstream, count):
    passed = 0
    for i in range(count):
        raw = damaged(r, HEAD % i, TOKENS)
        seen = upstream.begin(lambda m, s: s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"), None)
        with socket.create_connection(program.address, LIMIT) as s:
            s.settimeout(0.3)  # for one that waits for more of a body
            cut = r.randrange(len(raw) + 1)
            for piece in (raw[:cut], raw[cut:] + b"\r\n\r\n"):
                s.sendall(piece)
            m = read_response(Reader(s))
        got = [g for g in upstream.wait(seen, 0, 0) if not is_earlier(g, i)]
        if not got:
            continue
        fields = plain_fields(raw.lstrip(b"\r\n") + b"\r\n\r\n")
        if fields is None:
            raise SystemExit(f"head {i}: {raw!r} was passed on as {got[0].raw!r}, answered {m.start!r}")
        named = {v.strip().lower() for n, value in fields if n == b"connection" for v in value.split(b",")}
        want = [(n, v) for n, v in fields if n not in HOP | named]
        have = [(n.lower(), v) for n, v in got[0].fields if n.lower() not in HOP | {b"via", b"x-forwarded-for", b"x-request-id"}]
        if [f for f in want if f not in have]:
            raise SystemExit(f"head {i}: {raw!r} lost fields: {got[0].raw!r}")
        passed += 1
    print(f"{count} heads, {passed} of them passed on")
    return passed


FIELDS = {"enabled": [True, False], "mode": ["enforce", "observe", "off"], "delayMs": [0, 5, 10000], "timeoutMs": [1000, 300000],
          "turns": [1, 64]}
JSON_TOKENS = [b"{", b"}", b"[", b"\"", b"\\", b"\\u0000", b",", b":", b"null", b"1e999", b"-1", b"0.5", b"\xff", b"\0",
               b"9223372036854775808", b'"turns":3,', b'"delayMs":"5",', b"[[[[[[[["]


def change(address, body):
    request = urllib.request.Request(f"http://{address}/api/config", body, {"Content-Type": "application/json"}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def is_allowed(name, value):
    known = FIELDS.get(name, [])
    if isinstance(value, int) and not isinstance(value, bool):
        return not isinstance(known[0], bool) and known[0] <= value <= known[-1]
    return type(value) is type(known[0]) and (value.lower() if isinstance(value, str) else value) in known


def changes(r, address, count):
    made = 0
    for i in range(count):
        names = r.sample(sorted(FIELDS), r.randint(1, 3))
        body = sound = json.dumps({name: r.choice(FIELDS[name]) for name in names}).encode()
        if r.randrange(4):
            body = damaged(r, body, JSON_TOKENS)
        status, answer = change(address, body)
        if status == 200:
            good = answer["stored"] and all(is_allowed(name, value) for name, value in answer["stored"].items())
        else:
            good = status == 400 and body != sound and answer["error"]["code"] and answer["error"]["message"]
        if not good:
            raise SystemExit(f"change {i}: {body!r} was answered {status} {answer}")
        made += status == 200
    print(f"{count} changes, {made} of them made")
    return made


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", required=True)
    p.add_argument("--count", type=int, default=1500)
    p.add_argument("--seed", type=int, default=1)
    options = p.parse_args()
    r, upstream = random.Random(options.seed), Upstream(0)
    program = Program(options.program, upstream.port, ["admin.address=127.0.0.1:0"])
    admin = re.search(r'"admin":"([^"]+)"', program.text()).group(1)
    unseen(program, upstream)
    good = heads(r, program, upstream, options.count) > 20
    good = changes(r, admin, options.count) > 20 and good
    return 0 if program.stop() and good else 1


if __name__ == "__main__":
    sys.exit(main())
