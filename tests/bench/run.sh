#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [BENCH]...: how rkt compares: start, network, parallel, memory,
# sequence, profile, and of pods.bash ports, many and apps.  Every
# number is a ratio between commands interleaved in one run, since absolute
# times on a shared machine mean little.  A peer that is not installed is
# said to be not measured.  Nothing here fails a build.
#
# ROUNDS (30), PARALLEL (50), PODS (200), ROUNDS_MANY (2), WRK_PAIRS (8), BUILD,
# SEQUENCE (2000), SEQUENCE_NET (200); FULL=1 is 10000 of both
# shellcheck disable=SC2086 # $RKT and $PODMAN are lists of words
set -euo pipefail
self=$(readlink -f "$0")
here=$(dirname "$self")
BUILD=$(readlink -f "${BUILD:-build}")
export BUILD

if [ "${1-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || { echo "the benchmark needs root" >&2; exit 1; }
	W=$(mktemp -d /tmp/rkt-bench.XXXXXX)
	trap 'rmdir "$W"' EXIT
	W=$W unshare --mount --pid --net --ipc --fork --kill-child --mount-proc \
		--propagation private -- bash "$self" --inside "$@"
	exit
fi
shift

# In namespaces of our own: whatever happens, the host stays as it is.
ip link set lo up
mount -t tmpfs -o mode=0755 tmpfs /run
for d in /var/lib/rkt /var/lib/cni; do
	mkdir -p "$d"
	mount -t tmpfs -o mode=0755 tmpfs "$d"
done
mount -t tmpfs -o mode=0755,size=8g tmpfs "$W"
mkdir -p "$W"/{tmp,ns,run} /run/lock
export TMPDIR=$W/tmp
cd "$W"

RACE=$W/race
FLOOR=$W/floor
for p in race floor; do
	gcc -D_GNU_SOURCE -std=gnu17 -O2 -static -o "$W/$p" "$here/$p.c"
done

# --- the root every peer starts --------------------------------------------

root=$W/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc,upper}
cp /bin/busybox "$root/bin/busybox"
for a in true sh sleep echo; do ln -s busybox "$root/bin/$a"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
mkdir -p "$W/overlay/upper" "$W/overlay/work"

# --- peers -------------------------------------------------------------------

# shellcheck source=tests/bench/podman.bash
. "$here/podman.bash"
# shellcheck source=tests/bench/ratio.bash
. "$here/ratio.bash"
# shellcheck source=tests/bench/pods.bash
. "$here/pods.bash"

have() {
	command -v "$1" >/dev/null
}

crun_bundle() {
	mkdir -p "$W/bundle"
	(cd "$W/bundle" && crun spec)
	jq --arg root "$root" '.root.path=$root | .root.readonly=false |
		.process.terminal=false | .process.args=["/bin/true"]' \
		"$W/bundle/config.json" >"$W/bundle/new"
	mv "$W/bundle/new" "$W/bundle/config.json"
}

podman_image() {
	podman_configure
	tar -C "$root" -c . | in_v1 $PODMAN import -q - bench >/dev/null
}

RKT="$BUILD/bin/rkt --dir=$W/rkt --local-config=$W/local --system-config=$W/system"
rkt_image() {
	mkdir -p "$W/image" "$W/local" "$W/system"
	cp -a "$root" "$W/image/rootfs"
	jq -n '{acKind: "ImageManifest", acVersion: "0.8.11",
		name: "example.com/bench",
		labels: [{name: "version", value: "1.0.0"},
			{name: "os", value: "linux"},
			{name: "arch", value: "amd64"}],
		app: {exec: ["/bin/true"], user: "0", group: "0"}}' \
		>"$W/image/manifest"
	"$BUILD/bin/actool" build --owner-root "$W/image" "$W/bench.aci"
	image=$($RKT --insecure-options=image fetch --full "$W/bench.aci")
}

# --- commands ------------------------------------------------------------------

tab=$(printf '\t')
peers=()
missing=()
add() { # NAME NAMESPACE COMMAND
	peers+=("$1")
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$W/commands"
}

setup() {
	if [ -x "$BUILD/bin/rkt" ] && [ -x "$BUILD/bin/actool" ] &&
		rkt_image; then
		rkt=1
	else
		missing+=(rkt)
	fi
	have bwrap || missing+=(bwrap)
	if have crun; then crun_bundle; else missing+=(crun); fi
	if have podman && podman_image; then
		podman=1
	else
		missing+=(podman)
	fi
	for p in ${missing[@]+"${missing[@]}"}; do
		echo "not measured: $p is not installed or does not work here"
	done
}
rkt='' podman=''

commands_start() {
	: >"$W/commands"
	add floor - "$FLOOR $root /bin/true"
	add floor-overlay - "$FLOOR -d -o $W/overlay/upper:$W/overlay/work $root /bin/true"
	[ -z "$rkt" ] || add rkt - "$RKT run --net=none $image"
	! have bwrap || add bwrap - "bwrap --unshare-all --bind $root / --proc /proc --dev /dev /bin/true"
	! have crun || add crun "$v1ns" "crun --root=$W/run/crun run -b $W/bundle bench%i"
}

commands_network() {
	: >"$W/commands"
	[ -z "$rkt" ] || add rkt-net - "$RKT run $image"
	[ -z "$podman" ] || add podman-net "$v1ns" "$PODMAN run --rm bench /bin/true"
	[ -z "$podman" ] || add podman-none "$v1ns" "$PODMAN run --rm --network=none bench /bin/true"
}

# --- results ---------------------------------------------------------------------

table() {
	echo "name                median ms      p10      p90      min      cpu failed"
	awk -F"$tab" '{ printf "%-18s %10s %8s %8s %8s %8s %6s\n",
		$1, $2, $3, $4, $5, $7, $6 }' "$1"
}

pressure() {
	[ ! -r /proc/pressure/cpu ] || sed -n 's/^some /cpu pressure: /p' \
		/proc/pressure/cpu
}

collect() {
	[ -z "$rkt" ] || $RKT gc --grace-period=0s >/dev/null 2>&1 || true
}

bench_start() {
	echo "== start to exit of /bin/true, no network, median of $ROUNDS"
	pressure
	commands_start
	$PRIORITY "$RACE" rounds "$ROUNDS" "$W/commands" >"$W/start" 2>"$W/errors"
	table "$W/start"
	local rkt_ms
	rkt_ms=$(column "$W/start" rkt 2)
	ratio "rkt / crun" "$rkt_ms" "$(column "$W/start" crun 2)" 0.4 '<='
	ratio "rkt / bwrap" "$rkt_ms" "$(column "$W/start" bwrap 2)" 1.0 '<='
	ratio "rkt / floor" "$rkt_ms" "$(column "$W/start" floor 2)" 2.5 '<='
	head -5 "$W/errors"
	collect
}

bench_network() {
	local rounds=$ROUNDS
	echo "== the same with the default network, median of $rounds"
	commands_network
	[ -s "$W/commands" ] || return 0
	$PRIORITY "$RACE" rounds "$rounds" "$W/commands" >"$W/net" 2>"$W/errors"
	table "$W/net"
	ratio "rkt / podman, default networks" \
		"$(column "$W/net" rkt-net 2)" \
		"$(column "$W/net" podman-net 2)" 0.25 '<='
	head -5 "$W/errors"
	collect
}

bench_parallel() {
	echo "== $PARALLEL at once, pods per second (best of 3)"
	commands_start
	: >"$W/par"
	: >"$W/errors"
	for _ in 1 2 3; do
		"$RACE" parallel "$PARALLEL" "$W/commands" 2>>"$W/errors"
		collect
	done | sort -t"$tab" -k3,3n -k2,2rn | awk -F"$tab" '!seen[$1]++' >"$W/par"
	awk -F"$tab" '{ printf "%-18s %10s/s  %s failed\n", $1, $2, $3 }' \
		"$W/par"
	ratio "rkt / crun, pods per second" "$(column "$W/par" rkt 2)" \
		"$(column "$W/par" crun 2)" 2 '>='
	sort "$W/errors" | uniq -c | sort -rn | head -5
}

bench_memory() {
	echo "== resident memory of an idle pod (stage1 + pod init, PSS)"
	[ -n "$rkt" ] || { echo "not measured"; return 0; }
	local supervisor init uuid kib
	$RKT run --net=none --uuid-file-save="$W/uuid" "$image" \
		--exec=/bin/sleep -- 1000 >/dev/null 2>"$W/errors" &
	supervisor=$!
	for _ in $(seq 100); do
		[ -s "$W/uuid" ] && uuid=$(cat "$W/uuid") &&
			[ -s "$W/rkt/pods/run/$uuid/pid" ] &&
			[ -L "$W/rkt/pods/run/$uuid/supervisor-status" ] && break
		sleep 0.05
	done
	init=$(cat "$W/rkt/pods/run/$uuid/pid")
	kib=$("$RACE" pss "$supervisor" "$init")
	ratio "PSS KiB / 3 MiB" "$kib" 3072 1 '<='
	for p in $supervisor $init; do
		printf '%-18s %6s KiB PSS\n' "$(cat "/proc/$p/comm")" \
			"$("$RACE" pss "$p")"
	done
	$RKT stop "$uuid" >/dev/null 2>&1 || kill "$supervisor"
	wait "$supervisor" || true
	collect
}

# Before rkt gc: the pods there are.
note_pods() {
	find "$W/rkt/pods" -mindepth 2 -maxdepth 2 -printf '%f\n' >>"$W/mine"
}

# left_behind RUNS: since the snapshot $W/before.  Control groups are the
# host's, and others' pods have some: only those of $W/mine count.
left_behind() {
	{
		sh "$here/../leaks.sh" compare "$W/before" 5 |
			grep -v '^left behind: cgroup ' || true
		find /sys/fs/cgroup -type d -path '*/rkt/*' 2>/dev/null |
			grep -Ff "$W/mine" || true
	} >"$W/left"
	head "$W/left"
	if [ -s "$W/left" ]; then
		echo "left behind by $1 runs: missed"
	else
		echo "left behind by $1 runs: nothing: met"
	fi
}

# Of the whole machine: others' work shows in it, too.
kernel_counts() {
	awk '$1 == "memory" { print "control groups, with those that die", $3 }' /proc/cgroups
	awk '{ print "open files", $1 }' /proc/sys/fs/file-nr
	awk '$1 == "SUnreclaim:" || $1 == "KernelStack:" || $1 == "Percpu:" {
		print $1, $2, "KiB" }' /proc/meminfo
	echo "namespaces $(find /proc/[0-9]*/ns -type l -printf '%l\n' 2>/dev/null | sort -u | wc -l)"
	echo "files in the data directory and /run $(find "$W/rkt" /run | wc -l)"
	echo "rules $(nft list ruleset 2>/dev/null | wc -l)"
}

# sequence NETWORK COUNT
sequence() {
	echo "== $2 runs with --net=$1 one after the other, then rkt gc: what is left"
	: >"$W/commands"
	add rkt - "$RKT run --net=$1 $image"
	# The first one makes what all others find.
	$RKT run --net="$1" "$image"
	collect
	sh "$here/../leaks.sh" snapshot "$W/before"
	kernel_counts >"$W/counts-before"
	$PRIORITY "$RACE" sequence "$2" "$W/commands" >"$W/seq" 2>"$W/errors"
	awk -F"$tab" '{ print $2 " pods/s, " $3 " failed" }' "$W/seq"
	note_pods
	time collect
	left_behind "$2"
	echo "before and after:"
	kernel_counts | diff -y -W 110 "$W/counts-before" - || true
}

bench_sequence() {
	[ -n "$rkt" ] || { echo "not measured"; return 0; }
	sequence none "$SEQUENCE"
	sequence default "$SEQUENCE_NET"
}

# Where the time of one start goes; PROFILE=FILE keeps the whole trace.
bench_profile() {
	echo "== system calls of one start"
	[ -n "$rkt" ] || { echo "not measured"; return 0; }
	$RKT run --net=none "$image"
	strace -f -c -w -o "$W/counts" $RKT run --net=none "$image"
	head -25 "$W/counts"
	tail -1 "$W/counts"
	strace -f -r -T -o "${PROFILE:-$W/trace}" $RKT run --net=none "$image"
	collect
}

# PRIORITY="nice -n -20" keeps other work on the machine out of the numbers.
PRIORITY=${PRIORITY-}
ROUNDS=${ROUNDS:-30}
PARALLEL=${PARALLEL:-50}
[ "${FULL:-0}" = 0 ] || SEQUENCE=${SEQUENCE:-10000} SEQUENCE_NET=${SEQUENCE_NET:-10000}
SEQUENCE=${SEQUENCE:-2000}
SEQUENCE_NET=${SEQUENCE_NET:-200}
PODS=${PODS:-200}
ROUNDS_MANY=${ROUNDS_MANY:-2}
WRK_PAIRS=${WRK_PAIRS:-8}
[ $# -gt 0 ] || set -- start network parallel memory sequence
setup
for b in "$@"; do
	"bench_$b"
done
