#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt stats and rkt top: what apps use, and their processes.

load lib

setup_file() {
	mkdir -p "$F"
	image_busybox "$F/web.aci" '.app.user="501"' example.com/web
	image_busybox "$F/db.aci" . example.com/db
}

# stat_of APP MEMBER, of the JSON in $D/json.
stat_of() {
	jq -r --arg app "$1" ".[] | select(.app == \$app) | .$2" "$D/json"
}

take() {
	rkt stats --no-stream --format=json "$@" >"$D/json"
}

# used APP MEMBER N: its MEMBER is N or more by now.
used() {
	take "$uuid"
	[ "$(stat_of "$1" "$2")" -ge "$3" ]
}

@test "stats: processor, memory and processes, by app" {
	detach_inside --net=none "$F/web.aci" -- -c 'while :; do :; done' \
		--- "$F/db.aci" -- -c 'sleep 1000 & sleep 1000 & wait'
	wait_for 30 used web cpu_usec 200000
	# However loaded the host is: one turns, the other sleeps.
	[ "$(stat_of web cpu_usec)" -gt "$(stat_of db cpu_usec)" ]
	wait_for 10 used db pids 3
	[ "$(stat_of web pids)" = 1 ]
	for app in web db; do
		[ "$(stat_of $app memory_bytes)" -gt 0 ]
		[ "$(stat_of $app pod)" = "$uuid" ]
		[ "$(stat_of $app memory_limit_bytes)" = null ]
	done
	wait_for 30 used web cpu_millicores 1
	run rkt stats --no-stream
	expect_status 0
	[ "${#lines[@]}" = 3 ] || fail "$output"
	expect_output UUID LIMIT PIDS "${uuid:0:8}" web db
	# As wide as a terminal.
	[ "$(expand <<<"$output" | wc -L)" -le 80 ] || fail "$output"
}

@test "stats: a limit of memory is told where the host can hold one" {
	skip_without memory-limit
	detach_inside --net=none "$F/db.aci" --memory=64M -- -c 'sleep 1000'
	take "$uuid"
	limit=$(stat_of db memory_limit_bytes)
	[ "$limit" -gt 60000000 ] || fail "$(cat "$D/json")"
	[ "$limit" -le 67108864 ] || fail "$(cat "$D/json")"
}

@test "stats: goes on while the pods run, as lines of JSON" {
	detach_inside --net=none "$F/db.aci" -- -c 'sleep 1000'
	"$RKT" --dir="$D/data" stats --format=json "$uuid" >"$D/out" 3>&- &
	watcher=$!
	lines_are() { [ "$(grep -c . "$D/out")" -ge 2 ]; }
	wait_for 20 lines_are
	rkt stop --force "$uuid"
	wait "$watcher"
	jq -es '.[0][0].app == "db" and .[-1] == []' "$D/out" ||
		fail "$(cat "$D/out")"
}

both_sleep() {
	[ "$(rkt top "$uuid" | grep -c sleep)" = 2 ]
}

@test "top: pids, users and programs as the pod sees them" {
	local how
	for how in '' --private-users; do
		# shellcheck disable=SC2086 # nothing, where it is empty
		detach_inside --net=none $how "$F/web.aci" -- -c \
			'sleep 1000' --- "$F/db.aci" -- -c 'exec sleep 1000'
		wait_for 10 both_sleep
		rkt top --format=json "$uuid" >"$D/json"
		[ "$(stat_of web uid | sort -u)" = 501 ] ||
			fail "$(cat "$D/json")"
		[ "$(stat_of db uid)" = 0 ]
		pid=$(stat_of db host_pid)
		[ "$(stat_of db pid)" = \
			"$(awk '/^NSpid/ { print $NF }' "/proc/$pid/status")" ]
		[ "$(stat_of db pid)" != "$pid" ]
		run rkt top --app=db "$uuid"
		expect_status 0
		[ "${#lines[@]}" = 2 ] || fail "$output"
		expect_output COMMAND sleep
		rkt stop --force "$uuid"
		wait_for 10 pod_is "$uuid" exited
	done
}

@test "top: a program cannot write to the terminal by its name" {
	detach_inside --net=none "$F/db.aci" -- -c \
		'printf "a\033[2Jb) 1 2\n" >/proc/$$/comm; echo named; sleep 1000; true'
	wait_for 10 pod_logged "$uuid" db named
	run rkt top "$uuid"
	expect_status 0
	expect_output 'a?[2Jb) 1 2'
	expect_no_output $'\033'
}

@test "words they refuse" {
	run rkt stats --no-stream nopod
	expect_status 254
	expect_output 'no matches found'
	run rkt top
	expect_status 254
	expect_output 'must provide the UUID or name of one pod'
	run rkt stats --format=xml
	expect_status 254
	expect_output 'invalid argument "xml" for --format'
	detach_inside --net=none "$F/db.aci" -- -c 'sleep 1000'
	run rkt top --app=other "$uuid"
	expect_status 254
	expect_output 'app "other" not found'
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	for c in top 'stats --no-stream'; do
		# shellcheck disable=SC2086 # two words
		run rkt $c "$uuid"
		expect_status 254
		expect_output "isn't currently running"
	done
	run rkt stats --no-stream
	expect_status 0
	[ "${#lines[@]}" = 1 ] || fail "$output"
}
