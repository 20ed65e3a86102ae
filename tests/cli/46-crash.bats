#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kill -9 of rkt and of stage1 (one process: rkt becomes stage1) at every
# boundary of its state: strace delivers the signal in place of the N-th call
# that changes something, for N = 1, 2, 3 ...  After each, the pod is dead and
# `rkt gc` leaves nothing: no mount, cgroup, namespace, file.

load lib

# Calls that move a pod from one state to another or leave something behind.
CHANGES=renameat,renameat2,rename,linkat,symlinkat,mkdirat,mkdir,unlinkat
CHANGES=$CHANGES,mount,umount2,fsmount,move_mount,open_tree,clone3,setns,execve
CHANGES=$CHANGES,execveat,bind,flock,fchdir,pivot_root,unshare,pidfd_open
CHANGES=$CHANGES,chroot,fchmodat,fchownat

# A sanitized program takes ten times as long: try every fifth call.
EVERY=1
host_has not-sanitized || EVERY=5

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

setup() {
	skip_without strace
	setup_test
	RKT_STORE=$D/data
	id=$("$RKT" --dir="$RKT_STORE" --insecure-options=image fetch --full \
		"$F/inside.aci")
	# What one run leaves for good (directories, the filter cache) is no leak.
	"$RKT" --dir="$RKT_STORE" run --net=none "$id" -- echo warm
	"$RKT" --dir="$RKT_STORE" gc --grace-period=0s
	sh "$TESTS/leaks.sh" snapshot "$D/before"
	(cd "$RKT_STORE" && find . -not -path './pods*') | sort >"$D/files"
}

# A pod is busy until its last process has ended, and gc leaves it alone.
nothing_left() {
	local left until=$((SECONDS + 10))
	while :; do
		"$RKT" --dir="$RKT_STORE" gc --grace-period=0s \
			--expire-prepared=0s >/dev/null 2>"$D/gc" ||
			fail "gc: $(cat "$D/gc")"
		left=$(find "$RKT_STORE/pods" -mindepth 2 -maxdepth 2)
		if [ -z "$left" ] || [ "$SECONDS" -ge "$until" ]; then
			break
		fi
	done
	[ -z "$left" ] || fail "after call $1: $left ($(cat "$D/gc"))"
	sh "$TESTS/leaks.sh" compare "$D/before" || fail "after call $1"
	(cd "$RKT_STORE" && find . -not -path './pods*') | sort |
		diff "$D/files" - || fail "files of the store, after call $1"
}

# crash_at_each COMMAND...: until a run is over before its N-th call.
crash_at_each() {
	local n=1 step=$((${STEP:-1} * EVERY))
	while :; do
		strace -o /dev/null -e trace="$CHANGES" \
			-e inject="$CHANGES":signal=SIGKILL:when="$n" \
			"$@" >"$D/out" 2>&1 && break
		nothing_left "$n"
		n=$((n + step))
		[ "$n" -lt 400 ] || fail "still killed at call $n"
	done
	[ "$n" -gt 5 ] || fail "only $n calls: $(cat "$D/out")"
	nothing_left none
}

@test "rkt run, killed at each of its calls" {
	crash_at_each "$RKT" --dir="$RKT_STORE" run --net=none "$id" -- \
		echo ran
}

@test "rkt run with the default network, killed at each of its calls" {
	skip_without cni
	skip_without iptables
	STEP=3 crash_at_each "$RKT" --dir="$RKT_STORE" run "$id" -- echo ran
}

@test "rkt run of a named pod with another image, killed at each of its calls" {
	# The new image has a mount point the old one does not: committed
	# without its volume it could not start.
	image_inside "$D/2.aci" '.app.mountPoints = [{name:"data",
		path:"/data"}] | .labels[0].value = "2.0.0"'
	"$RKT" --dir="$RKT_STORE" --insecure-options=image fetch "$D/2.aci"
	n=1
	while :; do
		"$RKT" --dir="$RKT_STORE" run --net=none --pod-name=web "$id" \
			-- echo one
		strace -o /dev/null -e trace="$CHANGES,fsync" \
			-e inject="$CHANGES,fsync":signal=SIGKILL:when=$n \
			"$RKT" --dir="$RKT_STORE" run --net=none \
			--pod-name=web example.com/inside:2.0.0 -- stat /data \
			>"$D/out" 2>&1 && break
		run rkt start web
		expect_status 0
		run rkt run --net=none --pod-name=web \
			example.com/inside:2.0.0 -- stat /data
		expect_status 0
		rkt rm web
		n=$((n + EVERY))
		[ "$n" -lt 400 ] || fail "still killed at call $n"
	done
	[ "$n" -gt 20 ] || fail "only $n calls: $(cat "$D/out")"
	rkt rm web
}

@test "rkt prepare, killed at each of its calls" {
	crash_at_each "$RKT" --dir="$RKT_STORE" prepare "$id" -- echo ran
}

@test "rkt fetch, killed at each of its calls" {
	image_inside "$D/other.aci" . example.com/other
	"$RKT" --dir="$RKT_STORE" --insecure-options=image fetch \
		"$D/other.aci"
	"$RKT" --dir="$RKT_STORE" image rm example.com/other
	(cd "$RKT_STORE" && find . -not -path './pods*') | sort >"$D/files"
	n=1
	while ! strace -o /dev/null -e trace="$CHANGES,write,pwrite64,fsync" \
		-e inject="$CHANGES,write,pwrite64,fsync":signal=SIGKILL:when=$n \
		"$RKT" --dir="$RKT_STORE" --insecure-options=image fetch \
		"$D/other.aci" >"$D/out" 2>&1; do
		"$RKT" --dir="$RKT_STORE" image gc \
			>/dev/null 2>&1
		# Whatever was left, the next fetch works and a run as well.
		run "$RKT" --dir="$RKT_STORE" --insecure-options=image fetch \
			"$D/other.aci"
		expect_status 0
		"$RKT" --dir="$RKT_STORE" image rm example.com/other
		(cd "$RKT_STORE" && find . -not -path './pods*') | sort |
			diff "$D/files" - || fail "after call $n"
		n=$((n + 3 * EVERY))
		[ "$n" -lt 600 ]
	done
}

@test "rkt gc, killed at each of its calls" {
	n=1
	while :; do
		"$RKT" --dir="$RKT_STORE" run --net=none "$id" -- echo ran
		strace -o /dev/null -e trace="$CHANGES" \
			-e inject="$CHANGES":signal=SIGKILL:when=$n \
			"$RKT" --dir="$RKT_STORE" gc --grace-period=0s \
			>"$D/out" 2>&1 && break
		nothing_left "$n"
		n=$((n + 2 * EVERY))
		[ "$n" -lt 400 ]
	done
	nothing_left none
}

@test "the first rkt run of all, killed while it makes the directories" {
	for n in $(seq 8); do
		rm -rf "$RKT_STORE/pods"
		strace -o /dev/null -e trace=mkdirat \
			-e inject=mkdirat:signal=SIGKILL:when="$n" \
			"$RKT" --dir="$RKT_STORE" run --net=none "$id" -- \
			echo ran >/dev/null 2>&1 || true
		run "$RKT" --dir="$RKT_STORE" run --net=none "$id" -- echo ran
		expect_status 0
		nothing_left "$n"
	done
}
