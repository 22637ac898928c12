"""Takes events of admin.webhook, a line of JSON each in a file, and answers as another file says.

usage: receiver.py ADDRESS_FILE RECORD PLAN [PORT]

PLAN has a word a line, of which each request takes the next: a status, `redirect`, `hang` (no
answer until the other side has gone) or `cut`. Where there is none: 204.
"""

import http.server
import json
import os
import sys

address_file, record, plan = sys.argv[1:4]
port = int(sys.argv[4]) if sys.argv[4:] else 0
taken = 0


def next_word():
    global taken
    words = open(plan, encoding="ascii").read().split() if os.path.exists(plan) else []
    taken += 1
    return words[taken - 1] if taken <= len(words) else "204"


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802, the base class's name
        body = self.rfile.read(int(self.headers["content-length"]))
        word = next_word()
        line = {"fields": {k.lower(): v for k, v in self.headers.items()}, "text": body.decode(),
                "path": self.path, "answer": word}
        with open(record, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
        if word == "hang":
            self.rfile.read(1)
        if word in ("hang", "cut"):
            self.close_connection = True
            return
        self.send_response(302 if word == "redirect" else int(word))
        if word == "redirect":
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver)
with open(address_file + ".new", "w", encoding="ascii") as f:
    f.write("127.0.0.1:%d\n" % server.server_address[1])
os.rename(address_file + ".new", address_file)
server.serve_forever()
