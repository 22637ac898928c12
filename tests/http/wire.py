"""Raw HTTP/1.1 on sockets for conformance.py: a strict reader of messages and an upstream that
records what it gets. Nothing here is lenient: what isn't exactly as RFC 9112 has it is a Malformed.
"""
import os
import re
import socket
import subprocess
import sys
import threading
import time

TOKEN = re.compile(rb"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")
CTL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def scaled(n):
    """What takes `n` on a quiet machine takes so long here and now (tests/pace.c, beside the program); where nothing
    is built that could say so, it is plenty."""
    if "--program" not in sys.argv[:-1]:
        return 10 * n
    program = sys.argv[sys.argv.index("--program") + 1]
    return n * float(subprocess.check_output([os.path.join(os.path.dirname(program), "../tests/pace")]))


LIMIT = scaled(10.0)  # seconds after which something that should happen counts as not happening


class Malformed(Exception):
    pass


class Gone(Exception):
    """The peer closed or reset where more should have come."""


class Reader:
    """Takes messages off a socket; keeps what is behind them."""

    def __init__(self, sock, buffered=b""):
        self.sock, self.buffer, self.raw = sock, bytearray(buffered), bytearray()

    def more(self):
        try:
            data = self.sock.recv(1 << 20)
        except (ConnectionError, socket.timeout) as e:
            raise Gone(repr(e))
        if not data:
            raise Gone("closed")
        self.buffer += data

    def take(self, n):
        while len(self.buffer) < n:
            self.more()
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        if len(self.raw) < 65536:  # for people to read in a failure
            self.raw += data
        return data

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        line = self.take(self.buffer.index(b"\n") + 1)
        if not line.endswith(b"\r\n"):
            raise Malformed(f"bare LF: {line!r}")
        return line[:-2]

    def fields(self):
        found = []
        while True:
            line = self.line()
            if not line:
                return found
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.match(name) or CTL.search(value):
                raise Malformed(f"field {line!r}")
            found.append((name, value.strip(b" \t")))

    def chunked(self):
        body = b""
        while True:
            size = self.line()
            if not re.match(rb"^[0-9A-Fa-f]+$", size):
                raise Malformed(f"chunk size {size!r}")
            n = int(size, 16)
            if not n:
                self.fields()
                return body
            body += self.take(n)
            if self.take(2) != b"\r\n":
                raise Malformed("chunk without CRLF")


def values(fields, name):
    return [v for n, v in fields if n.lower() == name.lower()]


def framing(fields):
    """("chunked", None), ("length", n) or (None, None); Malformed if it is said twice or wrongly."""
    lengths, codings = values(fields, b"content-length"), values(fields, b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Malformed("framing said twice")
    if codings:
        if codings[0].lower() != b"chunked":
            raise Malformed(f"coding {codings[0]!r}")
        return "chunked", None
    if lengths:
        if not re.match(rb"^[0-9]+$", lengths[0]):
            raise Malformed(f"length {lengths[0]!r}")
        return "length", int(lengths[0])
    return None, None


class Message:
    """A request or a response. `whole`: its end was seen. `by_close`: and was the connection's."""

    def __init__(self):
        self.start = self.body = b""
        self.fields, self.whole, self.by_close, self.error = [], False, False, None

    def values(self, name):
        return values(self.fields, name)

    @property
    def status(self):
        m = re.match(rb"^HTTP/1\.[01] ([0-9]{3})( |$)", self.start)
        return int(m.group(1)) if m else 0

    @property
    def method(self):
        return self.start.split(b" ")[0]

    @property
    def target(self):
        return self.start.split(b" ")[1]


def read_request(reader, on_head=None):
    """The next request; never raises: see `error`."""
    m = Message()
    reader.raw = bytearray()
    try:
        m.start = reader.line()
        if not re.match(rb"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^ \x00-\x1f\x7f]+ HTTP/1\.[01]$", m.start):
            raise Malformed(f"request line {m.start!r}")
        m.fields = reader.fields()
        if len(m.values(b"host")) != 1:
            raise Malformed("no Host, or two")
        kind, n = framing(m.fields)
        if on_head:
            on_head(m)
        m.body = reader.chunked() if kind == "chunked" else reader.take(n or 0)
        m.whole = True
    except (Malformed, Gone) as e:
        m.error = e
        m.body = m.body or bytes(reader.buffer)
    m.raw = bytes(reader.raw) + (b"" if m.whole else bytes(reader.buffer))
    return m


def read_response(reader, method=b"GET", interim=None):
    """The next final response; 1xx go into the list `interim`. Never raises: see `error`."""
    while True:
        m = Message()
        try:
            m.start = reader.line()
            if not re.match(rb"^HTTP/1\.1 [1-9][0-9][0-9] [^\x00-\x08\x0a-\x1f\x7f]*$", m.start):
                raise Malformed(f"status line {m.start!r}")
            m.fields = reader.fields()
            if m.status < 200:
                if interim is not None:
                    interim.append(m)
                continue
            kind, n = framing(m.fields)
            if method == b"HEAD" or m.status in (204, 304):
                pass
            elif kind == "chunked":
                m.body = reader.chunked()
            elif kind == "length":
                m.body = reader.take(n)
            else:
                m.by_close = True
                try:
                    while True:
                        reader.more()
                except Gone as e:
                    m.body = reader.take(len(reader.buffer))
                    if str(e) != "closed":
                        raise
            m.whole = True
        except (Malformed, Gone) as e:
            m.error = e
            m.body = m.body or bytes(reader.buffer)
        return m


class Upstream:
    """Records requests, and answers each as `reply(message, socket)` says, a case at a time."""

    def __init__(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Condition()
        self.begin(None, None)
        threading.Thread(target=self.accept, daemon=True).start()

    def begin(self, reply, on_head):
        """A new case: what comes from now on is its."""
        with self.lock:
            self.case = {"reply": reply, "on_head": on_head, "seen": [], "heads": 0, "open": 0}
        return self.case

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        reader = Reader(sock)
        keep = True
        while keep:
            answered = []
            try:
                if not reader.buffer:
                    reader.more()
            except Gone:
                break
            case = self.case  # a request is that case's in which it began

            def on_head(m, case=case, answered=answered):
                with self.lock:
                    case["heads"] += 1
                    self.lock.notify_all()
                if m.values(b"expect"):  # the proxy leaves the answer to us
                    sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                if case["on_head"]:
                    answered.append(case["on_head"](m, sock))

            try:
                m = read_request(reader, on_head)
            except OSError:  # on_head() closed it
                break
            m.at = time.monotonic()
            with self.lock:
                case["seen"].append(m)
                self.lock.notify_all()
            if not m.whole or answered:
                break
            try:
                keep = case["reply"](m, sock) is not False
            except OSError:
                break
        sock.close()

    def wait(self, case, n, limit=LIMIT):
        """Waits until `n` requests have been seen to their end."""
        with self.lock:
            self.lock.wait_for(lambda: len(case["seen"]) >= n, limit)
        return case["seen"]
