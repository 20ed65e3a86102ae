#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# journal.sh: what stage1 spends on the lines of an app that go to journald,
# against lines that go to the log file alone, in a machine systemd has booted.
# First as many lines as journald takes, which is its maximum; then both at
# that rate, in turns, by the CPU time of stage1's own process.
#
# LINES (200000), ROUNDS (3), BUILD
# shellcheck disable=SC2016 # $ in quotes is the machine's shell's or Python's
set -euo pipefail
self=$(readlink -f "$0")
here=$(dirname "$self")
BUILD=$(readlink -f "${BUILD:-build}")
export BUILD

if [ "${1-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || { echo "the benchmark needs root" >&2; exit 1; }
	W=$(mktemp -d "${TMPDIR:-/tmp}/rkt-bench.XXXXXX")
	trap 'rmdir "$W"' EXIT
	W=$W unshare --mount --pid --net --ipc --fork --kill-child --mount-proc \
		--propagation private -- bash "$self" --inside
	exit
fi

mount --make-rshared /
ip link set lo up
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755,size=8g tmpfs "$W"
export TMPDIR=$W
M=$W/machine
LINES=${LINES:-200000}
ROUNDS=${ROUNDS:-3}
# shellcheck source=tests/bench/ratio.bash
. "$here/ratio.bash"

machine() {
	nsenter -t "$(cat "$M/pid")" -m -u -i -n -p -C -- \
		env PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
}

finish() {
	kill -RTMIN+4 "$(cat "$M/pid")" 2>/dev/null || true
	wait
}

mkdir -p "$M/data"
"$here/../images/build-images.sh" "$W" python >&2
cp "$W/python.aci" "$M/data/"
"$here/../systemd/boot.sh" "$M" >/dev/null 2>&1 &
trap finish EXIT
until [ -s "$M/pid" ] && machine systemctl is-system-running >/dev/null 2>&1; do
	sleep 0.2
done
machine sh -c 'mkdir -p /run/systemd/journald.conf.d
printf "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRuntimeMaxUse=1G\n" \
	>/run/systemd/journald.conf.d/bench.conf
systemctl restart systemd-journald'

# How many lines, lines a second (0: as many as go): one write each, as of a
# server that logs requests.
cat >"$M/data/lines.py" <<'END'
import os, sys, time
n, rate = int(sys.argv[1]), float(sys.argv[2])
line = b'192.0.2.%d - - "GET /index.html HTTP/1.1" 200 612 "-" "curl/7.88.1" %d\n'
begin = time.monotonic()
for i in range(n):
    os.write(1, line % (i % 250, i))
    if rate and i % 16 == 15:
        wait = begin + i / rate - time.monotonic()
        if wait > 0.001:
            time.sleep(wait)
seconds = time.monotonic() - begin
time.sleep(1)
with open("/data/seconds", "w") as f:
    f.write("%.6f" % seconds)
time.sleep(600)
END

# run LOG RATE: "SECONDS CPU", of the app and of stage1.
run() {
	rm -f "$M/data/seconds"
	machine systemctl reset-failed bench 2>/dev/null || true
	machine systemd-run --quiet --unit=bench -p KillMode=mixed -p Delegate=yes -p Type=notify \
		rkt --insecure-options=image run --net=none --log="$1" \
		--uuid-file-save=/data/uuid --volume=d,kind=host,source=/data \
		/data/python.aci --mount=volume=d,target=/data \
		--exec=/usr/bin/python3 -- -I /data/lines.py "$LINES" "$2"
	machine sh -c 'pid=$(systemctl show -P MainPID bench)
		until [ -s /data/seconds ]; do sleep 0.2; done
		cut -d" " -f1 /proc/$pid/schedstat >/data/cpu
		systemctl stop bench
		rkt gc --grace-period=0s >/dev/null 2>&1'
	echo "$(cat "$M/data/seconds") $(awk '{ print $1 / 1e9 }' "$M/data/cpu")"
}

best() { sort -n -k2 | head -1; }

echo "== $LINES lines of an app, best of $ROUNDS"
rate=$(run journal 0 | awk -v n="$LINES" '{ printf "%d", n / $1 }')
echo "journald takes $rate lines a second"
for _ in $(seq "$ROUNDS"); do
	run file "$rate" >>"$W/file"
	run journal "$rate" >>"$W/journal"
done
ratio "CPU of stage1, journald / file, s" "$(best <"$W/journal" | cut -d' ' -f2)" \
	"$(best <"$W/file" | cut -d' ' -f2)" 1.1 '<='
