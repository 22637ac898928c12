#!/usr/bin/env python3
"""Many clients at once, with the timing that curl processes don't have.

usage: crowd.py row COUNT GAP_MS URL... [-- HEADER...]      one account, k1: request i goes to URL i,
                                                            GAP_MS after the one before; tags r1 r2 ...
       crowd.py each COUNT URL... [-- HEADER...]            an account each, k1 k2 ..., all at once
       crowd.py hammer CLIENTS FILE [-- HEADER...]          one account, k1: each client again and again
                                                            at a URL drawn from FILE (one a line, read
                                                            each time), until FILE is gone
       crowd.py flood COUNT CLIENTS URL [-- HEADER...]      COUNT accounts, one message each

Prints one line of JSON: {"STATUS": how many, ...}, with "error" for responses that didn't end.
"""
import asyncio
import collections
import json
import os
import random
import sys
import urllib.parse

BODY = json.dumps({"model": "claude-x", "max_tokens": 16, "stream": True,
                   "messages": [{"role": "user", "content": "hello"}]}).encode()
LIMIT_S = 600


def request(key, tag, headers):
    head = ["POST /v1/messages HTTP/1.1", "Host: x", "x-api-key: " + key, "Connection: close",
            "Content-Type: application/json", "Content-Length: %d" % len(BODY)]
    if tag:
        head.append("X-Relay-Tag: " + tag)
    return "\r\n".join(head + headers + ["", ""]).encode() + BODY


async def connect(url):
    address = urllib.parse.urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


async def talk(reader, writer, data):
    """The status, or "error" if the response is cut; a whole one ends with the last chunk or its length."""
    try:
        writer.write(data)
        response = await reader.read(-1)
    except OSError:
        return "error"
    finally:
        writer.close()
    head, _, body = response.partition(b"\r\n\r\n")
    chunked = b"chunked" in head.lower()
    if not body or (chunked and not body.endswith(b"0\r\n\r\n")):
        return "error"
    return head.split()[1].decode()


async def row(count, gap_ms, urls, headers):
    """Connections are made before, so that requests arrive in the order in which they are sent."""
    connections = [await connect(urls[i % len(urls)]) for i in range(count)]
    answers = []
    start = asyncio.get_running_loop().time()
    for i, (reader, writer) in enumerate(connections):
        await asyncio.sleep(start + i * gap_ms / 1000 - asyncio.get_running_loop().time())
        data = request("k1", "r%d" % (i + 1), headers)
        answers.append(asyncio.ensure_future(talk(reader, writer, data)))
    return await asyncio.gather(*answers)


async def each(count, urls, headers):
    connections = [await connect(urls[i % len(urls)]) for i in range(count)]
    return await asyncio.gather(*(
        talk(reader, writer, request("k%d" % (i + 1), "r%d" % (i + 1), headers))
        for i, (reader, writer) in enumerate(connections)))


async def one_client(path, headers, outcomes):
    while os.path.exists(path):
        try:
            reader, writer = await connect(random.choice(open(path).read().split()))
            outcomes.append(await talk(reader, writer, request("k1", None, headers)))
        except (OSError, IndexError):
            outcomes.append("refused")
            await asyncio.sleep(0.05)


async def hammer(clients, path, headers):
    outcomes = []
    await asyncio.gather(*(one_client(path, headers, outcomes) for _ in range(clients)))
    return outcomes


async def flood(count, clients, url, headers):
    numbers, outcomes = iter(range(count)), []

    async def client():
        for n in numbers:
            reader, writer = await connect(url)
            outcomes.append(await talk(reader, writer, request("made-up-%d" % n, None, headers)))

    await asyncio.gather(*(client() for _ in range(clients)))
    return outcomes


def main():
    args, headers = sys.argv[2:], []
    if "--" in args:
        at = args.index("--")
        args, headers = args[:at], args[at + 1:]
    if sys.argv[1] == "row":
        work = row(int(args[0]), float(args[1]), args[2:], headers)
    elif sys.argv[1] == "each":
        work = each(int(args[0]), args[1:], headers)
    elif sys.argv[1] == "flood":
        work = flood(int(args[0]), int(args[1]), args[2], headers)
    else:
        work = hammer(int(args[0]), args[1], headers)
    outcomes = asyncio.run(asyncio.wait_for(work, LIMIT_S))
    print(json.dumps(collections.Counter(outcomes), sort_keys=True, separators=(",", ":")))


main()
