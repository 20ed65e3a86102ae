#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""http2.py HOST:PORT CLIENTS CALLS READY

Clients of rkt api-service that let it send nothing by HTTP/2's flow control: one
half calls GetInfo, the other ListenEvents, which is over after a second and has
nothing but its end to say.  Makes READY when all is asked, and ends when the
service has ended them all.
"""
import signal
import socket
import struct
import sys

DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW = 4


def frame(kind, flags, stream, body=b""):
    return struct.pack(">IBBI", len(body), kind, flags, stream)[1:] + body


def header(name, value):
    """Literal, without indexing (RFC 7541, 6.2.2)."""
    return (b"\0" + bytes([len(name)]) + name.encode()
            + bytes([len(value)]) + value.encode())


def call(stream, method, *more):
    head = b"".join(header(*h) for h in (
        (":method", "POST"), (":scheme", "http"), (":authority", "x"),
        (":path", "/v1alpha.PublicAPI/" + method),
        ("content-type", "application/grpc"), ("te", "trailers")) + more)
    return (frame(HEADERS, END_HEADERS, stream, head)
            + frame(DATA, END_STREAM, stream, bytes(5)))


def connect(address):
    host, port = address.rsplit(":", 1)
    s = socket.create_connection((host, int(port)))
    s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(
        SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, 0)))
    return s


def read_exactly(s, n):
    got = b""
    while len(got) < n:
        more = s.recv(n - len(got))
        if not more:
            raise EOFError
        got += more
    return got


def frames(s):
    try:
        while True:
            head = read_exactly(s, 9)
            length = int.from_bytes(head[:3], "big")
            read_exactly(s, length)
            yield head[3]
    except (EOFError, ConnectionError):
        return


def main():
    signal.alarm(120)
    address, ready = sys.argv[1], sys.argv[4]
    clients, calls = int(sys.argv[2]), int(sys.argv[3])
    sockets = []
    for i in range(clients):
        what = ("ListenEvents", ("grpc-timeout", "1S")) if i % 2 else (
            "GetInfo",)
        s = connect(address)
        s.sendall(b"".join(call(2 * n + 1, *what) for n in range(calls)))
        sockets.append(s)
    for s in sockets:
        n = 0
        for kind in frames(s):
            n += kind == HEADERS
            if n == calls:
                break
        else:
            raise SystemExit("the service has ended it at once")
    with open(ready, "w", encoding="utf-8"):
        pass
    for s in sockets:
        for _ in frames(s):
            pass


main()
