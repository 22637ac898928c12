#!/usr/bin/env python3
"""One end of a connection that is gone without a word, as behind a pulled cable: its kernel forgets the connection and
sends neither FIN nor RST.

usage: vanish.py HOST:PORT KEY    a client, which goes when it is told to end (SIGTERM)
       vanish.py --upstream       says on which port of 127.0.0.1 it listens; goes when a request has begun to come
"""
import signal
import socket
import sys

TCP_REPAIR = 19  # linux/tcp.h; closing a socket under repair sends nothing


def vanish(sock):
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.close()


def upstream():
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening on", listener.getsockname()[1], flush=True)
    sock, _ = listener.accept()
    sock.recv(65536)
    vanish(sock)
    print("vanished", flush=True)
    signal.sigwait({signal.SIGTERM})


def client():
    host, port = sys.argv[1].rsplit(":", 1)
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    sock = socket.create_connection((host, int(port)))
    sock.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\ncontent-length: %d\r\n\r\n%s"
                 % (sys.argv[2].encode(), len(body), body))
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1) # says at once if it may
    signal.sigwait({signal.SIGTERM})
    vanish(sock)


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
upstream() if sys.argv[1] == "--upstream" else client()
