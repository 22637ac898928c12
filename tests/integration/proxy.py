#!/usr/bin/env python3
"""A proxy on the way to the upstream (RFC 9110, 9.3.6; RFC 9112, 3.2.2): says where it listens, and the first line of
each request that it gets, with "auth" behind it where it has credentials.

usage: proxy.py [STATUS]    with STATUS it refuses everything by that, e.g. 407
"""
import socket
import sys
import threading


def read_head(sock):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = sock.recv(1)
        if not piece:
            return b""
        head += piece
    return head


def copy(source, to):
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    head = read_head(client)
    if not head:
        return
    method, target, _ = head.split(b"\r\n")[0].split(b" ")
    fields = head.lower()
    print(head.split(b"\r\n")[0].decode(), "auth" if b"\r\nproxy-authorization: basic " in fields else "",
          "and Proxy-Connection" if b"\r\nproxy-connection:" in fields else "", flush=True)
    if len(sys.argv) > 1:
        client.sendall(b"HTTP/1.1 %s Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % sys.argv[1].encode())
        client.close()
        return
    authority, _, path = (target if method == b"CONNECT" else target.split(b"://")[1]).partition(b"/")
    host, _, port = authority.decode().rpartition(":")
    upstream = socket.create_connection((host, int(port)))
    if method == b"CONNECT":
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        upstream.sendall(head.replace(target, b"/" + path, 1).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    threading.Thread(target=copy, args=(client, upstream), daemon=True).start()
    copy(upstream, client)


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print("proxy", listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()
