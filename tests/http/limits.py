#!/usr/bin/env python3
"""What turnstile does to clients and upstreams that are slow, greedy, or gone: time and memory.

Usage: limits.py --program TURNSTILE [--only TEXT]

Each case starts the program with the options that it is about. Times are measured in this one
process, which is client and upstream; limits on them are medians, in the best of some rounds, and scaled. Memory
isn't measured on builds with a sanitizer, which have their own idea of it. Exits 1 if a case failed.
"""
import argparse
import json
import os
import re
import select
import socket
import statistics
import struct
import sys
import threading
import time

import conformance
from conformance import Program, check, is_closed
from wire import LIMIT, Reader, Upstream, read_response, scaled

CASES = []
GET = b"GET /r HTTP/1.1\r\nHost: h\r\n\r\n"
OK = conformance.OK
STALL_MS = int(min(scaled(400), 8000))  # longer than this process ever lets the program wait by itself
upstream = Upstream()


def case(name, **options):
    def add(function):
        CASES.append((name, [f"{k.replace('__', '.')}={v}" for k, v in options.items()], function))
        return function
    return add


class Proxy(Program):
    def __init__(self, path, options, limit=None):
        self.path, self.extra = path, options
        super().__init__(path, upstream.port, options, limit)

    def connect(self):
        s = socket.create_connection(self.address, LIMIT)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def outcomes(self):
        return re.findall(r'"outcome":"(\w+)"', self.text())

    def wait_outcome(self, wanted, n=1, limit=LIMIT):
        end = time.monotonic() + limit
        while self.outcomes().count(wanted) < n:
            check(time.monotonic() < end, f"no outcome {wanted}: {self.outcomes()}")
            time.sleep(0.01)

    def wait_text(self, wanted):
        """Until the log has it: a client has its answer before the log has its line."""
        end = time.monotonic() + LIMIT
        while wanted not in self.text():
            check(time.monotonic() < end, f"the log doesn't say {wanted}: {self.text()[-500:]}")
            time.sleep(0.01)

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def is_sanitized(self):
        with open(f"/proc/{self.process.pid}/maps") as f:
            return re.search(r"lib[at]san", f.read()) is not None


def answers(data=OK):
    return upstream.begin(data if callable(data) else lambda m, s: s.sendall(data), None)


def prompt(limit, measure):
    """The median of the seconds that `measure` returns is below `limit`. What else the machine does comes on top, so
    that holds for the best of some rounds; each says the same of a program that is late by itself."""
    medians, limit = [], scaled(limit)
    while len(medians) < 5 and min(medians, default=limit) >= limit:
        medians.append(statistics.median(measure()))
    check(min(medians) < limit, f"medians {medians} s")


def rests(p, limit):
    """The program takes less CPU than `limit` in a second; in one of some, as what went before may still be on its way."""
    spent = []
    while len(spent) < 5 and min(spent, default=limit) >= limit:
        before = p.cpu_s()
        time.sleep(1)  # the subject is what it does meanwhile
        spent.append(p.cpu_s() - before)
    check(min(spent) < limit, f"{spent} s of CPU in a second each")


def error_of(m, status, kind, code):
    """The body of an error in the API's shape."""
    check(m.status == status, f"{m.start!r} {m.error}")
    check(m.values(b"content-type") == [b"application/json"], m.fields)
    body = json.loads(m.body)
    check(body["type"] == "error" and body["error"]["type"] == kind and body["error"]["code"] == code, m.body)
    check(body["error"]["message"], m.body)
    return body


def dribble(s, data):
    """Sends byte by byte until it is told to stop; true if it was."""
    end = time.monotonic() + scaled(15)
    for b in data:
        if time.monotonic() > end:
            return False
        try:
            s.sendall(bytes([b]))
            if select.select([s], [], [], 0.05)[0] and not s.recv(65536):
                return True
        except OSError:
            return True
    return False


# --- slow senders, idle connections ------------------------------------------------------------

@case("a head that doesn't come is cut off", listen__header_timeout_ms=300)
def header_timeout(p):
    seen = answers()
    with p.connect() as s, p.connect() as silent:
        begin = time.monotonic()
        check(dribble(s, b"GET /r HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 1000), "it may go on")
        check(time.monotonic() - begin < scaled(5), "late")
        check(is_closed(Reader(silent)), "a silent one may stay")
    check(not seen["heads"], "the upstream heard of it")


@case("an idle connection is closed", listen__idle_timeout_ms=300)
def idle_timeout(p):
    answers()
    with p.connect() as s:
        begin = time.monotonic()
        s.sendall(GET)
        reader = Reader(s)
        check(read_response(reader).body == b"ok", "no answer")
        check(is_closed(reader, LIMIT), "it stays open")
        check(time.monotonic() - begin > 0.29, "too early")


POST = b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"


@case("a body by the byte is cut off", listen__stall_timeout_ms=1000, listen__min_rate_bytes_s=1000)
def slow_body(p):
    seen = answers()
    with p.connect() as s:
        s.sendall(POST)
        check(dribble(s, b"x" * 10000), "it may go on")
    p.wait_outcome("client_slow")
    check(not [r for r in seen["seen"] if r.whole], "the upstream got it")


@case("so is a streamed one", listen__stall_timeout_ms=1000, listen__min_rate_bytes_s=1000)
def slow_stream(p):
    seen = answers()
    with p.connect() as s:
        s.sendall(b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
        check(dribble(s, b"x" * 10000), "it may go on")
    p.wait_outcome("client_slow")
    check(not [r for r in upstream.wait(seen, 1) if r.whole], "the upstream got it whole")


@case("so is the rest of one that has its answer", listen__stall_timeout_ms=1000, listen__min_rate_bytes_s=1000,
      listen__max_body_bytes="1KiB")
def slow_rest(p):
    answers()
    with p.connect() as s:
        s.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
        error_of(read_response(Reader(s)), 413, "request_too_large", "REQUEST_TOO_LARGE")
        try:  # it hears that nothing more comes, and goes on
            for _ in range(int(scaled(300))):
                s.sendall(b"x")
                time.sleep(0.05)
            check(False, "it may go on")
        except OSError:
            pass
    p.wait_outcome("body_too_large")


@case("a body that stops is cut off", listen__stall_timeout_ms=STALL_MS)
def stalled_body(p):
    answers()
    with p.connect() as s:
        s.sendall(POST + b"x" * 1000)
        check(is_closed(Reader(s), LIMIT), "it may wait")
    p.wait_outcome("client_stalled")


PROMPT_BODY = b'{"messages":[{"role":"user","content":"%s"}]}'


def post_message(s, size, key=b"k", part=None):
    """Sends a message of about `size` bytes, or the first `part` of them; what is left of it is returned."""
    body = PROMPT_BODY % (b"x" * size)
    data = b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nX-Api-Key: %s\r\nContent-Length: %d\r\n\r\n" % (key, len(body)) + body
    cut = len(data) if part is None else len(data) - len(body) + part
    s.sendall(data[:cut])
    return data[cut:]


def all_read(p):
    """Until what was sent to the program isn't in the kernel any more."""
    end = time.monotonic() + LIMIT
    port = ":%04X" % p.address[1]
    while time.monotonic() < end:
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f]
        if not any(r[1].endswith(port) and r[3] == "01" and r[4].split(":")[1] != "00000000" for r in rows[1:]):
            return
        time.sleep(0.01)
    check(False, "it doesn't read")


BODY_MS = int(min(scaled(1000), 8000))  # below other limits, whatever the machine


@case("a body has a time as a whole, by what has come of it", listen__body_timeout_ms=BODY_MS,
      listen__body_rate_bytes_s=10000)
def late_body(p):
    seen = answers()
    begin = time.monotonic()
    with p.connect() as s, p.connect() as quick:
        post_message(s, 100000, part=10000)
        check(dribble(s, b"x" * 100000), "it may go on")
        took = time.monotonic() - begin
        check(BODY_MS / 1000 + 0.9 < took < BODY_MS / 1000 + scaled(14), f"cut off after {took} s")
        p.wait_outcome("client_slow")
        # one that is slow by its network gets its time: 20 KB at about 15 KB a second
        rest = post_message(quick, 20000, part=0)
        for at in range(0, len(rest), 1500):
            quick.sendall(rest[at:at + 1500])
            time.sleep(0.1)
        check(read_response(Reader(quick)).status == 200, p.outcomes())
    check(len([r for r in seen["seen"] if r.whole]) == 1, "the upstream got another one")


@case("when all memory is taken, who brings little goes first", listen__max_body_bytes="128KiB",
      listen__max_buffered_bytes="256KiB", listen__max_buffered_share=100)
def displaced(p):
    answers()
    with p.connect() as a, p.connect() as b, p.connect() as c, p.connect() as d, p.connect() as s:
        for other, size in (a, 60000), (b, 80000), (c, 60000), (d, 60000):
            post_message(other, 100000, part=size)
        all_read(p)
        time.sleep(1.2)  # the subject is that they bring nothing meanwhile
        post_message(s, 50000)
        m = read_response(Reader(s))
        check(m.status == 200, f"{m.start!r} {m.body} {p.outcomes()}")
        check(is_closed(Reader(b), LIMIT), "who had most may stay")
        p.wait_outcome("client_slow")
        for other in a, c, d:
            check(not select.select([other], [], [], 0)[0], "another one had to go as well")


@case("without a rate nobody has to go", listen__max_body_bytes="128KiB", listen__body_rate_bytes_s=0,
      listen__max_buffered_bytes="256KiB", listen__max_buffered_share=100)
def not_displaced(p):
    answers()
    with p.connect() as a, p.connect() as b, p.connect() as s:
        left = [post_message(other, 125000, part=120000) for other in (a, b)]
        all_read(p)
        time.sleep(1.2)
        post_message(s, 50000)
        error_of(read_response(Reader(s)), 503, "api_error", "BUFFERS_FULL")
        for other, rest in (a, left[0]), (b, left[1]):
            other.sendall(rest)
            check(read_response(Reader(other)).status == 200, p.outcomes())


@case("within a share, too, who brings little goes first", listen__max_body_bytes="64KiB",
      listen__max_buffered_bytes="1MiB", listen__max_buffered_share=10)
def displaced_in_share(p):
    answers()
    with p.connect() as a, p.connect() as s:
        post_message(a, 60000, b"one", part=58000)
        all_read(p)
        time.sleep(1.2)
        post_message(s, 60000, b"two")
        check(read_response(Reader(s)).status == 200, p.outcomes())
        check(is_closed(Reader(a), LIMIT), "who brings little may stay")


@case("an address and a key have their share of the memory", listen__max_body_bytes="64KiB",
      listen__max_buffered_bytes="256KiB", listen__max_buffered_share=50, listen__body_rate_bytes_s=0)
def shares(p):
    answers()

    def connect(address):
        s = socket.create_connection(p.address, LIMIT, (address, 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def served(address, key):
        with connect(address) as s:
            post_message(s, 30000, key)
            return read_response(Reader(s)).status

    with connect("127.0.0.1") as a, connect("127.0.0.1") as b:
        post_message(a, 60000, b"one", part=58000)
        post_message(b, 60000, b"two", part=58000)
        all_read(p)
        check(served("127.0.0.1", b"three") == 503, "the address has more than its share")
        check(served("127.0.0.2", b"three") == 200, "another address has nothing")
    p.wait_outcome("client_gone", 2)
    with connect("127.0.0.1") as a, connect("127.0.0.2") as b:
        post_message(a, 60000, b"one", part=58000)
        post_message(b, 60000, b"one", part=58000)
        all_read(p)
        check(served("127.0.0.3", b"one") == 503, "the key has more than its share")
        check(served("127.0.0.3", b"two") == 200, "another key has nothing")
    p.wait_outcome("client_gone", 4)
    check(served("127.0.0.1", b"one") == 200, "what was closed still counts")


@case("an upstream that doesn't read isn't the client's fault", listen__stall_timeout_ms=STALL_MS,
      listen__min_rate_bytes_s=20000, upstream__request_timeout_ms=600000)
def slow_upstream(p):
    def pause(m, s):
        time.sleep(5 * STALL_MS / 1000)
        return s.sendall(OK)
    upstream.begin(lambda m, s: None, pause)
    with p.connect() as s:
        s.settimeout(3 * LIMIT)
        body = b"x" * 20000000
        sender = threading.Thread(target=lambda: try_send(s, b"POST /r HTTP/1.1\r\nHost: h\r\n"
                                                          b"Content-Length: %d\r\n\r\n" % len(body) + body))
        sender.start()
        m = read_response(Reader(s))
        check(m.status == 200, f"{m.start!r} {m.error} {p.outcomes()}")
    sender.join()


def try_send(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass


@case("an upstream that resets while both ways are full costs no CPU")
def reset_when_full(p):
    gone = threading.Event()

    def fill_and_reset(m, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FLOOD)
        s.settimeout(0.5)
        try:
            while True:
                s.send(b"z" * 65536)
        except OSError:  # nobody takes any more
            pass
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        gone.set()
    upstream.begin(lambda m, s: None, fill_and_reset)
    with p.connect() as s:
        s.settimeout(3 * LIMIT)
        sender = threading.Thread(target=lambda: try_send(
            s, b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 90000000\r\n\r\n" + b"x" * 90000000))
        sender.start()
        check(gone.wait(LIMIT), "the upstream could send all")
        rests(p, 0.1)
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:  # it was reset already, as its response can't be completed
            pass
    sender.join()


@case("50 dribbling connections slow nobody else", listen__header_timeout_ms=60000)
def dribblers(p):
    answers()
    slow = [p.connect() for _ in range(50)]
    stop = threading.Event()

    def send_bytes():
        for b in b"GET /slow HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 1000:
            for s in slow:
                s.sendall(bytes([b]))
            if stop.wait(0.2):
                return

    def answers_take():
        times = []
        with p.connect() as s:
            reader = Reader(s)
            for _ in range(100):
                begin = time.monotonic()
                s.sendall(GET)
                check(read_response(reader).body == b"ok", "no answer")
                times.append(time.monotonic() - begin)
                time.sleep(0.01)
        return times
    sender = threading.Thread(target=send_bytes)
    sender.start()
    try:
        prompt(0.02, answers_take)
    finally:
        stop.set()
        sender.join()
        for s in slow:
            s.close()


# --- sizes and numbers -------------------------------------------------------------------------

def refused_with(p, raw, status, kind, code):
    seen = answers()
    with p.connect() as s:
        s.sendall(raw)
        reader = Reader(s)
        m = read_response(reader)
        error_of(m, status, kind, code)
        check(m.values(b"connection") == [b"close"] and is_closed(reader), "it stays open")
    check(not seen["heads"], "the upstream heard of it")


@case("limits of the head", listen__max_headers=10, listen__max_header_bytes="2KiB", listen__max_target_bytes=100)
def head_limits(p):
    invalid = "invalid_request_error"
    refused_with(p, b"GET /r HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 10 + b"\r\n", 431, invalid, "HEADERS_TOO_LARGE")
    refused_with(p, b"GET /r HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 2048 + b"\r\n\r\n", 431, invalid, "HEADERS_TOO_LARGE")
    refused_with(p, b"GET /" + b"r" * 100 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, invalid, "TARGET_TOO_LONG")
    for outcome in "headers_too_large", "target_too_long":
        p.wait_outcome(outcome)
    seen = answers()
    with p.connect() as s:
        s.sendall(b"GET /" + b"r" * 99 + b" HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 9 + b"\r\n")
        check(read_response(Reader(s)).body == b"ok", "at the limit")
    check(seen["heads"] == 1, "not forwarded")


@case("what is malformed is told in the API's shape")
def bad_request(p):
    invalid = "invalid_request_error"
    refused_with(p, b"GET /r HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400, invalid, "BAD_REQUEST")
    refused_with(p, b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", 501, invalid, "NOT_IMPLEMENTED")
    p.wait_text('"error":"two Host fields"')


def three_served(p):
    answers()
    held = [p.connect() for _ in range(3)]
    for s in held:
        s.sendall(GET)
        check(read_response(Reader(s)).body == b"ok", "one of three")
    return held


@case("connections of one address", listen__max_connections_per_address=3)
def per_address(p):
    held = three_served(p)
    with p.connect() as s:
        m = read_response(Reader(s))
        error_of(m, 503, "api_error", "TOO_MANY_CONNECTIONS")
    held.pop().close()
    wait_served(p)
    for s in held:
        s.close()


def wait_served(p):
    """A new connection is served, now or soon."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            with p.connect() as s:
                s.sendall(GET)
                if read_response(Reader(s)).body == b"ok":
                    return
        except OSError:
            pass
        check(time.monotonic() < end, "nobody is served any more")
        time.sleep(0.02)


@case("connections at all", listen__max_connections=3)
def all_connections(p):
    held = three_served(p)
    with p.connect() as s:
        s.sendall(GET)
        s.settimeout(0.3)
        check(read_response(Reader(s)).start == b"", "a fourth was served")
        held.pop().close()
        s.settimeout(LIMIT)
        check(read_response(Reader(s)).body == b"ok", "the fourth never was")
    for s in held:
        s.close()


@case("a stream that its client left frees its connection, whoever else is idle", listen__max_connections=3)
def left_stream(p):
    stop = threading.Event()

    def stream(m, s):
        if b"/r" not in m.start:
            return s.sendall(OK)
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        return stop.wait(LIMIT)
    answers(stream)
    with p.connect() as idle:
        idle.sendall(b"GET /k HTTP/1.1\r\nHost: h\r\n\r\n")
        check(read_response(Reader(idle)).body == b"ok", "no answer")
        for left in range(1, 5):
            with p.connect() as s:
                s.sendall(GET)
                s.settimeout(LIMIT)
                got = b""
                while not got.endswith(b"x\r\n"):
                    piece = s.recv(65536)
                    check(piece, f"stream {left} wasn't served: {got!r}")
                    got += piece
            p.wait_outcome("client_gone", left)
    stop.set()


@case("so does a response that ends by its close", listen__max_connections=3)
def closing_response(p):
    def stream(m, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        time.sleep(0.1)  # so that it waits for the end alone
        s.sendall(b"0\r\n\r\n")
    answers(stream)
    with p.connect() as idle:
        idle.sendall(GET)
        check(read_response(Reader(idle)).body == b"ok", "no answer")
        for _ in range(4):
            with p.connect() as s:
                s.settimeout(LIMIT)
                s.sendall(b"GET /r HTTP/1.0\r\n\r\n")
                check(read_response(Reader(s)).body == b"ok", "not served")


@case("who leaves as soon as all is there was served, however busy the process is")
def leaves_at_once(p):
    answers()

    def client():
        for _ in range(40):
            with p.connect() as s:
                s.sendall(GET)
                read_response(Reader(s))
    clients = [threading.Thread(target=client) for _ in range(25)]
    for t in clients:
        t.start()
    for t in clients:
        t.join()
    p.wait_outcome("answered", 1000)


@case("few descriptors: more connections wait outside, which costs nothing", descriptors=80, listen__max_connections=5000)
def descriptors(p):
    answers()
    held = [p.connect() for _ in range(150)]
    p.wait_text("the limit of open files is too low")
    rests(p, 0.3)
    for s in held:
        s.close()
    wait_served(p)


@case("who is let in with the last descriptors can be served; who waits outside comes in turn", descriptors=300,
      listen__max_connections=5000)
def last_descriptors(p):
    answers(lambda m, s: (time.sleep(0.05), s.sendall(OK)))
    clients = [p.connect() for _ in range(250)]
    for s in clients:  # at once, and none has asked before
        s.sendall(GET)
    for i, s in enumerate(clients):
        m = read_response(Reader(s))
        check(m.status == 200, f"{i}: {m.start!r} {m.error} {m.body}")
    p.wait_outcome("answered", 250)
    check("can't accept connections" not in p.text(), p.text()[-500:])


@case("a connection that asks again and again isn't closed for others", listen__max_connections=2)
def busy_stays(p):
    answers()
    with p.connect() as busy, p.connect() as idle, p.connect() as outside:
        outside.sendall(GET)
        end = time.monotonic() + LIMIT
        while not select.select([outside], [], [], 0)[0]:
            busy.sendall(GET)
            check(read_response(Reader(busy)).body == b"ok", "no answer")
            check(time.monotonic() < end, "who waits outside isn't let in")
        check(read_response(Reader(outside)).body == b"ok", "no answer")
        check(is_closed(Reader(idle), LIMIT), "the idle one may stay")


# --- streaming ---------------------------------------------------------------------------------

@case("each event comes at once")
def events(p):
    prompt(0.005, lambda: events_take(p))


def events_take(p):
    sent = []

    def stream(m, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(100):
            text = b"event: delta\ndata: %d\n\n" % i
            sent.append(time.monotonic())
            s.sendall(b"%x\r\n%s\r\n" % (len(text), text))
            time.sleep(0.01)
        s.sendall(b"0\r\n\r\n")
    upstream.begin(stream, None)
    late = []
    with p.connect() as s:
        s.sendall(GET)
        data = b""
        while b"\n\ndata: 99" not in data and not data.endswith(b"0\r\n\r\n"):
            piece = s.recv(65536)
            now = time.monotonic()
            check(piece, "closed")
            data += piece
            for i in range(len(late), data.count(b"\n\n")):
                late.append(now - sent[i])
    check(len(late) == 100, f"{len(late)} events")
    return late


FLOOD = 50 << 20


def flood(progress, done=None):
    piece = b"z" * 65536

    def stream(m, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FLOOD)
        try:
            while progress[0] < FLOOD:
                progress[0] += s.send(piece[:FLOOD - progress[0]])
        except OSError:
            pass
        if done:
            done.set()
    return stream


def settled(progress):
    """Waits until the upstream gets rid of no more."""
    last, since, enough = -1, time.monotonic(), scaled(0.5)
    while time.monotonic() - since < enough:
        if progress[0] != last:
            last, since = progress[0], time.monotonic()
        time.sleep(0.02)
    return last


@case("50 MiB through a stopped reader")
def stopped_reader(p):
    answers()
    with p.connect() as s:  # so that what is needed for any request is there already
        s.sendall(GET)
        read_response(Reader(s))
    before, progress = p.rss_bytes(), [0]
    upstream.begin(flood(progress), None)
    with p.connect() as s:
        s.sendall(GET)
        sent = settled(progress)
        check(sent < FLOOD / 2, f"{sent} bytes are on their way: who has them?")
        grown = p.rss_bytes() - before
        check(p.is_sanitized() or grown < 1 << 20, f"{grown} bytes of memory")
        m = read_response(Reader(s))
        check(m.whole and len(m.body) == FLOOD, f"{len(m.body)} {m.error}")


@case("a stopped reader is cut off", listen__stall_timeout_ms=500)
def stalled_reader(p):
    progress, done = [0], threading.Event()
    upstream.begin(flood(progress, done), None)
    with p.connect() as s:
        s.sendall(GET)
        check(done.wait(LIMIT), "the upstream isn't told")
        p.wait_outcome("client_stalled")
        m = read_response(Reader(s))
        check(not m.whole, "it looks complete")


# --- who is gone -------------------------------------------------------------------------------

def told_after(p, raw, reply, ready):
    """Seconds from the client's hang-up to the upstream's hearing of it."""
    told, at = threading.Event(), [0.0]

    def watch(m, s):
        reply(s)
        ready.set()
        try:
            while s.recv(65536):
                pass
        except OSError:
            pass
        at[0] = time.monotonic()
        told.set()
        return False
    upstream.begin(lambda m, s: None, watch)
    s = p.connect()
    s.sendall(raw)
    check(ready.wait(LIMIT), "the upstream wasn't asked")
    time.sleep(0.02)
    begin = time.monotonic()
    s.close()
    check(told.wait(LIMIT), "the upstream never hears of it")
    return at[0] - begin


STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
MESSAGE = b'{"messages":[{"role":"user","content":"hi"}]}'
USER = b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(MESSAGE), MESSAGE)
for phase, raw, head in [
    ("uploading", b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 1000, b""),
    ("uploading chunks", b"POST /r HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b""),
    ("before the headers", GET, b""),
    ("before the headers of a user message", USER, b""),
    ("within the response", GET, STREAM),
    ("within a user message's response", USER, STREAM),
]:
    @case("the upstream hears of a client that is gone: " + phase)
    def gone(p, raw=raw, head=head):
        prompt(0.1, lambda: [told_after(p, raw, lambda s: s.sendall(head), threading.Event()) for _ in range(5)])
        p.wait_outcome("client_gone", 5)


@case("an upstream that refuses")
def refuses(p):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    other = Proxy(p.path, [f"upstream.url=http://127.0.0.1:{port}", "upstream.connect_retry_ms=0"])
    try:
        for raw in GET, USER, POST + b"x" * 100000:
            with other.connect() as s:
                s.sendall(raw)
                error_of(read_response(Reader(s)), 502, "api_error", "UPSTREAM_ERROR")
    finally:
        check(other.stop(), "it didn't end well")


@case("an upstream that says nothing", upstream__request_timeout_ms=300)
def silent(p):
    stop = threading.Event()
    upstream.begin(lambda m, s: not stop.wait(LIMIT), None)
    with p.connect() as s:
        s.sendall(GET)
        m = read_response(Reader(s))
        error_of(m, 504, "timeout_error", "UPSTREAM_TIMEOUT")
    stop.set()


@case("our own 413 is heard by who still sends", listen__max_body_bytes="1KiB")
def too_large(p):
    answers()
    with p.connect() as s:
        s.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"1000\r\n" + b"x" * 0x1000)
        error_of(read_response(Reader(s)), 413, "request_too_large", "REQUEST_TOO_LARGE")
    p.wait_outcome("body_too_large")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", required=True)
    p.add_argument("--only", default="")
    arguments = p.parse_args()
    failed = passed = 0
    for name, options, function in CASES:
        if arguments.only not in name:
            continue
        limit = [int(o.partition("=")[2]) for o in options if o.startswith("descriptors=")]
        proxy = Proxy(arguments.program, [o for o in options if "." in o], limit[0] if limit else None)
        try:
            function(proxy)
            problem = None
        except Exception as e:  # whatever goes wrong in a case is that case's failure
            problem = f"{type(e).__name__}: {str(e)[:500]}"
        if not proxy.stop() and not problem:
            problem = "the program didn't end well"
        passed, failed = passed + (not problem), failed + bool(problem)
        if problem:
            print(f"FAILED  {name}: {problem}", flush=True)
    print(f"{passed} of {passed + failed} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
