#!/usr/bin/env python3
"""A steady stream of requests, and what became of each.

usage: steady.py RATE FILE ACCOUNTS unix:PATH|HOST:PORT [-- HEADER...]

Sends RATE user messages a second, of ACCOUNTS accounts in turn (0: each of its own), until FILE is
gone; then waits for the last response. Every other request goes on a kept connection that was used before,
if there is one, as clients with a pool send theirs; none is ever sent twice. Connections are kept for up to
5 s. A response is whole if it ends as its framing says.

Prints one line of JSON: "sent", "reused" (on a kept connection), and how many had which end: a status, or
"refused", "cut" (before or within the response).
"""
import asyncio
import collections
import json
import os
import sys

BODY = json.dumps({"model": "claude-x", "max_tokens": 16, "stream": True,
                   "messages": [{"role": "user", "content": "hello"}]}).encode()
KEEP_S = 5
LIMIT_S = 600


class Load:
    def __init__(self, address, accounts, headers):
        self.address, self.accounts, self.headers = address, accounts, headers
        self.ends = collections.Counter()
        self.pool = []
        self.sent = 0

    async def connect(self):
        if self.address.startswith("unix:"):
            return await asyncio.open_unix_connection(self.address[5:])
        host, _, port = self.address.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    def kept(self):
        """The connection that was used last, as pools do; None if there is none that is still open."""
        now = asyncio.get_running_loop().time()
        while self.pool:
            reader, writer, since = self.pool.pop()
            if not reader.at_eof() and now - since < KEEP_S:
                return reader, writer
            writer.close()
        return None

    def request(self, number):
        key = "k%d" % (number % self.accounts if self.accounts else number)
        head = ["POST /v1/messages HTTP/1.1", "Host: x", "x-api-key: " + key,
                "Content-Type: application/json", "Content-Length: %d" % len(BODY)]
        return "\r\n".join(head + self.headers + ["", ""]).encode() + BODY

    @staticmethod
    async def read_body(reader, head):
        """Raises IncompleteReadError if it is cut."""
        if b"transfer-encoding: chunked" in head:
            while True:
                size = int((await reader.readuntil(b"\r\n")).strip(), 16)
                await reader.readexactly(size + 2)
                if not size:
                    return
        length = [line for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(length[0].split(b":")[1]))

    async def exchange(self, number, reused, reader, writer):
        try:
            writer.write(self.request(number))
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await self.read_body(reader, head)
        except (OSError, asyncio.IncompleteReadError):
            self.ends["cut"] += 1
            writer.close()
            return
        self.ends[head.split()[1].decode()] += 1
        if b"connection: close" in head:
            writer.close()
        else:
            self.pool.append((reader, writer, asyncio.get_running_loop().time()))

    async def one(self, number):
        connection = self.kept() if number % 2 else None
        self.sent += 1
        self.ends["reused"] += connection is not None
        try:
            reader, writer = connection or await self.connect()
        except OSError:
            self.ends["refused"] += 1
            return
        await asyncio.wait_for(self.exchange(number, bool(connection), reader, writer), LIMIT_S)

    async def run(self, rate, file):
        loop = asyncio.get_running_loop()
        start, tasks = loop.time(), []
        while os.path.exists(file):
            tasks.append(asyncio.ensure_future(self.one(len(tasks))))
            await asyncio.sleep(max(0, start + len(tasks) / rate - loop.time()))
        await asyncio.gather(*tasks)
        for _, writer, _ in self.pool:
            writer.close()


def main():
    args, headers = sys.argv[1:], []
    if "--" in args:
        at = args.index("--")
        args, headers = args[:at], args[at + 1:]
    if len(args) != 4:
        sys.exit(__doc__)
    load = Load(args[3], int(args[2]), headers)
    asyncio.run(load.run(float(args[0]), args[1]))
    print(json.dumps({"sent": load.sent, **load.ends}))


main()
