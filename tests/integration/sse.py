#!/usr/bin/env python3
"""Reads an event stream as its standard says (https://html.spec.whatwg.org/multipage/server-sent-events.html), for
tests.

usage: sse.py <BODY

Prints each event as a line of JSON, {"event": …, "data": …}, and last "end", or "incomplete" where the body ends
within an event, which clients throw away.
"""
import json
import sys

text = sys.stdin.buffer.read().decode("utf-8-sig")
event, data, begun = "", [], False
lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
for line in lines[:-1]:
    if line == "":
        if data:
            print(json.dumps({"event": event or "message", "data": "\n".join(data)}))
        event, data, begun = "", [], False
        continue
    begun = True
    if line.startswith(":"):
        continue
    field, _, value = line.partition(":")
    value = value.removeprefix(" ")
    if field == "event":
        event = value
    elif field == "data":
        data.append(value)
print("incomplete" if begun or lines[-1] else "end")
