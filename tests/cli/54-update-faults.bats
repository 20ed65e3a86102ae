#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What can go wrong with a new version and with the host, in both tiers: the
# pod serves afterwards, one generation is current, rkt status says which,
# nothing is left, and no client failed.

load lib
load versions

TIERS=(restart handover)

setup() {
	setup_test
	loads=()
	RUN=()
	OPTIONS=()
	PORT=80
	NEXT=(workers:80:3)
}

teardown() {
	local p r=0
	for p in "${loads[@]}"; do kill "$p" 2>/dev/null; done
	rm -f "$D/data/fill"
	pods_destroy "$D/data" || r=1
	if mountpoint -q "$D/data"; then leave_small; fi
	teardown_test || r=1
	return $r
}

# tier NAME: a pod of version 1, serving on $PORT, and what it has.
tier() {
	tier=$1
	serve "tcp4:$PORT"
	version 2
	supervisor=$(supervisor)
	what_it_has >"$D/has"
}

again() {
	rkt stop --force web
	wait_for 10 pod_is web exited
	rkt rm web
	rm -f "$D"/*.load "$D/first"
}

supervisor() {
	ps -o ppid= -p "$(cat "$pod/pid")" | tr -d ' '
}

# What an update may leave behind, one thing a line: descriptors of stage1 by
# kind, cgroups, processes, mounts.
what_it_has() {
	find "/proc/$supervisor/fd" -printf '%l\n' 2>/dev/null |
		sed 's/sha512-[0-9a-f]*/ID/; s/[0-9][0-9]*/N/g' | sort | uniq -c
	while read -r dir; do
		[ ! -d "$dir" ] ||
			find "$dir" -mindepth 1 -type d -printf 'cgroup %P\n'
	done <"$pod/cgroup" | sort -u
	pgrep -fc '^/inside' --ns "$pid" --nslist pid
	# Images of the store stay mounted.
	awk '$5 !~ "^/run/rkt/img/" { print "mount", $5 }' \
		"/proc/$supervisor/mountinfo" | sort
}

# By generation 1's name, whichever serves.
has_as_before() {
	what_it_has | sed 's/inside\.[0-9][0-9]*/inside.1/' | diff "$D/has" - >"$D/diff"
}

# in_pod COMMAND...: in its network.
in_pod() {
	nsenter --net="/proc/$pid/ns/net" "$@"
}

# who_serves: the version.
who_serves() {
	in_pod python3 -c "
import urllib.request
print(urllib.request.urlopen('http://127.0.0.1:$PORT/', timeout=5).read().decode().strip())"
}

# settled NUMBER [COUNT]: generation NUMBER serves, and nothing of another
# one is left but COUNT directories.
settled() {
	run rkt status web
	expect_output state=running "generation-inside=$1"
	expect_no_output update-inside
	[ "$(basename "$(readlink "$pod/appsinfo/inside")")" = "$1" ]
	[ "$(cd "$pod/generations/inside" && echo [0-9]* | wc -w)" = "${2:-$1}" ] ||
		fail "$tier: generations: $(ls "$pod/generations/inside")"
	[ ! -e "$pod/update.journal" ] || fail "$tier: $(cat "$pod/update.journal")"
	[ "$(who_serves)" = "${3:-$1}" ] ||
		fail "$tier: another one serves: $(pod_log "$uuid" inside | tail -3)"
	wait_for 5 has_as_before || fail "$tier: $(cat "$D/diff")"
}

all_answered() {
	local key
	load_end
	[ "$(load_value load answered)" -gt 5 ] || fail "$tier: $(cat "$D/load.load")"
	for key in refused reset timeout other; do
		[ "$(load_value load "$key")" = 0 ] ||
			fail "$tier: $(cat "$D/load.load")" || return 1
	done
}

update() {
	run_rkt update --strategy="$tier" --observe=200ms --image="$D/2.aci" \
		"${OPTIONS[@]}" "$@" web
}

# in_background ARGS: the same, followed in $D/first.
in_background() {
	"$RKT" --dir="$D/data" --insecure-options=image update \
		--strategy="$tier" --observe=300ms --image="$D/2.aci" \
		"${OPTIONS[@]}" "$@" web >"$D/first" 2>&1 &
	first=$!
}

ends_with() {
	local r=0
	wait "$first" || r=$?
	[ "$r" = "$1" ] || fail "$tier: $r: $(cat "$D/first")"
}

# --- the new version -----------------------------------------------------------

# goes_back TEXT...: the update in both tiers, of what DEFECT makes of version
# 2.
goes_back() {
	for t in "${TIERS[@]}"; do
		tier "$t"
		$DEFECT
		load_begin load 127.0.0.1 "$PORT" /
		sleep 0.2
		update
		expect_status 10
		expect_output "$@"
		sleep 0.2
		all_answered
		[ -z "$(load_value load body.2)" ] || [ -n "${MET-}" ] ||
			fail "$tier: $(cat "$D/load.load")"
		history_says ROLLED_BACK '1 -> 2' "$@"
		settled 1
		again
	done
}

# goes_on: the same of one that has no defect in the end.
goes_on() {
	for t in "${TIERS[@]}"; do
		tier "$t"
		$DEFECT
		load_begin load 127.0.0.1 "$PORT" /
		sleep 0.2
		update
		expect_status 0
		sleep 0.2
		all_answered
		[ "$(load_value load body.2)" -gt 0 ] || fail "$tier: $(cat "$D/load.load")"
		"${AFTER:-settled}" 2
		again
	done
}

no_program() { echo '["--exec=/missing"]' >"$pod/args/inside"; }
@test "a new version without its program" {
	DEFECT=no_program
	goes_back 'exit code 203'
}

never_listens() { echo '["--","sleep","100"]' >"$pod/args/inside"; }
@test "a new version that never listens" {
	DEFECT=never_listens OPTIONS=(--ready-timeout=1s)
	goes_back 'did not listen'
}

listens_late() { reshape late:1500 tcp4:80; }
@test "a new version that listens late, and too late" {
	DEFECT=listens_late
	goes_on
	OPTIONS=(--ready-timeout=500ms)
	goes_back 'did not listen'
}

answers_500() {
	version 2 '.app.environment+=[{name:"STATUS",value:"500 No"}]'
}
@test "a new version that answers 500" {
	# No client fails: of a restart the answers of 500 are counted, too.
	DEFECT=answers_500 OPTIONS=(--probe=http:/ --ready-timeout=1s)
	TIERS=(handover)
	goes_back 'was not well' 500
	tier restart
	answers_500
	update
	expect_status 10
	settled 1
}

dies_soon() { reshape dies:700 tcp4:80; }
@test "a new version that exits in its canary" {
	DEFECT=dies_soon OPTIONS=(--canary=50%:10s) TIERS=(handover) MET=1
	goes_back 'exit code 7'
}

@test "a new version that exits while it is observed" {
	DEFECT=dies_soon OPTIONS=(--observe=10s) MET=1
	goes_back 'exit code 7'
}

elsewhere() { reshape tcp4:81; }
@test "a new version with another port" {
	DEFECT=elsewhere OPTIONS=(--ready-timeout=1s)
	goes_back 'did not listen'
}

forks() { reshape forks tcp4:80; }
@test "a new version that forks, and its first process ends" {
	DEFECT=forks
	goes_back 'exit code 0'
}

other_user() { version 2 '.app.user="501" | .app.group="502"'; }
@test "a new version of another user" {
	DEFECT=other_user PORT=8080
	goes_on
}

floods() { reshape floods tcp4:80; }
flooded() {
	run rkt status web
	expect_output "generation-inside=$1"
	[ "$(du -sm "$pod/logs" | cut -f1)" -lt 200 ] || fail "$(du -sm "$pod/logs")"
	# It can be told to go back, and is gone then.
	run_rkt rollback --strategy="$tier" --observe=200ms web
	expect_status 0
	settled 1 2
}
floods_only() { reshape floods; }
@test "a new version that floods its log" {
	DEFECT=floods AFTER=flooded
	goes_on
	DEFECT=floods_only OPTIONS=(--ready-timeout=1s)
	goes_back 'did not listen'
}

@test "a new version nobody vouches for" {
	for t in "${TIERS[@]}"; do
		tier "$t"
		run rkt update --strategy="$tier" --image="$D/2.aci" web
		expect_status 11
		expect_output signature
		head -c 700 /dev/urandom >"$D/2.aci.asc"
		run rkt update --strategy="$tier" --image="$D/2.aci" \
			--signature="$D/2.aci.asc" web
		expect_status 11
		rm "$D/2.aci.asc"
		settled 1
		again
	done
}

# --- the disk ------------------------------------------------------------------

# small KIND: the data on a file system of its own, that can be full.
small() {
	mkdir -p "$D/data"
	if [ "$1" = ext4 ]; then
		truncate -s 96M "$D/disk"
		mkfs.ext4 -qF -m0 "$D/disk"
		mount -o loop "$D/disk" "$D/data"
	else
		mount -t tmpfs -o size=48m tmpfs "$D/data"
	fi
}

# Images of the store are mounted from files on it.
leave_small() {
	rkt image gc --grace-period=0s >/dev/null
	umount "$D/data"
}

not_small() {
	again
	leave_small
}

fill() {
	head -c 200M /dev/zero >"$D/data/fill" 2>/dev/null || true
	sync -f "$D/data"
	# What was promised and not used, too.
	head -c 200M /dev/zero >>"$D/data/fill" 2>/dev/null || true
	[ "$(stat -f -c %a "$D/data")" -le 16 ] || fail "$(stat -f "$D/data")"
}

# full_at STATE: the disk is full from then on; whatever the update comes to,
# it is that.
full_at() {
	local n r=0
	load_begin load 127.0.0.1 "$PORT" /
	in_background
	wait_for 10 grep -q "$1" "$pod/update.journal"
	fill
	wait "$first" || r=$?
	n=$(basename "$(readlink "$pod/appsinfo/inside")")
	case $r-$n in
	0-2 | 10-1) ;;
	*) fail "$tier: full at $1: exit code $r, generation $n: $(cat "$D/first")" ;;
	esac
	sleep 0.2
	all_answered
	# Of a full disk this is true, too.
	settled "$n"
	history_says "1 -> 2"
	echo "# $tier, full at $1: exit code $r" >&3
	rm "$D/data/fill"
	settled "$n"
}

disk_full() {
	for t in "${TIERS[@]}"; do
		for state in STAGED STARTED VERIFIED SWITCHED COMMITTED; do
			[ "$t-$state" != restart-VERIFIED ] || continue
			[ "$t-$state" != restart-COMMITTED ] || continue
			small "$1"
			tier "$t"
			OPTIONS=(--observe=700ms)
			case $state in
			STAGED) version 2 '.app.eventHandlers=[{name:"pre-start",
				exec:["/inside","sleep","1"]}]' ;;
			STARTED) reshape late:700 tcp4:80 ;;
			VERIFIED) OPTIONS+=(--canary=10%:700ms) ;;
			COMMITTED)
				OPTIONS=(--observe=100ms --drain-timeout=1s)
				in_pod python3 -c "
import socket, time
s = socket.create_connection(('127.0.0.1', 80))
time.sleep(20)" &
				client=$!
				sleep 0.3
				;;
			esac
			full_at "$state"
			[ "$state" != COMMITTED ] || kill "$client"
			not_small
		done
	done
}

@test "the disk is full from each state on: tmpfs" {
	disk_full tmpfs
}

@test "the disk is full from each state on: ext4" {
	skip_without loop
	disk_full ext4
}

@test "the disk is full before: nothing is begun, nothing is stopped" {
	for t in "${TIERS[@]}"; do
		small tmpfs
		tier "$t"
		load_begin load 127.0.0.1 80 /
		# The image is there; its generation has no room, or the
		# journal has none.
		run_rkt fetch "$D/2.aci"
		id=${lines[-1]}
		for room in 0 24; do
			fill
			truncate -s "-${room}K" "$D/data/fill"
			run_rkt update --strategy="$t" --image="$id" web
			[ "$status" = 254 ] || fail "$t, $room: $status: $output"
			expect_output 'No space left'
			rm "$D/data/fill"
			settled 1
		done
		all_answered
		update
		expect_status 0
		settled 2
		not_small
	done
}

@test "a state that cannot be written is not gone on from" {
	skip_without strace
	for t in "${TIERS[@]}"; do
		# PLANNED FETCHED STAGED STARTED VERIFIED SWITCHED OBSERVED,
		# COMMITTED
		for n in 1 2 3 4 5 6 7 8; do
			tier "$t"
			load_begin load 127.0.0.1 80 /
			strace -qq -o /dev/null -P "$pod/update.journal" -e trace=write \
				-e inject=write:error=ENOSPC:when="$n" \
				-p "$supervisor" 2>"$D/strace" &
			tracer=$!
			wait_for 5 sh -c "grep -q 'TracerPid:.*[1-9]' /proc/$supervisor/status"
			update
			kill "$tracer"
			wait "$tracer" || true
			if [ "$n" -lt 8 ]; then
				[ "$status" = 10 ] || fail "$t, $n: $status: $output"
				expect_output 'No space left'
				history_says ROLLED_BACK '1 -> 2'
				all_answered
				settled 1
			else
				[ "$status" = 0 ] || fail "$t, $n: $status: $output"
				history_says COMMITTED '1 -> 2'
				all_answered
				settled 2
			fi
			again
		done
	done
}

@test "a new version dies while the disk is full: the old one serves" {
	for kind in tmpfs ext4; do
		[ "$kind" = tmpfs ] || host_has loop || continue
		for t in "${TIERS[@]}"; do
			small "$kind"
			tier "$t"
			reshape dies:1000 tcp4:80
			load_begin load 127.0.0.1 80 /
			in_background --observe=10s
			wait_for 10 grep -q SWITCHED "$pod/update.journal"
			fill
			ends_with 10
			sleep 0.2
			all_answered
			settled 1
			history_says ROLLED_BACK 'exit code 7'
			rm "$D/data/fill"
			not_small
		done
	done
}

# --- kills ---------------------------------------------------------------------

@test "the command is killed at each state: the update ends without it" {
	for t in "${TIERS[@]}"; do
		for state in PLANNED STAGED STARTED VERIFIED SWITCHED; do
			tier "$t"
			load_begin load 127.0.0.1 80 /
			in_background
			wait_for 10 grep -q "$state" "$D/first"
			kill -9 "$first"
			wait "$first" || true
			wait_for 10 test ! -e "$pod/update.journal"
			history_says COMMITTED '1 -> 2'
			all_answered
			settled 2
			again
		done
	done
}

# killed_at CALL N: stage1, at its Nth CALL; $over if the update has fewer.
killed_at() {
	over=
	tier handover
	strace -qq -o /dev/null -e trace="$1" \
		-e inject="$1:signal=SIGKILL:when=$2" -p "$supervisor" 2>"$D/strace" &
	tracer=$!
	wait_for 5 sh -c "grep -q 'TracerPid:.*[1-9]' /proc/$supervisor/status"
	OPTIONS=(--observe=50ms)
	update
	kill "$tracer" 2>/dev/null || true
	wait "$tracer" || true
	if [ "$status" = 0 ] && kill -0 "$supervisor" 2>/dev/null; then
		settled 2
		again
		over=1
		return
	fi
	wait_for 10 pod_is web exited
	run rkt start --detach web
	expect_status 0
	current=$(basename "$(readlink "$pod/appsinfo/inside")")
	wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving=$current"
	pid=$(cat "$pod/pid")
	supervisor=$(supervisor)
	settled "$current"
	# The history agrees, and what never served is gone.
	case $(tail -1 "$pod/history" 2>/dev/null) in
	*COMMITTED*) [ "$current" = 2 ] ;;
	*ROLLED_BACK* | '') [ "$current" = 1 ] ;;
	*) false ;;
	esac || fail "$1 $2: $current: $(cat "$pod/history")"
	again
}

@test "stage1 is killed at each call of a handover: rkt start settles it" {
	skip_without strace
	kills=0
	for call in fsync renameat symlinkat unlinkat setsockopt \
		pidfd_send_signal; do
		for n in $(seq 40); do
			killed_at "$call" "$n"
			[ -z "$over" ] || break
			kills=$((kills + 1))
		done
	done
	[ "$kills" -gt 20 ] || fail "only $kills calls"
	echo "# ${BATS_TEST_DESCRIPTION}: $kills kills" >&3
}

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
	n=1
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
	pid=$(cat "$pod/pid")
	supervisor=$(supervisor)
	settled 1
	again
}

@test "rkt stop in each state of an update" {
	at_each stopped
}

@test "rkt stop while the old one drains" {
	tier handover
	in_pod python3 -c "
import socket, time
s = socket.create_connection(('127.0.0.1', 80))
time.sleep(20)" &
	client=$!
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
	pid=$(cat "$pod/pid")
	supervisor=$(supervisor)
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
		pid=$(cat "$pod/pid")
		supervisor=$(supervisor)
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
	pid=$(cat "$pod/pid")
	supervisor=$(supervisor)
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
		pid=$(cat "$pod/pid")
		version 2
	fi
	supervisor=$(supervisor)
	what_it_has >"$D/has"
}

@test "io_uring's bind is noticed: it is restarted, and that is said" {
	skip_without uring-bind
	for how in isolator option; do
		for kind in uring: uring-shared: uring-hidden:; do
			uring_pod auto "$how" "${kind}80"
			update
			expect_status 0
			expect_output 'the new root is ready: restart, because it may use io_uring' \
				'no bind(2) was seen of its port 80'
			wait_for 5 who_serves
			settled 2
			tier=restart
			run_rkt rollback --strategy=restart --observe=200ms web
			expect_status 0
			expect_output 'its port 80'
			wait_for 5 who_serves
			settled 1 2
			again
		done
	done
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
