#!/usr/bin/env python3
"""An API behind a real relay, for tests: streams answers slowly and says how many ran at once.

Usage: api.py PORT SECONDS

POST (any path): an event stream of ten deltas that lasts SECONDS. GET /stats: {"seen":…,"active":…,
"most_at_once":…,"aborted":…}; POST /reset: begins to count anew. A relay doesn't pass a test's own fields
on, so everything is told by the two arguments.
"""
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DELTAS = 10
PAUSE_S = float(sys.argv[2]) / DELTAS

lock = threading.Lock()
stats = {}


def reset():
    stats.update(seen=0, active=0, most_at_once=0, aborted=0)


def event(kind, **members):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def answer():
    usage = {"input_tokens": 3, "output_tokens": 1}
    yield event("message_start", message={"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                                          "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage})
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for _ in range(DELTAS):
        time.sleep(PAUSE_S)
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": "word "})
    yield event("content_block_stop", index=0)
    yield event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage)
    yield event("message_stop")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def document(self, value):
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        with lock:
            self.document(stats)

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in answer():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/reset":
            with lock:
                reset()
            self.document({})
            return
        with lock:
            stats["seen"] += 1
            stats["active"] += 1
            stats["most_at_once"] = max(stats["most_at_once"], stats["active"])
        try:
            self.stream()
        except OSError:
            self.close_connection = True
            with lock:
                stats["aborted"] += 1
        with lock:
            stats["active"] -= 1


reset()
ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
