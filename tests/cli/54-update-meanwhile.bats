#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Updates while something else happens: the old version stands still, its
# workers die or open other sockets, an operator does more than one thing at a
# time; and sockets that are not what they seem.

load lib
load versions
load faults

# --- one that stands still -------------------------------------------------------

@test "the old one stands still: who waits in its sockets is served by the new one" {
	for t in "${TIERS[@]}"; do
		tier "$t"
		load_begin load 127.0.0.1 80 /
		sleep 0.2
		kill -STOP "$(cat "$pod/generations/inside/1/pid")"
		OPTIONS=(--drain-timeout=500ms)
		update
		expect_status 0
		sleep 0.2
		all_answered
		settled 2
		again
	done
}

@test "the old one stands still, and the new one is no good" {
	for t in "${TIERS[@]}"; do
		tier "$t"
		reshape tcp4:81
		load_begin load 127.0.0.1 80 /
		sleep 0.2
		kill -STOP "$(cat "$pod/generations/inside/1/pid")"
		OPTIONS=(--drain-timeout=500ms --ready-timeout=1s)
		update
		expect_status 10
		# Restarted it runs again; else it stands where it stood.
		kill -CONT "$(cat "$pod/generations/inside/1/pid")"
		sleep 0.2
		all_answered
		settled 1
		again
	done
}

# --- others at the same time -------------------------------------------------------

# at_each FUNCTION: FUNCTION, called when an update is in each of its states
# in which it takes a while.
at_each() {
	for t in "${TIERS[@]}"; do
		for state in STAGED STARTED SWITCHED; do
			tier "$t"
			OPTIONS=(--observe=1s)
			case $state in
			STAGED) version 2 '.app.eventHandlers=[{name:"pre-start",
				exec:["/inside","sleep","1"]}]' ;;
			STARTED) reshape late:1000 tcp4:80 ;;
			esac
			load_begin load 127.0.0.1 80 /
			in_background
			wait_for 10 grep -q "$state" "$pod/update.journal"
			"$1"
		done
	done
}

second_refused() {
	version 3
	run_rkt update --strategy="$tier" --image="$D/3.aci" web
	[ "$status" = 254 ] || [ "$status" = 11 ] || fail "$status: $output"
	expect_output 'another update'
	run rkt rollback web
	[ "$status" != 0 ]
	for name in web "$uuid"; do
		run rkt rm "$name"
		[ "$status" != 0 ] || fail "$output"
	done
	ends_with 0
	all_answered
	settled 2
	[ "$(grep -c . "$pod/history")" = 1 ] || fail "$(cat "$pod/history")"
	again
}

@test "a second update, a rollback and rkt rm in each state of one" {
	at_each second_refused
}

@test "two updates begun at once: one of them is carried out" {
	for t in "${TIERS[@]}"; do
		tier "$t"
		version 3
		load_begin load 127.0.0.1 80 /
		in_background
		r=0
		run_rkt update --strategy="$t" --observe=300ms \
			--image="$D/3.aci" web
		wait "$first" || r=$?
		case $r-$status in
		0-254 | 0-11) v=2 ;;
		254-0 | 11-0) v=3 ;;
		*) fail "$t: $r, $status: $(cat "$D/first") $output" ;;
		esac
		all_answered
		settled 2 2 "$v"
		again
	done
}

stopped() {
	run rkt stop web
	expect_status 0
	ends_with 10
	wait_for 10 pod_is web exited
	load_end
	history_says ROLLED_BACK stopped
	[ "$(ls "$pod/generations/inside")" = 1 ]
	run rkt start --detach web
	expect_status 0
	wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving=1"
	who_runs
	settled 1
	again
}

@test "rkt stop in each state of an update" {
	at_each stopped
}

@test "rkt stop while the old one drains" {
	tier handover
	stay_connected
	sleep 0.3
	in_background --drain-timeout=20s
	wait_for 10 grep -q COMMITTED "$pod/update.journal"
	rkt stop web
	ends_with 0
	wait_for 10 pod_is web exited
	kill "$client"
	wait "$client" || true
	run rkt start --detach web
	expect_status 0
	wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving=2"
	who_runs
	settled 2
	history_says COMMITTED
}

@test "an update while the pod is being stopped, and of one that is" {
	for t in "${TIERS[@]}"; do
		tier "$t"
		kill -STOP "$(cat "$pod/generations/inside/1/pid")"
		rkt stop web >/dev/null &
		stopper=$!
		sleep 0.3
		update
		[ "$status" = 254 ] || [ "$status" = 11 ] || fail "$status: $output"
		kill -CONT "$(cat "$pod/generations/inside/1/pid")"
		wait "$stopper"
		wait_for 10 pod_is web exited
		update
		[ "$status" = 11 ] || fail "$status: $output"
		expect_output 'only a running pod'
		run rkt start --detach web
		expect_status 0
		wait_for 10 sh -c "[ \$(grep -c serving=1 $pod/logs/inside) = 2 ]"
		who_runs
		settled 1
		again
	done
}

@test "an update while the pod is removed" {
	for t in "${TIERS[@]}"; do
		tier "$t"
		rkt stop --force web
		wait_for 10 pod_is web exited
		rkt rm web &
		remover=$!
		update
		[ "$status" = 254 ] || [ "$status" = 11 ] || fail "$status: $output"
		wait "$remover"
		run rkt list --no-legend
		[ -z "$output" ] || fail "$output"
		[ -z "$(find "$D/data/pods" -mindepth 2)" ] ||
			fail "$(find "$D/data/pods" -mindepth 2)"
		rm -f "$D"/*.load
	done
}

collected() {
	run rkt gc --grace-period=0s --expire-prepared=0s
	expect_status 0
	run rkt image gc --grace-period=0s
	expect_status 0
	for id in $(rkt image list --no-legend --fields=id --full); do
		rkt image rm "$id" || true
	done
	ends_with 0
	all_answered
	settled 2
	run rkt gc --grace-period=0s
	run rkt image gc --grace-period=0s
	expect_status 0
	run rkt stop web
	wait_for 10 pod_is web exited
	run rkt start --detach web
	expect_status 0
	wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving=2"
	who_runs
	settled 2
	run_rkt rollback --strategy="$tier" --observe=200ms web
	expect_status 0
	settled 1 2
	again
}

@test "gc, image gc and image rm in each state of an update, and after it" {
	at_each collected
}

entered() {
	run rkt enter web /inside exit-code 5
	expect_status 5
	"$RKT" --dir="$D/data" enter web /inside sleep 100 &
	guest=$!
	ends_with 0
	all_answered
	run rkt enter web /inside print-env
	expect_status 0
	expect_output VERSION=2
	kill "$guest" 2>/dev/null || true
	wait "$guest" || true
	settled 2
	again
}

@test "rkt enter in each state of an update, and who is inside meanwhile" {
	at_each entered
}

@test "nobody is inside any more when his generation has gone" {
	for t in "${TIERS[@]}"; do
		tier "$t"
		"$RKT" --dir="$D/data" enter web /inside sleep 100 &
		guest=$!
		wait_for 5 sh -c "pgrep -f 'inside sleep 100' --ns $pid --nslist pid"
		load_begin load 127.0.0.1 80 /
		update
		expect_status 0
		wait "$guest" || true
		all_answered
		settled 2
		again
	done
}

# --- workers -------------------------------------------------------------------

# workers N: the processes beside the main one.
workers() {
	pgrep -P "$(cat "$pod/generations/inside/$1/pid")"
}

# worker_dies STATE GENERATION: in a handover between workers with sockets of
# their own, under load.
worker_dies() {
	tier=handover
	serve workers:80:4
	reshape "${NEXT[@]}"
	version 2
	# Who waits for a process that has gone has a time-out before the end.
	load_begin load --rate=600 --workers=8 127.0.0.1 80 /
	OPTIONS=(--observe="${OBSERVE:-1500ms}" --drain-timeout=20s)
	[ "$1" != VERIFIED ] || OPTIONS+=(--canary=50%:1s)
	in_background
	wait_for 10 grep -q "$1" "$pod/update.journal"
	kill -9 "$(workers "$2" | head -1)"
	sleep 0.3
	kill -9 "$(workers "$2" | tail -1)"
	ends_with "${CODE:-0}"
	sleep 0.2
	load_end
	[ "$(load_value load answered)" -gt 300 ] || fail "$(cat "$D/load.load")"
	# The one answer each was at when it was killed.
	[ "$(load_value load reset)" -le 2 ] || fail "$1: $(cat "$D/load.load")"
	for key in refused timeout other; do
		[ "$(load_value load $key)" = 0 ] ||
			fail "$1: $(cat "$D/load.load")"
	done
	again
}

@test "an old worker dies while the new version is on its way up" {
	NEXT=(late:1200 workers:80:3)
	worker_dies STARTED 1
}

@test "an old worker dies in the canary, and while the new one is observed" {
	worker_dies VERIFIED 1
	worker_dies SWITCHED 1
}

@test "a new worker dies in the canary" {
	OBSERVE=6s
	worker_dies VERIFIED 2
}

# reopens STATE ARG...: the old one, which serves ARG, closes what it listens
# on and opens it again.
reopens() {
	local state=$1
	shift
	tier=handover
	serve "$@"
	reshape late:700 "$@"
	version 2
	load_begin load --rate=600 --workers=8 127.0.0.1 80 /
	OPTIONS=(--observe=700ms --drain-timeout=20s)
	[ "$state" != VERIFIED ] || OPTIONS+=(--canary=50%:700ms)
	in_background
	wait_for 10 grep -q "$state" "$pod/update.journal"
	kill -USR1 "$(cat "$pod/generations/inside/1/pid")"
	ends_with 0
	pod_logged "$uuid" inside listeners=1 || fail "$(pod_log "$uuid" inside)"
	sleep 0.2
	all_answered
	again
}

@test "the old one opens its sockets again meanwhile" {
	for state in STARTED VERIFIED SWITCHED; do
		reopens "$state" tcp4:80
		reopens "$state" workers:80:3
	done
}

# --- bound by io_uring -----------------------------------------------------------

# Both ways to be allowed what the default filter denies.
uring_pod() {
	tier=$1
	if [ "$2" = isolator ]; then
		JQ='.app.isolators=[{name:"os/linux/seccomp-retain-set",
			value:{set:["@appc.io/all"]}}]'
		serve "$3"
		version 2 "$JQ"
	else
		version 1
		uuid=$("$RKT" --dir="$D/data" --insecure-options=image,seccomp \
			run --detach --net=none --pod-name=web "$D/1.aci" \
			-- serve "$3")
		pod=$D/data/pods/run/$uuid
		wait_for 10 pod_logged "$uuid" inside serving=1
		who_runs
		version 2
	fi
	who_runs
	what_it_has >"$D/has"
}

@test "io_uring's bind is noticed: it is restarted, and that is said" {
	skip_without uring-bind
	for how in isolator:uring: isolator:uring-shared: \
		isolator:uring-hidden: option:uring:; do
		uring_pod auto "${how%%:*}" "${how#*:}80"
		update
		expect_status 0
		expect_output 'the new root is ready: restart, because it may use io_uring' \
			'no bind(2) was seen of its port 80'
		wait_for 5 who_serves
		settled 2
		[ "$how" != option:uring: ] || break
		again
	done
	run_rkt rollback --strategy=restart --observe=200ms web
	expect_status 0
	expect_output 'its port 80'
	wait_for 5 who_serves
	settled 1 2
}

@test "io_uring's bind: handover refuses, and the old one serves on" {
	skip_without uring-bind
	uring_pod handover isolator uring:80
	load_begin load 127.0.0.1 80 /
	update
	expect_status 11
	expect_output 'no bind(2) was seen of its port 80'
	sleep 0.2
	all_answered
	settled 1
}

@test "what may use io_uring and does not is handed over" {
	skip_without uring-bind
	uring_pod auto isolator tcp4:80
	load_begin load 127.0.0.1 80 /
	update
	expect_status 0
	expect_output 'the new root is ready: handover'
	sleep 0.2
	all_answered
	settled 2
}

# --- a program of the app's own --------------------------------------------------

@test "a program that chooses among an app's sockets: restarted, or it says so" {
	tier=auto
	serve program:80:3
	version 2
	load_begin load 127.0.0.1 80 /
	update
	expect_status 0
	expect_output 'restart, because it has a program of its own' 'port 80'
	load_end
	[ "$(load_value load refused)" = 0 ] || fail "$(cat "$D/load.load")"
	rm "$D/load.load"
	version 3
	tier=handover
	load_begin load 127.0.0.1 80 /
	run_rkt update --strategy=handover --canary=30%:500ms --observe=200ms \
		--image="$D/3.aci" web
	expect_status 0
	expect_output 'program of its own' 'replaces'
	sleep 0.2
	all_answered
	# Its own did not keep the new one out of the canary, nor let it in.
	[ "$(load_value load body.3)" -gt 20 ] || fail "$(cat "$D/load.load")"
}

# --- time ----------------------------------------------------------------------

@test "the clock jumps ahead and back, and nothing is late or early" {
	skip_without own-clock
	for t in "${TIERS[@]}"; do
		tier "$t"
		load_begin load 127.0.0.1 80 /
		OPTIONS=(--observe=2s)
		in_background
		wait_for 20 grep -q STARTED "$D/first"
		date -s '+1 hour' >/dev/null
		wait_for 20 grep -q SWITCHED "$D/first"
		date -s '-2 hours' >/dev/null
		ends_with 0
		# By the clock that does not jump, as the history has it.
		run rkt history --format=json web
		jq -e '.[-1].states | map({(.state): .us}) | add |
			.OBSERVED - .SWITCHED >= 1900000' <<<"$output" ||
			fail "$t: it was not observed: $output"
		date -s '+1 hour' >/dev/null
		all_answered
		settled 2
		again
	done
}
