#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Without root, too, an update refuses nobody: in the host's network, where
# sockets can have no mark, and without control groups.
# shellcheck disable=SC2034 # variables of versions.bash

load lib
load rootless
load versions

PORT=18063

# As those of versions.bash, with a user's world around it.
setup() {
	rootless_setup
	with_range
	loads=()
	RUN=()
}

teardown() {
	local p
	for p in "${loads[@]}"; do kill "$p" 2>/dev/null; done
	rootless_teardown
}

# ann_version N [JQ]: $D/N.aci, which she may read
ann_version() {
	version "$1" "${2:-.}"
	chmod 0644 "$D/$1.aci"
}

# ann_serves ARGS: a pod of hers named web of version 1, in the network NET
ann_serves() {
	ann_version 1 "${JQ:-.}"
	ann_version 2
	uuid=$(ann "$RKT" --insecure-options=image run --net="${NET:-host}" \
		--detach --pod-name=web "$D/1.aci" "${RUN[@]}" -- serve "$@")
	pod=$STORE/pods/run/$uuid
	wait_for 10 ann_logged "$uuid" serving=1
	pid=$(cat "$pod/pid")
}

ann_updates() {
	ann_rkt update --observe=200ms "$@" web
}

# Nobody refused, cut off or left waiting.
all_served() {
	sleep 0.3
	load_end
	none_of refused reset broken timeout other -- "$@"
}

serves() {
	ann_rkt status web
	expect_output state=running "generation-inside=$1"
	[ ! -e "$pod/update.journal" ]
	# Of the other one nothing runs any more.
	[ "$(pgrep -fc '^/inside' --ns "$pid" --nslist pid)" = "${2:-1}" ] ||
		fail "processes: $(pgrep -fa '^/inside' --ns "$pid" --nslist pid)"
}

again_serves() {
	[ "$(grep -c serving=1 "$pod/logs/inside")" -ge 3 ]
}

@test "in the host's network: handed over and back, three times, under load" {
	ann_serves "tcp4:$PORT" "tcp6:$PORT" "dual:$((PORT + 1))"
	load_begin a 127.0.0.1 "$PORT" /
	load_begin b ::1 "$PORT" /
	load_begin c 127.0.0.1 "$((PORT + 1))" /
	load_begin d ::1 "$((PORT + 1))" /
	for n in 2 3 4; do
		ann_updates --strategy=handover --image="$D/2.aci"
		expect_status 0
		expect_output '3 listening sockets' COMMITTED
		ann_rkt rollback --strategy=handover --observe=200ms web
		expect_status 0
	done
	all_served a b c d
	[ "$(load_value a body.2)" -gt 0 ]
	[ "$(load_value d body.2)" -gt 0 ]
	serves 1
	# Who did it is she, and not the root of her namespace.
	ann_rkt history --no-legend web
	expect_output "	ann	"
	expect_no_output root
}

@test "in a network of its own" {
	NET=none ann_serves tcp4:80
	load_begin a 127.0.0.1 80 /
	ann_updates --image="$D/2.aci"
	expect_status 0
	expect_output 'by handover'
	ann_rkt rollback --observe=200ms web
	expect_status 0
	all_served a
	serves 1
}

@test "workers: those of both versions are found, and end with theirs" {
	ann_serves "workers:$PORT:3"
	load_begin a 127.0.0.1 "$PORT" /
	ann_updates --image="$D/2.aci"
	expect_status 0
	expect_output 'listening socket' 'by handover'
	ann_rkt rollback --observe=200ms web
	expect_status 0
	sleep 0.3
	load_end
	[ "$(load_value a refused)$(load_value a timeout)" = 00 ] ||
		fail "$(cat "$D/a.load")"
	serves 1 3
}

@test "canary: a part for a while, then all" {
	ann_serves "tcp4:$PORT"
	load_begin a 127.0.0.1 "$PORT" /
	ann_updates --canary=20%:1s --image="$D/2.aci"
	expect_status 0
	expect_output 'canary: 20.00 %' SWITCHED
	all_served a
	[ "$(load_value a body.1)" -gt "$(load_value a body.2)" ]
}

@test "a version that is not well meets no client" {
	ann_serves "tcp4:$PORT"
	ann_version 2 '.app.environment+=[{name:"STATUS",value:"500 No"}]'
	load_begin a 127.0.0.1 "$PORT" /
	ann_updates --ready-timeout=1s --probe=http:/ --image="$D/2.aci"
	expect_status 10
	expect_output ROLLED_BACK 'was not well' 500
	all_served a
	[ -z "$(load_value a body.2)" ] || fail "$(cat "$D/a.load")"
	serves 1
}

@test "a probe reaches the new one only: the old one would fail it" {
	JQ='.app.environment+=[{name:"STATUS",value:"500 No"}]' \
		ann_serves "dual:$PORT"
	ann_updates --probe=http:/ --ready-timeout=2s --image="$D/2.aci"
	expect_status 0
	expect_output 'by handover'
	serves 2
}

@test "a version that is killed while it is watched" {
	ann_serves "tcp4:$PORT"
	load_begin a 127.0.0.1 "$PORT" /
	(wait_for 10 grep -q SWITCHED "$pod/update.journal" && sleep 0.2 &&
		kill -9 "$(cat "$pod/generations/inside/2/pid")") &
	ann_rkt update --observe=10s --image="$D/2.aci" web
	expect_status 10
	sleep 0.3
	load_end
	[ "$(load_value a refused)$(load_value a timeout)" = 00 ] ||
		fail "$(cat "$D/a.load")"
	serves 1
}

@test "the new version is killed while the old one drains: its workers end, too" {
	local idle updater
	RUN=(--restart=on-failure)
	ann_serves "workers:$PORT:3"
	# Who stays with the old one.
	nc 127.0.0.1 "$PORT" < <(exec sleep 60) >/dev/null 3>&- &
	idle=$!
	loads+=("$idle")
	sleep 0.2
	ann "$RKT" --insecure-options=image update --strategy=handover \
		--observe=0s --drain-timeout=20s --image="$D/2.aci" web \
		>"$D/updated" 3>&- &
	updater=$!
	wait_for 10 grep -q COMMITTED "$pod/update.journal"
	kill -9 "$(cat "$pod/generations/inside/2/pid")"
	wait_for 10 test -e "$pod/status/inside.restarts"
	wait_for 10 again_serves
	kill "$idle"
	wait "$updater" || true
	serves 2 3
}

@test "restart: sockets are held, nobody is refused" {
	ann_serves "tcp4:$PORT"
	load_begin a 127.0.0.1 "$PORT" /
	ann_updates --strategy=restart --image="$D/2.aci"
	expect_status 0
	expect_output 'by restart'
	ann_rkt rollback --strategy=restart --observe=200ms web
	expect_status 0
	sleep 0.3
	load_end
	[ "$(load_value a refused)$(load_value a timeout)" = 00 ] ||
		fail "$(cat "$D/a.load")"
	serves 1
}

@test "a program that probes could reach the old one: restart" {
	ann_serves "tcp4:$PORT"
	ann_updates "--probe=exec:/inside exit-code 0" --image="$D/2.aci"
	expect_status 0
	expect_output 'ready: restart, because a program that probes'
	serves 2
	ann_updates "--probe=exec:/inside exit-code 0" --strategy=handover \
		--allow-downgrade --image="$D/1.aci"
	expect_status 10
	expect_output 'a program that probes could reach the old one'
	serves 2
}

@test "what a main process leaves behind ends with it" {
	image_busybox "$D/sh.aci" . example.com/sh
	chmod 0644 "$D/sh.aci"
	uuid=$(ann "$RKT" --insecure-options=image run --net=none --detach \
		--pod-name=web "$D/sh.aci" --name=main -- \
		-c 'setsid sleep 601 & (sleep 602 & sleep 603 & echo begun)' \
		--- "$D/sh.aci" --name=other -- -c 'sleep 604 & wait')
	pod=$STORE/pods/run/$uuid
	pid=$(cat "$pod/pid")
	wait_for 10 test -e "$pod/status/main"
	grep -q begun "$pod/logs/main"
	ann_rkt status web
	expect_output state=running
	run pgrep -fa '^sleep' --ns "$pid" --nslist pid
	expect_output 'sleep 604'
	[ "${#lines[@]}" = 1 ] || fail "$output"
}
