#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a pseudo terminal: terminal.py ROWSxCOLS [STEP...] -- COMMAND

A STEP is done when its text has shown up in the output:
    TEXT:send:BYTES       types BYTES (Python escapes) once TEXT was seen
    TEXT:size:ROWSxCOLS   changes the window size once TEXT was seen
Everything the command prints goes to stdout; the exit code is its own.
"""
import codecs
import fcntl
import os
import pty
import signal
import struct
import sys
import termios


def set_size(fd, text):
    rows, cols = (int(n) for n in text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def main():
    at = sys.argv.index("--")
    size, steps, command = sys.argv[1], sys.argv[2:at], sys.argv[at + 1:]
    signal.alarm(60)
    pid, fd = pty.fork()
    if pid == 0:
        # The size must be there before the command looks at it.
        set_size(0, size)
        os.execvp(command[0], command)
    seen = b""
    while True:
        try:
            data = os.read(fd, 4096)
        except OSError:
            data = b""
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        seen += data
        while steps:
            text, action, value = steps[0].split(":", 2)
            if text.encode() not in seen:
                break
            steps.pop(0)
            if action == "send":
                os.write(fd, codecs.decode(value, "unicode_escape").encode())
            else:
                set_size(fd, value)
                os.kill(pid, signal.SIGWINCH)
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


main()
