#!/usr/bin/env python3
"""A client that is gone without a word, as behind a pulled cable: when it is told to end (SIGTERM), its kernel
forgets the connection and sends neither FIN nor RST.

usage: vanish.py HOST:PORT KEY
"""
import signal
import socket
import sys

TCP_REPAIR = 19  # linux/tcp.h; closing a socket under repair sends nothing


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    sock = socket.create_connection((host, int(port)))
    sock.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\ncontent-length: %d\r\n\r\n%s"
                 % (sys.argv[2].encode(), len(body), body))
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    signal.sigwait({signal.SIGTERM})
    sock.close()


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
main()
