"""An app that speaks sd_notify(3): does what its arguments say, in order.

	env=NAME	print a variable of the environment
	say=TEXT	a datagram; \\n in it is a line feed
	announce	say READY=1 and STATUS=version $VERSION
	fds		print names and numbers of what was inherited
	store=NAME	FDSTORE=1 with a memfd that holds $VERSION
	store-socket=NAME  the same with one end of a socket pair; keeps the other
	close-socket	close that other end
	more=N		store N memfds
	show		print what stored memfds hold
	remove=NAME	FDSTOREREMOVE=1
	keep=NAME	at SIGTERM, store=NAME before the end
	barrier		wait until everything before was seen to
	fork		go on in a child, which is the main process; the parent ends
	child-ping=N	a child of its own pings N times, 50 ms apart, and ends
	sleep=SECONDS, exit=CODE, print=TEXT
	serve		answer $VERSION to whoever connects to fd 3; "crash": exit 7
	serve-stored=NAME:PORT  the same on the listening socket of that name, which
			is made and stored (FDSTORE=1) if it was not inherited
	listen=PORT	the same on a socket of its own
"""
import os
import select
import signal
import socket
import sys
import time

VERSION = os.environ.get("VERSION", "")
kept = []


def say(text, fds=()):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect(os.environ.get("NOTIFY_SOCKET", "/dev/notify"))
    socket.send_fds(s, [text.encode()], list(fds))
    s.close()


def memfd():
    fd = os.memfd_create("state")
    os.write(fd, VERSION.encode())
    return fd


def store(name):
    fd = memfd()
    say("FDSTORE=1\nFDNAME=" + name, [fd])
    os.close(fd)


def inherited():
    n = int(os.environ.get("LISTEN_FDS", "0"))
    if n and os.environ["LISTEN_PID"] != str(os.getpid()):
        sys.exit("LISTEN_PID is wrong")
    names = os.environ["LISTEN_FDNAMES"].split(":") if n else []
    if len(names) != n:
        sys.exit("LISTEN_FDNAMES is wrong")
    return list(enumerate(names, 3))


def fds():
    # One of these is the directory itself.
    have = sorted(int(f) for f in os.listdir("/proc/self/fd"))[:-1]
    print("have=" + ",".join(map(str, have)))
    print("names=" + ",".join(name for _, name in inherited()))


def show():
    for fd, name in inherited():
        try:
            print(f"{name}:{os.pread(fd, 100, 0).decode()}")
        except OSError:
            print(f"{name} is no file")


def store_socket(name):
    ours, theirs = socket.socketpair()
    say("FDSTORE=1\nFDNAME=" + name, [theirs.fileno()])
    theirs.close()
    kept.append(ours)


def barrier():
    r, w = os.pipe()
    say("BARRIER=1", [w])
    os.close(w)
    if os.read(r, 1):
        sys.exit("barrier")


def fork():
    # As a daemon does: the child waits until it is known.
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(w)
        os.read(r, 1)
        return
    say(f"MAINPID={pid}")
    barrier()
    os._exit(0)


def child_ping(n):
    if os.fork() == 0:
        for _ in range(int(n)):
            say("WATCHDOG=1")
            time.sleep(0.05)
        os._exit(0)


def answer(listener):
    listener.setblocking(True)
    print("serving=" + VERSION)
    while True:
        conn, _ = listener.accept()
        with conn:
            text = conn.recv(100)
            if b"crash" in text:
                os._exit(7)
            conn.sendall(f"{VERSION}\n".encode())


def listen(port):
    s = socket.create_server(("", int(port)))
    answer(s)


def serve_stored(arg):
    name, port = arg.split(":")
    for fd, given in inherited():
        if given == name:
            print("inherited=" + name)
            answer(socket.socket(fileno=fd))
    s = socket.create_server(("", int(port)))
    say("FDSTORE=1\nFDNAME=" + name, [s.fileno()])
    answer(s)


def keep(name):
    def end(*_):
        store(name)
        os._exit(0)
    signal.signal(signal.SIGTERM, end)


actions = {
    "say": lambda t: say(t.replace("\\n", "\n")),
    "announce": lambda: say(f"READY=1\nSTATUS=version {VERSION}"),
    "fds": fds,
    "store": store,
    "store-socket": store_socket,
    "close-socket": lambda: kept.pop().close(),
    "more": lambda n: [store(f"n{i}") for i in range(int(n))],
    "show": show,
    "remove": lambda n: say("FDSTOREREMOVE=1\nFDNAME=" + n),
    "keep": keep,
    "barrier": barrier,
    "fork": fork,
    "child-ping": child_ping,
    "sleep": lambda t: time.sleep(float(t)),
    "exit": lambda c: os._exit(int(c)),
    "print": print,
    "serve": lambda: answer(socket.socket(fileno=3)),
    "listen": listen,
    "serve-stored": serve_stored,
    "env": lambda n: print(n + "=" + os.environ.get(n, "unset")),
}

sys.stdout.reconfigure(line_buffering=True)
for arg in sys.argv[1:]:
    name, given, value = arg.partition("=")
    actions[name](*([value] if given else []))
