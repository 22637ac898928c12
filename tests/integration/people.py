#!/usr/bin/env python3
"""People at one key who press Enter at the same time, with a client that tries again as Claude Code does.

usage: people.py COUNT SHORTER URL [-- HEADER...]

Each sends a user message of its own, in a session of its own, and keeps trying until it has an answer: at most 11
tries; after a 503, a 429 or a cut the same bytes again, after the larger of retry-after (2 to 24 % longer) and a
back-off of 0.5 s that doubles up to 32 s (and is up to 25 % longer). A 529 and an overloaded_error are tried three
times, a retry-after above 60 s and `x-should-retry: false` end it at once. After 362 s without a byte it hangs up and
tries again. (Measured on Claude Code 2.1.) All of these times are divided by SHORTER, as the test's turns are shorter.

Prints one line of JSON: "answered", "tries", "sent_away" (who gave up), and each status that wasn't 200.
"""
import asyncio
import collections
import json
import random
import sys
import urllib.parse
import uuid

TRIES, TRIES_OVERLOADED = 11, 3
SILENCE_S = 362


def request(person):
    body = json.dumps({"model": "claude-x", "max_tokens": 64000, "stream": True, "system": [], "tools": [],
                       "messages": [{"role": "user", "content": [{"type": "text", "text": f"I am {person}"}]}],
                       "metadata": {"user_id": f"person-{person}"}}).encode()
    head = ["POST /v1/messages?beta=true HTTP/1.1", "Host: x", "x-api-key: k1", "x-app: cli", "X-Stainless-Timeout: 600",
            f"X-Claude-Code-Session-Id: {uuid.uuid4()}", f"X-Relay-Tag: p{person}", "Content-Type: application/json",
            f"Content-Length: {len(body)}", *HEADERS]
    return "\r\n".join(head + ["", ""]).encode() + body


async def attempt(data):
    """(status, fields, body); status 0: cut, or silent for too long."""
    url = urllib.parse.urlsplit(URL)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    response = b""
    try:
        writer.write(data)
        while not response.endswith(b"0\r\n\r\n"):
            piece = await asyncio.wait_for(reader.read(65536), SILENCE_S / SHORTER)
            response += piece
            head, _, body = response.partition(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            if not piece:
                return 0, {}, b""
            if int(fields.get(b"content-length", 1 << 60)) <= len(body):
                break
        return int(head.split()[1]), fields, body
    except (OSError, asyncio.TimeoutError):
        return 0, {}, b""
    finally:
        writer.close()


def is_hopeless(status, fields, body, tries):
    overloaded = status == 529 or b'"overloaded_error"' in body
    return (tries >= (TRIES_OVERLOADED if overloaded else TRIES) or float(fields.get(b"retry-after", 0)) > 60
            or fields.get(b"x-should-retry") == b"false" or status not in (0, 429, 503, 529))


async def person(number, seen):
    data = request(number)
    for tries in range(1, TRIES + 1):
        status, fields, body = await attempt(data)
        seen["tries"] += 1
        if status == 200:
            seen["answered"] += 1
            return
        seen[str(status)] += 1
        if is_hopeless(status, fields, body, tries):
            break
        asked = float(fields.get(b"retry-after", 0)) * random.uniform(1.02, 1.24)
        await asyncio.sleep(max(asked, min(0.5 * 2 ** (tries - 1), 32) * random.uniform(1, 1.25)) / SHORTER)
    seen["sent_away"] += 1


async def main():
    seen = collections.Counter({"answered": 0, "tries": 0, "sent_away": 0})
    await asyncio.gather(*(person(n + 1, seen) for n in range(COUNT)))
    print(json.dumps(seen, sort_keys=True, separators=(",", ":")))


at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
COUNT, SHORTER, URL, HEADERS = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[at + 1:]
asyncio.run(main())
