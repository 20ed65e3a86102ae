#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fd store of a service manager: fdstore.py SOCKET

Keeps what FDSTORE=1 brings to SOCKET under its FDNAME, until FDSTOREREMOVE=1.
"""
import os
import socket
import sys

sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(sys.argv[1])
store = {}
while True:
    data, fds, _, _ = socket.recv_fds(sock, 65536, 8)
    fields = dict(line.split("=", 1) for line in data.decode().splitlines())
    name = fields.get("FDNAME")
    if "FDSTORE" in fields:
        store.setdefault(name, []).extend(fds)
    elif "FDSTOREREMOVE" in fields:
        for fd in store.pop(name, []):
            os.close(fd)
