#!/usr/bin/env python3
"""A service manager's ear: usage: notified.py PATH FILE

Listens for datagrams at the Unix socket PATH ("@..." is an abstract one) and appends each to FILE as a line, its
own line ends as "|".
"""
import socket
import sys

ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ear.bind(sys.argv[1].replace("@", "\0", 1) if sys.argv[1].startswith("@") else sys.argv[1])
with open(sys.argv[2], "a", buffering=1, encoding="utf-8") as file:
    while True:
        file.write(ear.recv(4096).decode().replace("\n", "|") + "\n")
