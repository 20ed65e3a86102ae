#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What can go wrong with a new version and with the host, in both tiers: the
# pod serves afterwards, one generation is current, rkt status says which,
# nothing is left, and no client failed.

load lib
load versions
load faults

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
				stay_connected
				sleep 0.3
				;;
			esac
			full_at "$state"
			[ "$state" != COMMITTED ] || kill "$client"
			not_small
		done
	done
}

@test "the disk is full from each state on" {
	if host_has loop; then disk_full ext4; else disk_full tmpfs; fi
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
	for t in "${TIERS[@]}"; do
		small tmpfs
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
	who_runs
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
	skip_without not-sanitized # what is killed reports nothing
	skip_without strace
	kills=0
	for call in fsync renameat symlinkat unlinkat pidfd_send_signal; do
		for n in $(seq 40); do
			killed_at "$call" "$n"
			[ -z "$over" ] || break
			kills=$((kills + 1))
		done
	done
	[ "$kills" -gt 15 ] || fail "only $kills calls"
	echo "# ${BATS_TEST_DESCRIPTION}: $kills kills" >&3
}

# --- data ----------------------------------------------------------------------

# count FILE: increments n in redis until it is killed, with the last answer in
# FILE.
count() {
	nsenter --net="/proc/$(cat "$pod/pid")/ns/net" python3 -c '
import os, socket, sys, time
out, s = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), None
while True:
    try:
        s = s or socket.create_connection(("127.0.0.1", 6379), 2).makefile("rwb")
        s.write(b"INCR n\r\n")
        s.flush()
        answer = s.readline()
        if answer[:1] == b":":
            os.pwrite(out, b"%12d" % int(answer[1:]), 0)
            continue
    except OSError:
        pass
    s = None
    time.sleep(0.01)' "$1" 3>&- &
	loads+=($!)
}

# has_all FILE: n is at least what was answered last, and FILE grew.
has_all() {
	local acked n
	kill "${loads[@]}"
	wait "${loads[@]}" || true
	loads=()
	acked=$(tr -d ' ' <"$1")
	n=$(nsenter --net="/proc/$(cat "$pod/pid")/ns/net" python3 -c '
import socket
s = socket.create_connection(("127.0.0.1", 6379), 10).makefile("rwb")
s.write(b"GET n\r\n")
s.flush()
s.readline()
print(s.readline().decode().strip())')
	[ "$acked" -gt "${before:-0}" ] && [ "$n" -ge "$acked" ] ||
		fail "$acked answered, $n there, $before before"
	before=$n
}

@test "what redis acknowledged is in its volume after each fault" {
	skip_without redis-server
	two_versions redis
	uuid=$("$RKT" --dir="$D/data" --insecure-options=image run --detach --net=none \
		--pod-name=web --volume=data,kind=empty,uid=0,gid=0 "$F/redis-1.aci" \
		-- --appendonly yes --appendfsync always)
	pod=$D/data/pods/run/$uuid
	cp "$F/redis-2.aci" "$D/2.aci"
	tier=restart

	count "$D/a"
	wait_for 10 test -s "$D/a"
	"$ACTOOL" patch-manifest --replace --exec=/nothing "$D/2.aci"
	update
	expect_status 10
	has_all "$D/a"

	count "$D/b"
	wait_for 10 test -s "$D/b"
	cp "$F/redis-2.aci" "$D/2.aci"
	OPTIONS=(--observe=5s)
	in_background
	wait_for 20 grep -q SWITCHED "$D/first"
	kill -9 "$(cat "$pod/generations/redis/3/pid")"
	ends_with 10
	has_all "$D/b"

	count "$D/c"
	wait_for 10 test -s "$D/c"
	in_background
	wait_for 20 grep -q SWITCHED "$D/first"
	kill -9 "$(supervisor)"
	wait "$first" || true
	wait_for 10 pod_is web exited
	run rkt start --detach web
	expect_status 0
	has_all "$D/c"
	run rkt status web
	expect_output state=running generation-redis=1
}
