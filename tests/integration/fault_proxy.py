#!/usr/bin/env python3
"""A TCP proxy that breaks connections on demand, for tests. (Debian has no such package: socat relays,
but neither delays nor falls silent.)

usage: fault_proxy.py HOST:PORT

Prints "proxy ADDRESS control ADDRESS" when it is ready. Orders are GETs to the control address:

    /pass             as if it weren't there; silence ends, and what was held back goes on
    /delay?ms=N       what the target sends comes N ms later
    /hole             nothing is passed in either direction; connections are accepted
    /cut              all connections are closed, now; new ones are passed
    /refuse           the same, and new ones are closed as well
    /close?bytes=N    each connection is closed when the target has sent N bytes more
"""
import asyncio
import sys
import urllib.parse


class Proxy:
    def __init__(self, host, port):
        self.host, self.port = host, port
        self.mode, self.number = "pass", 0
        self.open = asyncio.Event()
        self.open.set()
        self.writers = set()

    async def read(self, reader, pieces, from_target):
        """Puts what comes into `pieces`, each with the time at which it may go on; its end is an empty one."""
        loop, data = asyncio.get_running_loop(), b"x"
        while data:
            try:
                data = await reader.read(65536)
            except OSError:
                data = b""
            late = self.number / 1000 if self.mode == "delay" and from_target else 0
            await pieces.put((loop.time() + late, data))

    async def write(self, writer, pieces, from_target):
        left = None
        while True:
            due, data = await pieces.get()
            if not data:
                return
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            await self.open.wait()
            if self.mode == "close" and from_target:
                left = self.number if left is None else left
                writer.write(data[:left])
                left -= len(data)
                if left <= 0:
                    return
            else:
                left = None
                writer.write(data)
            await writer.drain()

    async def carry(self, reader, writer, from_target):
        pieces = asyncio.Queue(100)
        reading = asyncio.ensure_future(self.read(reader, pieces, from_target))
        try:
            await self.write(writer, pieces, from_target)
        finally:
            reading.cancel()

    async def accept(self, reader, writer):
        writers = [writer]
        try:
            if self.mode == "refuse":
                return
            target_reader, target = await asyncio.open_connection(self.host, self.port)
            writers.append(target)
            self.writers.update(writers)
            ways = [asyncio.ensure_future(self.carry(reader, target, False)),
                    asyncio.ensure_future(self.carry(target_reader, writer, True))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            for w in writers:
                self.writers.discard(w)
                w.close()

    def order(self, mode, number):
        self.mode, self.number = "pass" if mode == "cut" else mode, number
        if mode == "hole":
            self.open.clear()
        else:
            self.open.set()
        if mode in ("cut", "refuse"):
            for w in list(self.writers):
                w.transport.abort()

    async def control(self, reader, writer):
        line = (await reader.readline()).decode().split()
        url = urllib.parse.urlsplit(line[1])
        number = urllib.parse.parse_qsl(url.query)
        self.order(url.path[1:], int(number[0][1]) if number else 0)
        writer.write(b"HTTP/1.0 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()


async def main():
    host, port = sys.argv[1].rsplit(":", 1)
    proxy = Proxy(host, int(port))
    data = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    control = await asyncio.start_server(proxy.control, "127.0.0.1", 0)
    addresses = ["127.0.0.1:%d" % s.sockets[0].getsockname()[1] for s in (data, control)]
    print("proxy %s control %s" % tuple(addresses), flush=True)
    async with data, control:
        await asyncio.gather(data.serve_forever(), control.serve_forever())


asyncio.run(main())
