#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a pseudo terminal: terminal.py ROWSxCOLS [STEP...] -- COMMAND

A STEP is done when its text has shown up in the output, with none at once:
    TEXT:send:BYTES       types BYTES (Python escapes) once TEXT was seen
    TEXT:size:ROWSxCOLS   changes the window size once TEXT was seen
Everything the command prints goes to stdout, or with --screen as the first STEP
what can be read of it in the end; the exit code is its own.
"""
import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios


def set_size(fd, text):
    rows, cols = (int(n) for n in text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def screen(data):
    """The lines that a terminal shows after DATA, however far they go."""
    lines, row, column = [""], 0, 0
    for text, up, clear in re.findall(
            r"([^\x1b]+)|\x1b\[(\d+)A|\x1b\[([KJ])", data):
        row = max(0, row - int(up or 0))
        if clear:
            lines[row] = lines[row][:column]
        if clear == "J":
            del lines[row + 1:]
        for c in text:
            if c == "\r":
                column = 0
            elif c == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            else:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + c + line[column + 1:]
                column += 1
    return "\n".join(lines)


def main():
    at = sys.argv.index("--")
    size, steps, command = sys.argv[1], sys.argv[2:at], sys.argv[at + 1:]
    wants_screen = steps[:1] == ["--screen"]
    del steps[:wants_screen]
    signal.alarm(60)
    pid, fd = pty.fork()
    if pid == 0:
        # The size must be there before the command looks at it.
        set_size(0, size)
        os.execvp(command[0], command)
    seen = b""

    def do_steps():
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

    do_steps()
    while True:
        try:
            data = os.read(fd, 4096)
        except OSError:
            data = b""
        if not data:
            break
        seen += data
        if not wants_screen:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        do_steps()
    if wants_screen:
        print(screen(seen.decode(errors="replace")))
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


main()
