#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A journal: journald.py SOCKET FILE

Receives the datagrams of the native protocol at SOCKET and appends each to
FILE, as a line of JSON with its fields.
"""
import json
import os
import socket
import sys

path, out = sys.argv[1:]
if os.path.exists(path):
    os.unlink(path)
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(path)
with open(out, "a", buffering=1) as log:
    while True:
        fields = {}
        for line in sock.recv(1 << 20).decode().splitlines():
            key, _, value = line.partition("=")
            fields[key] = value
        log.write(json.dumps(fields) + "\n")
