#!/usr/bin/env python3
"""Is the proxy transparent, and strict? Raw bytes in on one side, raw bytes out on the other.

Usage: conformance.py --program TURNSTILE                    starts it, and stops it
       conformance.py --target HOST:PORT --upstream-port N   tests a proxy that runs already and
                                                             forwards to 127.0.0.1:N
       [--only TEXT]  cases whose name has it   [--list]  names them   [--count]  only the score

Each case has a name and the section of RFC 9110 or 9112 that it stands on. A malformed or ambiguous
request passes if it is refused (an error status or just a close, and the upstream hears of nothing)
or, where the section allows to read it at all, if what reaches the upstream is well-formed and can
mean only one thing. Ends with the score; exits 1 if a case failed.
"""
import argparse
import hashlib
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time

from wire import LIMIT, Reader, Upstream, read_response, scaled

REFUSALS = {400, 403, 404, 405, 411, 413, 414, 417, 421, 422, 431, 501, 505}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CASES = []
world = None


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def case(name, section):
    def add(function):
        CASES.append((name, section, function))
        return function
    return add


class World:
    """The proxy under test between a client's socket and our upstream."""

    def __init__(self, address, upstream, program=None):
        self.address, self.upstream, self.program = address, upstream, program
        self.host = b"proxy.test"

    def begin(self, reply=None, on_head=None):
        """`reply`: bytes, or a function of the request and the socket."""
        data = OK if reply is None else reply
        send = data if callable(data) else lambda m, s: s.sendall(data)
        return self.upstream.begin(send, on_head)

    def connect(self):
        s = socket.create_connection(self.address, LIMIT)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def ask(self, raw, method=b"GET", reply=None, interim=None):
        """One request, one response; (response, the upstream's case)."""
        seen = self.begin(reply)
        with self.connect() as s:
            s.sendall(raw)
            return read_response(Reader(s), method, interim), seen


def is_closed(reader, limit=LIMIT):
    reader.sock.settimeout(limit)
    try:
        while True:
            reader.more()
    except Exception as e:
        return "closed" in str(e) or "Reset" in str(e) or "Broken" in str(e)


# --- requests that must not be passed on as they are ------------------------------------------

def refused(name, section, raw, body=None, endless=False):
    """`body`: the section allows to read it, and then the upstream gets this. `endless`: what it
    announces never comes, so that waiting for it is right, too."""
    @case(name, section)
    def run():
        seen = world.begin()
        with world.connect() as s:
            try:
                s.sendall(raw.replace(b"%H", world.host))
            except OSError:
                pass
            reader = Reader(s)
            s.settimeout(0.5 if endless else LIMIT)
            m = read_response(reader)
            heard = m.start != b""
            if heard and 200 <= m.status < 300:
                got = world.upstream.wait(seen, 2, 0.05)
                for r in got:
                    check(r.whole, f"forwarded malformed: {r.error} {r.raw[:200]!r}")
                check(len(got) == 1, f"{len(got)} requests upstream: {[r.raw[:120] for r in got]}")
                check(body is not None, f"forwarded: {got[0].raw[:200]!r}")
                check(got[0].body == body, f"body {got[0].body!r}")
                return
            check(not heard or m.status in REFUSALS, f"{m.start!r} {m.error}")
            check((endless and not heard) or is_closed(reader),
                  f"{m.start!r}, but the connection stays open")
            world.upstream.wait(seen, 1, 0.02)
            check(not [r for r in seen["seen"] if r.whole],
                  f"the upstream got {seen['seen'] and seen['seen'][0].raw[:200]!r}")


def post(fields, body, version=b"1.1"):
    return b"POST /case HTTP/" + version + b"\r\nHost: %H\r\n" + fields + b"\r\n" + body


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: %H\r\n\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"

for name, section, fields, data, allowed in [
    ("CL and TE", "9112 6.1", b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nG", b""),
    ("TE and CL, a request hidden by CL", "9112 6.1",
     b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % (5 + len(SMUGGLED) + 6),
     b"0\r\n\r\n" + SMUGGLED, b""),
    ("two differing CLs", "9112 6.3", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!", None),
    ("two equal CLs", "9112 6.3", b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello", b"hello"),
    ("CL list, equal", "9110 8.6", b"Content-Length: 5, 5\r\n", b"hello", b"hello"),
    ("CL list, differing", "9110 8.6", b"Content-Length: 5, 6\r\n", b"hello!", None),
    ("CL +5", "9110 8.6", b"Content-Length: +5\r\n", b"hello", None),
    ("CL 0x5", "9110 8.6", b"Content-Length: 0x5\r\n", b"hello", None),
    ("CL -5", "9110 8.6", b"Content-Length: -5\r\n", b"hello", None),
    ("CL -0", "9110 8.6", b"Content-Length: -0\r\n", b"", None),
    ("CL 2^64+5", "9112 6.3", b"Content-Length: 18446744073709551621\r\n", b"hello", None),
    ("CL 2^63", "9112 6.3", b"Content-Length: 9223372036854775808\r\n", b"hello", None),
    ("CL with trailing junk", "9110 8.6", b"Content-Length: 5x\r\n", b"hello", None),
    ("CL with a space inside", "9110 8.6", b"Content-Length: 5 5\r\n", b"hello" * 11, None),
    ("CL with a fraction", "9110 8.6", b"Content-Length: 5.0\r\n", b"hello", None),
    ("CL empty", "9110 8.6", b"Content-Length: \r\n", b"", None),
    ("CL quoted", "9110 8.6", b'Content-Length: "5"\r\n', b"hello", None),
    ("CL with underscores", "9110 8.6", b"Content-Length: 1_0\r\n", b"hellohello", None),
    ("CL behind a vertical tab", "9110 5.5", b"Content-Length: \x0b5\r\n", b"hello", None),
    ("CL, space before its colon", "9112 5.1", b"Content-Length : 5\r\n", b"hello", None),
    ("CL, then NUL and more", "9110 5.5", b"Content-Length: 5\0 6\r\n", b"hello", None),
    ("TE gzip, chunked", "9112 6.1", b"Transfer-Encoding: gzip, chunked\r\n", HELLO, None),
    ("TE chunked, gzip", "9112 6.3", b"Transfer-Encoding: chunked, gzip\r\n", HELLO, None),
    ("TE chunked twice in a list", "9112 6.1", b"Transfer-Encoding: chunked, chunked\r\n", HELLO, None),
    ("TE chunked in two fields", "9112 6.1",
     b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HELLO, None),
    ("TE identity in a second field", "9112 6.1",
     b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", HELLO, None),
    ("TE identity", "9112 7", b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", b"hello", None),
    ("TE unknown", "9112 6.1", b"Transfer-Encoding: xchunked\r\n", HELLO, None),
    ("TE quoted", "9112 7", b'Transfer-Encoding: "chunked"\r\n', HELLO, None),
    ("TE with a parameter", "9112 7", b"Transfer-Encoding: chunked;q=1\r\n", HELLO, None),
    ("TE empty", "9112 7", b"Transfer-Encoding: \r\nContent-Length: 5\r\n", b"hello", None),
    ("TE behind a vertical tab", "9110 5.5", b"Transfer-Encoding: \x0bchunked\r\n", HELLO, None),
    ("TE, then NUL", "9110 5.5", b"Transfer-Encoding: chunked\0\r\n", HELLO, None),
    ("TE, space before its colon", "9112 5.1",
     b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", HELLO, None),
    ("TE folded", "9112 5.2", b"Transfer-Encoding:\r\n chunked\r\n", HELLO, b"hello"),
    ("TE folded in the middle", "9112 5.2", b"Transfer-Encoding: chun\r\n ked\r\n", HELLO, None),
    ("TE behind a bare CR", "9112 2.2", b"X: y\rTransfer-Encoding: chunked\r\n", b"", None),
    ("TE behind a bare LF", "9112 2.2", b"X: y\nTransfer-Encoding: chunked\r\n", HELLO, b"hello"),
    ("TE in Mixed Case and a tab", "9112 7", b"Transfer-encoding:\tCHunked\r\n", HELLO, b"hello"),
    ("obs-fold", "9112 5.2", b"X: a\r\n b\r\n", b"", b""),
    ("white space before the first field", "9112 2.2", b" X: a\r\n", b"", b""),
    ("field without a colon", "9112 5", b"X-Field\r\n", b"", None),
    ("field without a name", "9112 5", b": value\r\n", b"", None),
    ("space in a field's name", "9110 5.1", b"X Y: a\r\n", b"", None),
    ("parenthesis in a field's name", "9110 5.1", b"X(Y): a\r\n", b"", None),
    ("8-bit byte in a field's name", "9110 5.1", b"X\xe9: a\r\n", b"", None),
    ("tab before a colon", "9112 5.1", b"X\t: a\r\n", b"", None),
    ("NUL in a field's name", "9110 5.1", b"X\0Y: a\r\n", b"", None),
    ("NUL in a value", "9110 5.5", b"X: a\0b\r\n", b"", None),
    ("NUL at a value's end", "9110 5.5", b"X: a\0\0\0\0\r\n", b"", None),
    ("bare CR in a value", "9112 2.2", b"X: a\rb\r\n", b"", None),
    ("control character in a value", "9110 5.5", b"X: a\x01b\r\n", b"", None),
    ("DEL in a value", "9110 5.5", b"X: a\x7fb\r\n", b"", None),
    ("lines that end with LF", "9112 2.2", b"X: a\nY: b\n", b"", b""),
]:
    refused(name, section, post(fields, data), allowed)

refused("TE in HTTP/1.0", "9112 6.1", post(b"Transfer-Encoding: chunked\r\n", HELLO, b"1.0"))
refused("TE and CL in HTTP/1.0, keep-alive", "9112 6.1",
        post(b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
             HELLO + SMUGGLED, b"1.0"))

for name, section, data, allowed in [
    ("size with junk", "9112 7.1", b"5x\r\nhello\r\n0\r\n\r\n", None),
    ("size without hexadecimal digits", "9112 7.1", b"g\r\nhello\r\n0\r\n\r\n", None),
    ("size -5", "9112 7.1", b"-5\r\nhello\r\n0\r\n\r\n", None),
    ("size +5", "9112 7.1", b"+5\r\nhello\r\n0\r\n\r\n", None),
    ("size 0x5", "9112 7.1", b"0x5\r\nhello\r\n0\r\n\r\n", None),
    ("size behind a space", "9112 7.1", b" 5\r\nhello\r\n0\r\n\r\n", None),
    ("size before a space", "9112 7.1", b"5 \r\nhello\r\n0\r\n\r\n", b"hello"),
    ("size empty", "9112 7.1", b"\r\nhello\r\n0\r\n\r\n", None),
    ("size 1_0", "9112 7.1", b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n", None),
    ("size 2^64+5", "9112 7.1", b"10000000000000005\r\nhello\r\n0\r\n\r\n", None),
    ("size 2^64-1", "9112 7.1", b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", None),
    ("size with many zeros", "9112 7.1", b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("only an extension", "9112 7.1.1", b";a=b\r\nhello\r\n0\r\n\r\n", None),
    ("data without CRLF", "9112 7.1", b"5\r\nhello0\r\n\r\n", None),
    ("data longer than its size", "9112 7.1", b"5\r\nhello!\r\n0\r\n\r\n", None),
    ("data, then two junk bytes", "9112 7.1", b"5\r\nhelloXX0\r\n\r\n", None),
    ("data, then CR only", "9112 7.1", b"5\r\nhello\r0\r\n\r\n", None),
    ("size, then CR only", "9112 7.1", b"5\rhello\r\n0\r\n\r\n", None),
]:
    refused("chunk: " + name, section, post(b"Transfer-Encoding: chunked\r\n", data), allowed,
            endless="2^64-1" in name)


# Bare LFs in the framing of chunks: one reader takes the line for ended, another goes on.
for name, data, lf_read in [
    ("LF behind a size", b"5\nhello\r\n0\r\n\r\n", b"hello"),
    ("LF behind data", b"5\r\nhello\n0\r\n\r\n", b"hello"),
    ("LF in an extension", b"3;a\nabc\r\n0\r\n\r\n", b"abc"),
    ("LF behind the last size", b"5\r\nhello\r\n0\n\r\n", b"hello"),
    ("LF at the end", b"5\r\nhello\r\n0\r\n\n", b"hello"),
]:
    refused("chunk: " + name + ", then a second request", "9112 2.2, 7.1",
            post(b"Transfer-Encoding: chunked\r\n", data + SMUGGLED), lf_read)

for name, section, line in [
    ("control character in the method", "9110 9.1", b"G\x01ET /case HTTP/1.1"),
    ("NUL in the method", "9110 9.1", b"GE\0T /case HTTP/1.1"),
    ("separator in the method", "9110 9.1", b"GE(T /case HTTP/1.1"),
    ("no method", "9112 3", b" /case HTTP/1.1"),
    ("space in the target", "9112 3.2", b"GET /ca se HTTP/1.1"),
    ("tab in the target", "9112 3.2", b"GET /ca\tse HTTP/1.1"),
    ("NUL in the target", "9112 3.2", b"GET /ca\0se HTTP/1.1"),
    ("DEL in the target", "9112 3.2", b"GET /ca\x7fse HTTP/1.1"),
    ("bare CR in the target", "9112 2.2", b"GET /ca\rse HTTP/1.1"),
    ("fragment in the target", "9112 3.2", b"GET /case#part HTTP/1.1"),
    ("target without a slash", "9112 3.2", b"GET case HTTP/1.1"),
    ("asterisk with GET", "9112 3.2.4", b"GET * HTTP/1.1"),
    ("no target", "9112 3", b"GET HTTP/1.1"),
    ("user in the authority", "9110 4.2.4", b"GET http://a@%H/case HTTP/1.1"),
    ("no authority", "9110 4.2.1", b"GET http:///case HTTP/1.1"),
    ("CONNECT", "9110 9.3.6", b"CONNECT %H:443 HTTP/1.1"),
    ("HTTP/9.9", "9112 2.3", b"GET /case HTTP/9.9"),
    ("HTTP/2.0", "9112 2.3", b"GET /case HTTP/2.0"),
    ("HTTP/1.10", "9112 2.3", b"GET /case HTTP/1.10"),
    ("HTTP/1,1", "9112 2.3", b"GET /case HTTP/1,1"),
    ("http/1.1 in small letters", "9112 2.3", b"GET /case http/1.1"),
    ("another protocol's name", "9112 2.3", b"GET /case ICY/1.1"),
    ("HTTP/0.9", "9112 2.3", b"GET /case"),
    ("junk behind the version", "9112 3", b"GET /case HTTP/1.1 x"),
]:
    refused(name, section, line + b"\r\nHost: %H\r\n\r\n")

for name, line in [
    ("two spaces before the target", b"GET  /case HTTP/1.1"),
    ("two spaces behind the target", b"GET /case  HTTP/1.1"),
    ("space behind the version", b"GET /case HTTP/1.1 "),
]:
    refused(name, "9112 3", line + b"\r\nHost: %H\r\n\r\n", b"")

refused("authority differs from Host", "9112 3.2.2",
        b"GET http://other.test/case HTTP/1.1\r\nHost: %H\r\n\r\n", b"")
refused("HTTP/2 preface", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", endless=True)
refused("empty lines before the request", "9112 2.2", b"\r\n\r\nGET /case HTTP/1.1\r\nHost: %H\r\n\r\n",
        b"")

for name, fields in [
    ("no Host", b""),
    ("two Hosts", b"Host: %H\r\nHost: other.test\r\n"),
    ("two equal Hosts", b"Host: %H\r\nHost: %H\r\n"),
    ("Host with a path", b"Host: %H/x\r\n"),
    ("Host with a user", b"Host: a@%H\r\n"),
    ("Host with a list", b"Host: %H, other.test\r\n"),
    ("Host with a space", b"Host: a b\r\n"),
    ("Host with a bad port", b"Host: %H:8x\r\n"),
    ("Host, folded", b"Host: %H\r\n .other.test\r\n"),
    ("Host, space before its colon", b"Host : %H\r\n"),
]:
    refused(name, "9112 3.2", b"GET /case HTTP/1.1\r\n" + fields + b"\r\n")

refused("target of 100 KiB", "9110 15.5.15", b"GET /" + b"a" * 102400 + b" HTTP/1.1\r\nHost: %H\r\n\r\n")
refused("head of 200 KiB", "6585 5",
        b"GET /case HTTP/1.1\r\nHost: %H\r\n" + (b"X: " + b"a" * 1000 + b"\r\n") * 200 + b"\r\n")
refused("a field of 100 KiB", "6585 5",
        b"GET /case HTTP/1.1\r\nHost: %H\r\nX: " + b"a" * 102400 + b"\r\n\r\n")
refused("3000 fields", "6585 5",
        b"GET /case HTTP/1.1\r\nHost: %H\r\n" + b"X:a\r\n" * 3000 + b"\r\n")


# --- requests that must get through unchanged --------------------------------------------------

def forwarded(m, seen, requests=1):
    got = world.upstream.wait(seen, requests)
    check(m.whole and m.status == 200, f"{m.start!r} {m.error} {m.body[:200]!r}")
    check(len(got) == requests, f"{len(got)} requests upstream")
    check(got[-1].whole, f"malformed upstream: {got[-1].error}")
    return got[-1]


def target(name, sent, wanted=None, invalid=False):
    """`invalid`: not a target by the RFC, so that another proxy may refuse it; we don't."""
    @case("target: " + name, "9112 3.2")
    def run():
        t = sent.replace(b"%H", world.host)
        m, seen = world.ask(b"GET " + t + b" HTTP/1.1\r\nHost: " + world.host + b"\r\n\r\n")
        if invalid and not world.program and m.status == 400:
            return
        got = forwarded(m, seen)
        check(got.target == (wanted or t), f"got {got.target[:200]!r}")


target("percent-encoding", b"/a%2Fb%2fc%20d%e4")
target("double slashes", b"//a//b///")
target("dot segments", b"/a/./b/../c/%2e%2e/d")
target("empty query", b"/a?")
target("query with everything", b"/a?b=c&d;e~f?/:@!$'()*,+=&&")
target("query of 8 KiB", b"/a?" + b"q" * 8190)
target("200 parameters", b"/a?" + b"&".join(b"k%d=v" % i for i in range(200)))
target("parameters of a path", b"/a;b=c/~d;e")
target("encoded CR LF", b"/a%0d%0aX:%20y")
target("8-bit bytes", b"/\xc3\xa4?\xe4", invalid=True)
target("braces and quotes", b"/a{b}|c\"d<e>^`\\", invalid=True)
target("absolute form", b"http://%H/a%20b?c", b"/a%20b?c")
target("absolute form without a path", b"http://%H", b"/")


def method(name, with_body=False):
    @case("method " + name.decode(), "9110 9.1")
    def run():
        fields, body = (b"Content-Length: 3\r\n", b"abc") if with_body else (b"", b"")
        t = b"*" if name == b"OPTIONS" else b"/m"
        m, seen = world.ask(name + b" " + t + b" HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n" + body, name)
        got = forwarded(m, seen)
        check(got.start == name + b" " + t + b" HTTP/1.1", got.start)
        check(got.body == body, got.body)


for name in b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"M-SEARCH", b"get":
    method(name)
for name in b"POST", b"PUT", b"PATCH", b"GET", b"DELETE", b"X-MADE_UP~1":
    method(name, True)


@case("blanks around values", "9112 5")
def blanks():
    m, seen = world.ask(b"GET /case HTTP/1.1\r\nHost:" + world.host + b" \t\r\nX-A: \t 1 2 \t \r\nX-B: \r\n\r\n")
    got = forwarded(m, seen)
    check(got.values(b"x-a") == [b"1 2"], got.values(b"x-a"))
    check(got.values(b"x-b") == [b""], got.values(b"x-b"))


def by_name(fields):
    """Order counts only among fields of one name (RFC 9110, section 5.3)."""
    return sorted(fields, key=lambda f: f[0])


def end_to_end(fields):
    """Without framing, Host, and what a gateway may add."""
    own = (b"host", b"x-forwarded-for", b"x-forwarded-proto", b"content-length", b"transfer-encoding",
           b"connection", b"via")
    return [(n.lower(), v) for n, v in fields if n.lower() not in own]


def fields(name, section, sent, wanted=None):
    """Lines of fields; `wanted`: those of them that the upstream gets."""
    @case("fields: " + name, section)
    def run():
        m, seen = world.ask(b"GET /f HTTP/1.1\r\nHost: h\r\n" + sent + b"\r\n")
        if not world.program and b"Upgrade:" in sent:
            return  # who can tunnel may pass it on
        got = end_to_end(forwarded(m, seen).fields)
        lines = sent if wanted is None else wanted
        want = [(n.lower(), v.strip(b" \t")) for n, _, v in
                (line.partition(b":") for line in lines.split(b"\r\n") if line)]
        check(by_name(got) == by_name(want), f"got {got}")


fields("none of our own", "9110 7.7", b"")
fields("Accept-Encoding, User-Agent, betas", "9110 7.7",
       b"Accept-Encoding: gzip, br;q=0.5, zstd\r\nUser-Agent: claude-cli/2.1.0 (external)\r\n"
       b"anthropic-beta: a-2025-01-01,b\r\nanthropic-version: 2023-06-01\r\nx-api-key: sk-x\r\n")
fields("duplicates in their order", "9110 5.3", b"X-B: 1\r\nx-a: 2\r\nX-B: 3\r\nX-B: 1\r\n")
fields("empty values", "9110 5.5", b"X-E:\r\nX-F: \r\nX-G: g\r\n")
fields("8-bit values", "9110 5.5", b"X-Name: Zo\xc3\xab \xff\x80\r\n")
fields("tabs and spaces within", "9110 5.5", b"X-T: a\tb  c\r\n")
fields("a value of 3 KB", "9110 5.5", b"X-L: " + b"v" * 3072 + b"\r\n")
fields("60 fields", "9110 5.5", b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(60)))
fields("cookies", "9110 5.5", b"Cookie: a=1; b=2; c=\"3\"\r\nCookie: d=4\r\n")
fields("fixed hop-by-hop fields go", "9110 7.6.1",
       b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: X-T\r\n"
       b"X-Stays: 1\r\n", b"X-Stays: 1\r\n")
fields("what Connection names goes", "9110 7.6.1",
       b"Connection: X-Mine, x-other\r\nX-Mine: 1\r\nX-OTHER: 2\r\nX-Stays: 3\r\n", b"X-Stays: 3\r\n")
fields("Upgrade goes", "9110 7.8",
       b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", b"")
fields("Upgrade to a websocket goes", "9110 7.8",
       b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n", b"Sec-WebSocket-Key: x\r\n")


@case("fields: X-Forwarded-For is appended", "7239 5.2")
def forwarded_for():
    m, seen = world.ask(b"GET /f HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.1.1.1\r\n\r\n")
    got = forwarded(m, seen).values(b"x-forwarded-for")
    check(b", ".join(got) == b"10.1.1.1, 127.0.0.1", got)


@case("HTTP/1.0 without Host", "9112 3.2")
def old_client():
    m, seen = world.ask(b"GET /old HTTP/1.0\r\n\r\n")
    check(forwarded(m, seen).start == b"GET /old HTTP/1.1", "not as HTTP/1.1")


# --- bodies ------------------------------------------------------------------------------------

def chunks(data, size, extension=b""):
    pieces = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces)


def body(name, section, raw, wanted):
    @case("body: " + name, section)
    def run():
        m, seen = world.ask(raw)
        got = forwarded(m, seen)
        check(got.body == wanted, f"{len(got.body)} bytes, wanted {len(wanted)}")


MIB = bytes(range(256)) * 4096
body("of 0 bytes", "9112 6.2", post(b"Content-Length: 0\r\n", b""), b"")
body("length with leading zeros", "9110 8.6", post(b"Content-Length: 0005\r\n", b"hello"), b"hello")
body("of all bytes", "9112 6.2", post(b"Content-Length: 256\r\n", bytes(range(256))), bytes(range(256)))
body("of 1 MiB", "9112 6.2", post(b"Content-Length: 1048576\r\n", MIB), MIB)
body("chunked", "9112 7.1", post(b"Transfer-Encoding: chunked\r\n", HELLO), b"hello")
body("chunked, empty", "9112 7.1", post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), b"")
body("chunked, 1 MiB", "9112 7.1",
     post(b"Transfer-Encoding: chunked\r\n", chunks(MIB, 10007) + b"0\r\n\r\n"), MIB)
body("chunked, in bytes", "9112 7.1",
     post(b"Transfer-Encoding: chunked\r\n", chunks(MIB[:3000], 1) + b"0\r\n\r\n"), MIB[:3000])
@case("body: chunk extensions", "9112 7.1.1")
def extensions():
    data = chunks(b"hello", 2, b';a=b;c="d"') + b"0;e\r\n\r\n"
    m, seen = world.ask(post(b"Transfer-Encoding: chunked\r\n", data))
    if world.program and world.program.refuses_extensions():
        check(m.status == 400, f"{m.start!r}")
    else:
        check(forwarded(m, seen).body == b"hello", "another body")


body("trailers", "9112 7.1.2",
     post(b"Transfer-Encoding: chunked\r\nTrailer: X-T\r\n",
          b"5\r\nhello\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n"), b"hello")
body("sizes in capitals", "9112 7.1", post(b"Transfer-Encoding: chunked\r\n", b"A\r\n0123456789\r\n0\r\n\r\n"),
     b"0123456789")


@case("body: one byte at a time", "9112 6")
def slow_bytes():
    seen = world.begin()
    with world.connect() as s:
        for b in post(b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"):
            s.sendall(bytes([b]))
        got = forwarded(read_response(Reader(s)), seen)
        check(got.body == b"abcde", got.body)


@case("body: 100 MiB", "9112 6.2")
def huge():
    seen = world.begin()
    with world.connect() as s:
        s.settimeout(60)
        s.sendall(post(b"Content-Length: 104857600\r\n", b""))
        for _ in range(100):
            s.sendall(MIB)
        m = read_response(Reader(s))
        got = forwarded(m, seen)
        want = hashlib.sha256(MIB * 100).digest()
        check(hashlib.sha256(got.body).digest() == want, f"{len(got.body)} other bytes")


@case("Expect: 100-continue", "9110 10.1.1")
def expect():
    seen = world.begin()
    with world.connect() as s:
        s.sendall(post(b"Content-Length: 5\r\nExpect: 100-continue\r\n", b""))
        reader = Reader(s)
        check(reader.line().startswith(b"HTTP/1.1 100 "), "no 100")
        check(reader.line() == b"", "fields in a 100")
        s.sendall(b"hello")
        got = forwarded(read_response(reader), seen)
        check(got.body == b"hello", got.body)


@case("an answer before the body has ended is heard", "9112 9.3")
def early():
    answer = (b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nContent-Length: 7\r\n"
              b"Connection: close\r\n\r\n{\"a\":1}")
    world.begin(on_head=lambda m, s: s.sendall(answer))
    with world.connect() as s:
        s.sendall(post(b"Content-Length: 10000000\r\n", b"x" * 100000))
        m = read_response(Reader(s))
        check(m.status == 413 and m.body == b"{\"a\":1}" and m.whole, f"{m.start!r} {m.body!r} {m.error}")


@case("an early answer of unknown length, and more of the body", "9112 9.3")
def early_chunked():
    def answer(m, s):
        s.sendall(b"HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\n\r\n" +
                  chunks(MIB, 5000) + b"0\r\n\r\n")
    world.begin(on_head=answer)
    with world.connect() as s:
        s.sendall(post(b"Transfer-Encoding: chunked\r\n", chunks(MIB, 50000)[:300000]))
        m = read_response(Reader(s))
        check(m.status == 413 and m.body == MIB and m.whole, f"{m.start!r} {len(m.body)} {m.error}")


@case("an early answer ends, though the client sends nothing more", "9112 9.3")
def early_and_silent():
    def answer(m, s):
        time.sleep(scaled(0.2))  # the proxy has sent what there is, and rests: or this shows nothing
        s.sendall(b"HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    world.begin(on_head=answer)
    with world.connect() as s:
        s.sendall(post(b"Content-Length: 10000000\r\n", b"x" * 1000))
        m = read_response(Reader(s))
        check(m.status == 413 and m.body == b"hello" and m.whole, f"{m.start!r} {m.body!r} {m.error}")
        check(s.recv(1) == b"", "the connection goes on")


def refused_and_reset(name, raw, kept):
    """The answer is there before the reset, and nobody may ask twice for what was refused."""
    @case("413 and an immediate reset: " + name, "9112 9.6")
    def run():
        answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{\"a\":1}"

        def on_head(m, s):
            s.sendall(answer)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
        for _ in range(8):
            if kept:
                world.ask(GET)
            seen = world.begin(on_head=on_head)
            with world.connect() as s:
                try:
                    s.sendall(raw.replace(b"%H", world.host))
                except OSError:
                    pass
                m = read_response(Reader(s))
            check(m.status == 413 and m.body == b"{\"a\":1}", f"{m.start!r} {m.body!r} {m.error}")
            check(seen["heads"] == 1, f"asked {seen['heads']} times")


GET = b"GET /r HTTP/1.1\r\nHost: h\r\n\r\n"
PROMPT = b'{"messages":[{"role":"user","content":"%s"}]}' % (b"x" * 3000000)
for kept in (False, True):
    refused_and_reset("a prompt" + " on a kept connection" * kept,
                      b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nx-api-key: k\r\nContent-Length: %d\r\n\r\n%s" %
                      (len(PROMPT), PROMPT), kept)
    refused_and_reset("a large body" + " on a kept connection" * kept,
                      b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3000000, kept)


def left(name, raw):
    @case("a client that leaves half-way: " + name, "9112 8")
    def run():
        seen = world.begin()
        with world.connect() as s:
            s.sendall(raw)
            with world.upstream.lock:
                world.upstream.lock.wait_for(lambda: seen["heads"], 0.3)
        got = world.upstream.wait(seen, 1, 1 if seen["heads"] else 0.1)
        check(not [r for r in got if r.whole], f"a whole request: {got and got[0].raw[-100:]!r}")


left("Content-Length", post(b"Content-Length: 5\r\n", b"hell"))
left("a long one", post(b"Content-Length: 1000000\r\n", b"x" * 500000))
left("chunked", post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n"))
left("chunked, at the last line", post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n"))


# --- responses ---------------------------------------------------------------------------------


def answer(name, section, reply, status, body=b"ok", absent=(), present=(), request=GET, whole=True):
    """What the client must get for the upstream's `reply`."""
    @case("response: " + name, section)
    def run():
        m, _ = world.ask(request, request.split(b" ")[0], reply)
        check(m.status == status, f"{m.start!r} {m.error}")
        check(m.whole == whole, f"{m.error} {m.fields}")
        check(m.body == body, f"body {m.body[:200]!r}")
        for f in absent:
            check(not m.values(f), f"{f} in {m.fields}")
        for f, v in present:
            check(v in m.values(f), f"no {f}: {v} in {m.fields}")


FRAMING = (b"content-length", b"transfer-encoding")
for code in 200, 201, 206, 301, 400, 418, 429, 500, 529, 599:
    answer(str(code), "9110 15", b"HTTP/1.1 %d Reason\r\nContent-Length: 2\r\n\r\nok" % code, code)
answer("204", "9110 15.3.5", b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n", 204, b"", FRAMING, [(b"x", b"1")])
answer("304 without a length", "9110 15.4.5", b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, b"",
       FRAMING, [(b"etag", b'"a"')])
answer("304 with a length", "9110 15.4.5", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", 304, b"",
       (b"transfer-encoding",), [(b"content-length", b"500")])
HEAD = b"HEAD /r HTTP/1.1\r\nHost: h\r\n\r\n"
answer("HEAD keeps its length", "9110 9.3.2", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", 200, b"",
       (b"transfer-encoding",), [(b"content-length", b"12345")], HEAD)
answer("HEAD without a length gets none", "9110 9.3.2", b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", 200, b"", FRAMING,
       [(b"x", b"1")], HEAD)
answer("empty body", "9112 6.3", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"")
answer("chunked", "9112 7.1", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x\r\nk\r\n0\r\n\r\n", 200)
answer("chunked with trailers", "9112 7.1.2",
       b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", 200)


def closing(data, reset=False):
    def reply(m, s):
        s.sendall(data)
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False
    return reply


answer("ended by close", "9112 6.3", closing(b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\nok"), 200)
answer("of HTTP/1.0", "9112 2.3", closing(b"HTTP/1.0 200 OK\r\n\r\nok"), 200)
answer("without a reason", "9112 4", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200)
OLD = b"GET /r HTTP/1.0\r\nHost: h\r\n\r\n"
answer("no chunks for HTTP/1.0", "9112 7.1",
       b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok",
       (b"transfer-encoding",), (), OLD)
answer("103 and 100 before it", "9110 15.2",
       b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK, 200)


@case("response: fields unchanged", "9110 7.7")
def response_fields():
    lines = [(b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT"), (b"Server", b"relay/1.0"), (b"Set-Cookie", b"a=1; Path=/"),
             (b"Set-Cookie", b"b=2"), (b"request-id", b"req_011"), (b"retry-after", b"7"), (b"X-Empty", b""),
             (b"anthropic-ratelimit-requests-remaining", b"0"), (b"anthropic-ratelimit-unified-status", b"allowed"),
             (b"Content-Type", b"text/event-stream; charset=utf-8"), (b"X-Bytes", b"Zo\xc3\xab \xff"),
             (b"Cache-Control", b"no-cache"), (b"ETag", b'W/"x"'), (b"Content-Encoding", b"gzip"), (b"Via", b"1.1 x")]
    head = b"".join(n + b": " + v + b"\r\n" for n, v in lines)
    m, _ = world.ask(GET, reply=b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 4\r\n\r\n\x1f\x8b\x08\x00")
    got = [(n.lower(), v) for n, v in m.fields if n.lower() not in (b"content-length", b"connection")]
    check(by_name(got) == by_name([(n.lower(), v) for n, v in lines]), f"got {got}")
    check(m.body == b"\x1f\x8b\x08\x00", "the coded body was touched")


def large_head(name, request, method, kind, fields, kept, body=b"ok"):
    """A head of up to 32 KiB, behind a request's of up to 16, is given whole; of one that has no room beside a request,
    it is the connection's last."""
    @case("response: a large head: " + name, "9112 2.1")
    def run():
        lines = b"".join(b"X-%d: %s\r\n" % (i, b"v" * 1000) for i in range(fields))
        framing = b"Content-Length: 2\r\n\r\nok" if kind == "length" else b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        world.begin(b"HTTP/1.1 200 OK\r\n" + lines + framing)
        with world.connect() as s:
            s.sendall(request)
            reader = Reader(s)
            m = read_response(reader, method)
            check(m.status == 200 and m.whole and m.body == body, f"{m.start!r} {m.error} {m.body[:100]!r}")
            for i in range(fields):
                check(m.values(b"x-%d" % i) == [b"v" * 1000], f"X-{i} is {m.values(b'x-%d' % i)}")
            if not kept:
                check(m.values(b"connection") == [b"close"] and is_closed(reader), "it stays open")
                return
            world.begin(OK)
            s.sendall(GET)
            check(read_response(reader).body == b"ok", "it isn't kept")


BIG_GET = b"GET /r HTTP/1.1\r\nHost: h\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"v" * 150) for i in range(95)) + b"\r\n"
for n, kind in enumerate(("length", "chunked")):
    large_head(f"{kind}, of 6 KB", GET, b"GET", kind, 6, True)
    large_head(f"{kind}, of 31 KB", GET, b"GET", kind, 30, False)
    large_head(f"{kind}, of 31 KB, of a large request", BIG_GET, b"GET", kind, 30, False)
    large_head(f"{kind}, of 31 KB, of a POST", post(b"Content-Length: 20000\r\n", b"x" * 20000), b"POST", kind, 30, False)
large_head("of 31 KB, to HEAD", HEAD, b"HEAD", "length", 30, False, b"")


answer("hop-by-hop fields go", "9110 7.6.1",
       b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: timeout=5\r\nX-Mine: 1\r\nUpgrade: h2c\r\n"
       b"Proxy-Connection: x\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\nok", 200, b"ok",
       (b"keep-alive", b"x-mine", b"upgrade", b"proxy-connection"), [(b"x-stays", b"1")])
answer("white space before a colon goes", "9112 5.1", b"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 2\r\n\r\nok", 200,
       b"ok", (), [(b"x-a", b"1")])


def broken(name, section, reply, allowed=None, request=GET):
    """An answer that isn't one: 502, or where the section has a way to read it, exactly that body."""
    @case("broken response: " + name, section)
    def run():
        m, _ = world.ask(request, reply=reply)
        if m.status == 200 and allowed is not None:
            check(m.whole and m.body == allowed, f"{m.error} {m.body[:100]!r}")
            return
        check(m.status == 502, f"{m.start!r} {m.fields} {m.body[:100]!r} {m.error}")


H200 = b"HTTP/1.1 200 OK\r\n"
broken("closed without a word", "9112 9.5", closing(b""))
broken("reset without a word", "9112 9.5", closing(b"", True))
broken("no HTTP", "9112 4", closing(b"hello, world\r\n\r\n"))
broken("cut in its head", "9112 8", closing(H200 + b"Content-Le"))
broken("HTTP/2.0", "9112 4", closing(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"))
broken("status of two digits", "9112 4", closing(b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"))
broken("status of four digits", "9112 4", closing(b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"))
broken("101 that nobody asked for", "9110 15.2.2",
       closing(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbytes"))
broken("CL and TE", "9112 6.3",
       closing(H200 + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), b"ok")
broken("two differing CLs", "9112 6.3", closing(H200 + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"))
broken("CL list, differing", "9112 6.3", closing(H200 + b"Content-Length: 2, 3\r\n\r\nok!"))
broken("CL -1", "9110 8.6", closing(H200 + b"Content-Length: -1\r\n\r\nok"))
broken("CL 0x2", "9110 8.6", closing(H200 + b"Content-Length: 0x2\r\n\r\nok"))
broken("unknown coding", "9112 6.1", closing(H200 + b"Transfer-Encoding: rot13, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
broken("TE in HTTP/1.0", "9112 6.1",
       closing(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
broken("folded field", "9112 5.2", closing(H200 + b"X: a\r\n X-Hidden: b\r\nContent-Length: 2\r\n\r\nok"), b"ok")


def folded(name, reply, request=GET):
    """The first one comes behind a good exchange: libcurl before 8.2 freed a field of that one twice (curl#11101)."""
    @case("folded line: " + name, "9112 5.2")
    def run():
        for good in (OK, H200 + b"X-Last: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"):
            for _ in range(3):
                m, _ = world.ask(request, reply=good)
                check(m.status == 200, m.start)
                m, _ = world.ask(request, reply=closing(reply))
                check(m.status == 502 or not m.whole, f"{m.start!r} {m.fields} {m.body[:100]!r} {m.error}")


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
for blank in (b" ", b"\t", b"   \t"):
    folded(f"the first, by {blank}", H200 + blank + b"folded: x\r\nContent-Length: 2\r\n\r\nok")
    folded(f"the first, of {blank} alone", H200 + blank + b"\r\nContent-Length: 2\r\n\r\nok")
    folded(f"of {blank} alone in the middle", H200 + b"X: 1\r\n" + blank + b"\r\nContent-Length: 2\r\n\r\nok")
    folded(f"the last, by {blank}", H200 + b"Content-Length: 2\r\n" + blank + b"\r\n\r\nok")
folded("without CR", b"HTTP/1.1 200 OK\n folded: x\nContent-Length: 2\n\nok")
folded("in a 103", H200.replace(b"200 OK", b"103 Early Hints") + b" folded: x\r\n\r\n" + OK)
folded("behind a 103", INTERIM + H200 + b" folded: x\r\nContent-Length: 2\r\n\r\nok")
folded("behind a 103, in another", INTERIM + b"HTTP/1.1 103 X\r\n\tx\r\n\r\n" + OK)
folded("in trailers", H200 + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n folded: x\r\nX-T: 1\r\n\r\n")
folded("in trailers, later", H200 + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n folded\r\n\r\n")
folded("to a request with a body", H200 + b" folded: x\r\nContent-Length: 2\r\n\r\nok",
       b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")

broken("a second status line among the fields", "9112 4",
       closing(H200 + b"X: 1\r\nHTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"))
broken("NUL behind the status", "9112 4", closing(b"HTTP/1.1 200\0\r\nContent-Length: 2\r\n\r\nok"))
broken("a line that is a NUL", "9112 2.2", closing(H200 + b"\0\r\nContent-Length: 2\r\n\r\nok"))
broken("NUL behind a value", "9110 5.5", closing(H200 + b"X: a\0\r\nContent-Length: 2\r\n\r\nok"))
broken("a line that begins with CR", "9112 2.2", closing(H200 + b"X: a\r\n\rY: b\r\nContent-Length: 2\r\n\r\nok"))
broken("interim responses without end", "9110 15.2", closing(INTERIM * 1000 + OK))
broken("NUL in a value", "9110 5.5", closing(H200 + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok"))
broken("bare CR in a value", "9112 2.2", closing(H200 + b"X: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok"))
broken("space in a field's name", "9110 5.1", closing(H200 + b"X Y: a\r\nContent-Length: 2\r\n\r\nok"))
answer("a head of 30 KiB", "9110 5.4",
       H200 + (b"X: " + b"a" * 1000 + b"\r\n") * 30 + b"Content-Length: 2\r\n\r\nok", 200)
broken("head of 34 KiB", "9110 5.4", closing(H200 + (b"X: " + b"a" * 1000 + b"\r\n") * 34 + b"Content-Length: 2\r\n\r\nok"))
broken("head of 100 KiB", "9110 5.4", closing(H200 + (b"X: " + b"a" * 1000 + b"\r\n") * 100 + b"Content-Length: 2\r\n\r\nok"))


def cut(name, section, reply, request=GET):
    """Cut behind its head: the client must not be able to take it for complete."""
    @case("cut response: " + name, section)
    def run():
        m, _ = world.ask(request, reply=reply)
        check(m.status == 502 or (m.status == 200 and not m.whole), f"{m.start!r} looks complete: {m.body[:100]!r}")


cut("Content-Length", "9112 8", closing(H200 + b"Content-Length: 5\r\n\r\nhel"))
cut("Content-Length, by reset", "9112 8", closing(H200 + b"Content-Length: 5\r\n\r\nhel", True))
cut("chunked, between chunks", "9112 8", closing(H200 + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"))
cut("chunked, in a chunk", "9112 8", closing(H200 + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"))
cut("chunked, bad size", "9112 7.1", closing(H200 + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n-2\r\nlo\r\n0\r\n\r\n"))
cut("chunked, for a client of HTTP/1.0", "9112 8", closing(H200 + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"), OLD)
cut("ended by close, by reset", "9112 8", closing(H200 + b"\r\n" + b"hel", True))


# --- connections -------------------------------------------------------------------------------

def in_order(name, requests):
    @case(name, "9112 9.3.2")
    def run():
        def reply(m, s):
            b = m.target
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(b), b))
        world.begin(reply)
        with world.connect() as s:
            s.sendall(b"".join(raw for raw, _ in requests))
            reader = Reader(s)
            for _, wanted in requests:
                m = read_response(reader)
                check(m.body == wanted, f"got {m.start!r} {m.body!r} {m.error}, wanted {wanted!r}")


def get(path):
    return b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % path, path


def user_message(path):
    text = b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":9}'
    return (b"POST %s HTTP/1.1\r\nHost: h\r\nx-api-key: k\r\nContent-Length: %d\r\n\r\n%s" % (path, len(text), text),
            path)


in_order("pipelined requests", [get(b"/1"), get(b"/2"), get(b"/3")])
in_order("pipelined user messages", [user_message(b"/a/v1/messages"), user_message(b"/b/v1/messages"), get(b"/c")])
in_order("pipelined, with bodies", [
    (b"PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", b"/1"), get(b"/2"),
    (b"PUT /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", b"/3"), get(b"/4")])


@case("100 requests on one connection", "9112 9.3")
def many():
    world.begin()
    with world.connect() as s:
        reader = Reader(s)
        for i in range(100):
            s.sendall(GET)
            m = read_response(reader)
            check(m.whole and m.body == b"ok", f"request {i}: {m.start!r} {m.error}")


@case("Connection: close is kept", "9112 9.6")
def close():
    world.begin()
    with world.connect() as s:
        s.sendall(b"GET /r HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        reader = Reader(s)
        m = read_response(reader)
        check(m.body == b"ok" and b"close" in m.values(b"connection"), m.fields)
        check(is_closed(reader), "it stays open")


@case("a connection that the upstream closed silently", "9112 9.3.1")
def stale():
    with world.connect() as s:
        reader = Reader(s)
        for i in range(5):
            def reply(m, up):
                up.sendall(OK)
                return False
            world.begin(reply)
            s.sendall(GET)
            m = read_response(reader)
            check(m.status == 200, f"request {i}: {m.start!r} {m.error}")


@case("bytes behind a response are nobody's answer", "9112 6.3")
def behind():
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    world.begin(OK + evil)
    with world.connect() as s:
        reader = Reader(s)
        s.sendall(GET)
        check(read_response(reader).body == b"ok", "first")
        world.begin()
        for _ in range(3):
            s.sendall(GET)
            m = read_response(reader)
            check(m.body != b"evil", "the client of the next request got it")
            if not m.whole:
                break


# --- running -----------------------------------------------------------------------------------

class Program:
    """turnstile between two free ports."""

    def __init__(self, path, upstream_port, extra=(), descriptors=None):
        self.log = tempfile.NamedTemporaryFile(prefix="turnstile-http-", suffix=".log")
        options = ["listen.address=127.0.0.1:0", f"upstream.url=http://127.0.0.1:{upstream_port}",
                   "queue.delay_ms=0", "log.format=json", "admin.address=", *extra]
        args = [path] + [a for o in options for a in ("-o", o)]
        clean = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS") or k == "PATH"}
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))) \
            if descriptors else None
        self.process = subprocess.Popen(args, stdout=self.log, stderr=self.log, env=clean,
                                        preexec_fn=limit)
        self.address = self.wait_for_address()

    def wait_for_address(self):
        end = time.monotonic() + LIMIT * 2
        while time.monotonic() < end and self.process.poll() is None:
            m = re.search(r'"msg":"listening","address":"127\.0\.0\.1:(\d+)"', self.text())
            if m:
                return "127.0.0.1", int(m.group(1))
            time.sleep(0.02)
        self.process.kill()
        raise SystemExit("it didn't start:\n" + self.text())

    def refuses_extensions(self):
        """libmicrohttpd 1.0 takes no chunk extensions, at no level of strictness."""
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8", errors="replace") as f:
            found = re.search(r"libmicrohttpd\.so\.12\.(\d+)", f.read())
        return found is not None and int(found.group(1)) >= 62

    def text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        """True if it ended as it should."""
        self.process.terminate()
        try:
            status = self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "killed"
        bad = status != 0 or "ERROR: " in self.text() or "WARNING: ThreadSanitizer" in self.text() or \
            "runtime error:" in self.text()
        if bad:
            print(f"the program ended with {status}:\n" + self.text()[-4000:])
        return not bad


def run_all(options):
    failed = passed = 0
    for name, section, function in CASES:
        if options.only not in name:
            continue
        try:
            function()
            passed += 1
        except Exception as e:  # whatever goes wrong in a case is that case's failure
            failed += 1
            if not options.count:
                print(f"FAILED  {name} (RFC {section}): {type(e).__name__}: {str(e)[:500]}", flush=True)
    print(f"{passed} of {passed + failed} passed")
    return failed == 0


def main():
    global world
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program")
    p.add_argument("--target")
    p.add_argument("--upstream-port", type=int, default=0)
    p.add_argument("--only", default="")
    p.add_argument("--list", action="store_true")
    p.add_argument("--count", action="store_true")
    options = p.parse_args()
    if options.list:
        for name, section, _ in CASES:
            print(f"{section:12} {name}")
        return 0
    upstream = Upstream(options.upstream_port)
    program = Program(options.program, upstream.port) if options.program else None
    host, _, port = (options.target or "").rpartition(":")
    world = World(program.address if program else (host, int(port)), upstream, program)
    good = run_all(options)
    if program:
        good = program.stop() and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
