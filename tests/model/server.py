"""A redis-server of our own, for tests of the scripts in src/queue/redis/lua."""
import os
import socket
import subprocess
import tempfile
import time


class Redis:
    """With just enough of its protocol."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="turnstile-model-")
        path = os.path.join(self.dir.name, "redis")
        self.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
             "--dir", self.dir.name], stdout=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + 20
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        self.input = self.socket.makefile("rb")

    def close(self):
        self.server.kill()
        self.server.wait()
        self.dir.cleanup()

    def call(self, *args):
        args = [str(a).encode() for a in args]
        self.socket.sendall(b"*%d\r\n" % len(args) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in args))
        return self._read()

    def _read(self):
        line = self.input.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else self.input.read(n + 2)[:-2].decode()
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise RuntimeError(rest.decode())
        return rest.decode()
