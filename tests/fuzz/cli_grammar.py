#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random command lines of rkt: cli_grammar.py SEED COUNT IMAGE -- RKT [FLAG...]

Commands and flags are those that `rkt help` tells; words and values are good,
bad, huge, empty and repeated ones.  Run it in an empty directory that may be
lost; the FLAGs give rkt a data directory and configuration there.  No word names
another place, a host, or a pod.

Each must end soon, by itself, with an exit code of rkt's, and say why in lines
that are text, if that is not 0.  Prints what did not, and how many were tried.
"""
import random
import re
import subprocess
import sys

SECONDS = 60  # the sanitizers on a busy machine
CODES = {0, 1, 2, 254}
APP_CODES = {99, 126, 127, 203}  # of tests/inside, and of programs that are none
# They serve, or go on for as long as somebody looks.
LONG = {"metadata-service", "api-service", "stats", "app sandbox"}
# Where to write or read: given once, by who runs this.
FIXED = {"dir", "local-config", "system-config", "user-config", "image-driver"}

GOOD = {
    "net": ["none"], "format": ["json", "json-pretty"], "volume": [
        "v,kind=empty", "v,kind=empty,mode=0700,uid=1,gid=2"],
    "mount": ["volume=v,target=/v",
              "volume=v,target=/v,subPath=a,readOnly=true"], "user": ["0", "1"], "group": ["0"],
    "memory": ["64Mi"], "cpu": ["500m"], "name": ["one", "two"],
    "exec": ["/inside"], "pull-policy": ["new", "never"],
    "environment": ["A=b"], "set-env": ["A=b", "C=d"], "grace-period": ["0s"],
    "insecure-options": ["image", "all", "none"], "interactive": ["false"],
    "port": ["web:80"], "dns": ["8.8.8.8", "none"], "detach": ["false"],
    "seccomp": ["mode=remove,errno=EPERM,chmod"], "restart": ["no"],
    "caps-retain": ["CAP_KILL"], "fields": ["id,name"], "sort": ["size"],
    "no-stream": ["true"], "follow": ["false"], "wait": ["false"],
    "wait-ready": ["false", "0s"], "wait-timeout": ["1s"],
}
# Never these by chance: they go on for as long as they are asked to.
SHORT = {"no-stream", "follow", "wait", "wait-ready", "detach", "interactive",
         "restart"}
ODD = ["", " ", "=", ",", ",,", ":", "-", "--", "---", "=x", "x=", "x=y=z",
       "true", "false", "1", "-1", "0", "99999999999999999999", "1e9", "0x10",
       "30m", "-5s", "1h1h", "none", "%s%n%d", "\x1b[31mred", "a\nb", "a\tb",
       "../up", "./here", "q/../../q", "nowhere.aci", "sha512-", "sha512-zz",
       "\u00e4\u20ac", b"\xff\xfe", "x" * 300, "z" * 100000, ",z" * 20000,
       "v,kind=", "volume=,target=", "mode=retain", "CAP_NONE", "{}", "[", "q"]


def flags_of(rkt, command):
    """The flags of a command, and whether they need a value."""
    text = subprocess.run(rkt + ["help"] + command, capture_output=True,
                          text=True, check=True).stdout
    return [(m[1], not m[2]) for m in
            re.finditer(r"^ +(?:-\w, )?--([a-z-]+)(\[?)=", text, re.M)]


def commands_of(rkt):
    text = subprocess.run(rkt + ["help"], capture_output=True, text=True,
                          check=True).stdout
    names = re.search(r"COMMANDS:\n(.*?)\n\n", text, re.S)[1]
    return [m[1].split() for m in re.finditer(r"^\t([a-z][a-z -]*)\t", names,
                                              re.M)]


class Grammar:
    def __init__(self, seed, image, rkt):
        self.random = random.Random(seed)
        self.image = image
        self.rkt = rkt
        self.commands = [c for c in commands_of(rkt)
                         if " ".join(c) not in LONG]
        self.flags = {tuple(c): [f for f in flags_of(rkt, c)
                                 if f[0] not in FIXED] for c in self.commands}

    def value(self, flag):
        good = GOOD.get(flag)
        if good and (flag in SHORT or self.random.random() < 0.5):
            return self.random.choice(good)
        return self.random.choice(ODD)

    def flag(self, command):
        name, wants = self.random.choice(self.flags[tuple(command)])
        roll = self.random.random()
        if roll < 0.05:
            return ["--" + self.random.choice(["bogus", name + "x", name[:-1],
                                               "-" + name, "\x1b[1m", ""])]
        if name in SHORT or (roll < 0.85 and (wants or roll < 0.5)):
            return [join("--" + name + "=", self.value(name))]
        if wants and roll < 0.95:
            return ["--" + name, self.value(name)]
        return ["--" + name]  # its value is the next word, or missing

    def word(self):
        roll = self.random.random()
        if roll < 0.3:
            return [self.image]
        if roll < 0.4:
            return ["--", "exit-code", "0"]
        return [self.random.choice(ODD)]

    def line(self):
        command = self.random.choice(self.commands)
        words = list(command)
        if command == ["run"]:
            words.append("--net=none")
        for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 5, 8])):
            more = (self.flag(command) if self.random.random() < 0.6
                    else self.word())
            words += more * self.random.choice([1, 1, 1, 1, 2])
        if self.random.random() < 0.1:
            self.random.shuffle(words)
        return words


def join(a, b):
    return a.encode() + b if isinstance(b, bytes) else a + b


def is_text(data):
    return not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", data)


def wrong(rkt, words):
    """What is wrong with what RKT does with WORDS; None if nothing is."""
    try:
        done = subprocess.run(rkt + words, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=SECONDS,
                              check=False)
    except subprocess.TimeoutExpired:
        return "no end"
    runs = b"run" in [w if isinstance(w, bytes) else w.encode() for w in words]
    if done.returncode not in CODES | (APP_CODES if runs else set()):
        return "exit code %d: %s" % (done.returncode, done.stderr[-2000:])
    said = [line for line in done.stderr.split(b"\n") if line]
    # Its report, on stdout, has a line for each pod.
    reports = b"auto-update" in done.args or "auto-update" in done.args
    if done.returncode != 0 and not said and not (reports and done.stdout):
        return "exit code %d without a reason" % done.returncode
    if not is_text(done.stderr):
        return "control characters: %s" % done.stderr[:300]
    if any(len(line) > 5000 for line in said):
        return "a line of %d bytes" % max(map(len, said))
    if b"Sanitizer" in done.stderr or b"runtime error" in done.stderr:
        return done.stderr.decode(errors="replace")[-4000:]
    return None


def shown(words):
    return " ".join(repr(w if len(w) < 80 else w[:60])
                    for w in words)


def main():
    seed, count, image = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    rkt = sys.argv[sys.argv.index("--") + 1:]
    grammar = Grammar(seed, image, rkt)
    bad = 0
    for n in range(count):
        words = grammar.line()
        why = wrong(rkt, words)
        if why:
            bad += 1
            print("seed %d, line %d: %s: %s" % (seed, n, shown(words), why))
    print("seed %d: %d command lines, %d wrong" % (seed, count, bad))
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
