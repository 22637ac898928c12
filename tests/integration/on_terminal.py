#!/usr/bin/env python3
"""Runs a command on a terminal as a person would: answers what is asked, reads, and presses Ctrl-C.

Usage: on_terminal.py SECONDS UNTIL ANSWER... -- COMMAND...

Each question (a text that ends with "] ") gets the next ANSWER. When UNTIL is in what the command has written,
Ctrl-C is typed. Prints all that it wrote, and exits with its status; 124 if that takes longer than SECONDS.
"""
import os
import pty
import select
import sys
import time

seconds, until = float(sys.argv[1]), sys.argv[2].encode()
answers = sys.argv[3:sys.argv.index("--")]
command = sys.argv[sys.argv.index("--") + 1:]

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
end, seen, asked, stopped = time.monotonic() + seconds, b"", 0, False
while time.monotonic() < end:
    if not select.select([terminal], [], [], 0.1)[0]:
        continue
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    seen += piece
    if answers and seen.count(b"] ", asked) and seen.endswith(b"] "):
        asked = len(seen)
        os.write(terminal, answers.pop(0).encode() + b"\n")
    if until in seen and not stopped:
        stopped = True
        os.write(terminal, b"\x03")
else:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    sys.stdout.buffer.write(seen.replace(b"\r\n", b"\n"))
    sys.exit(124)
sys.stdout.buffer.write(seen.replace(b"\r\n", b"\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
