#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt update --runtime: another stage1 goes on with a pod that runs, and its
# apps see nothing of it.

# shellcheck disable=SC2034,SC2154 # variables of versions.bash and bats

load lib
load versions

setup_file() {
	mkdir -p "$F"
	TMPDIR=$F image_inside "$F/inside.aci" \
		'.app.environment=[{name:"VERSION",value:"1"}]'
	install_rkt next "$BUILD/tests/stage1-next"
	install_rkt one "$BUILD/libexec/rkt/stage1"
	install_rkt two "$BUILD/libexec/rkt/stage1"
}

# install_rkt NAME STAGE1: another rkt, in $F/NAME
install_rkt() {
	mkdir -p "$F/$1/bin" "$F/$1/libexec/rkt"
	cp "$RKT" "$F/$1/bin/rkt"
	cp "$(dirname "$RKT")"/../libexec/rkt/* "$F/$1/libexec/rkt/"
	cp --remove-destination "$2" "$F/$1/libexec/rkt/stage1"
}

# other NAME ARG...: that rkt's
other() {
	local name=$1
	shift
	run "$F/$name/bin/rkt" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image "$@"
}

# goes_on_as NAME: the pod web's supervisor becomes that one's
goes_on_as() {
	other "$1" update --runtime "${2:-web}"
	expect_status 0
	expect_output 'went on as stage1'
}

# stays NAME REASON: it does not, and goes on as it is
stays() {
	local before
	before=$(supervisor)
	other "$1" update --runtime web
	expect_status 11
	expect_output "$2"
	serves
	[ "$(supervisor)" = "$before" ]
}

# start ARG...: a pod named web in the background
start() {
	detach_inside --net="${NET:-none}" --pod-name=web "${RUN[@]}" \
		"$F/inside.aci" "$@"
	begun
}

begun() {
	pod=$D/data/pods/run/$uuid
	pid=$(cat "$pod/pid")
}

supervisor() {
	sed -n 's/^PPid:\t//p' "/proc/$pid/status"
}

app_pid() {
	cat "$pod/appsinfo/${1:-inside}/pid"
}

# The supervisor answers: what is said to it is served.
serves() {
	run rkt update --abort web
	expect_output 'no update'
}

status_has() {
	rkt status web | grep -qx "$1"
}

all_answered() {
	local key
	[ "$(load_value load answered)" -gt 50 ] || fail "$(cat "$D/load.load")"
	for key in refused reset broken timeout other; do
		[ "$(load_value load $key)" = 0 ] || fail "$(cat "$D/load.load")"
	done
}

# Nothing of the pod is left once it has ended and was removed.
nothing_left() {
	wait_for 10 pod_is web exited
	rkt rm web
	[ -z "$(find /sys/fs/cgroup -type d -path "*/rkt/$uuid*" 2>/dev/null)" ] ||
		fail "cgroups of $uuid are left"
	[ -z "$(find /run/netns -type f 2>/dev/null)" ] || fail "netns is left"
	! grep -q "$uuid" /proc/self/mountinfo || fail "mounts are left"
}

# --- going on ------------------------------------------------------------------

@test "a later version goes on, the app and the process stay" {
	start -- sleep 1000
	status_has runtime=0.1.0
	local before app
	before=$(supervisor) app=$(app_pid)
	other next update --runtime --plan web
	expect_status 0
	expect_output 'stage1 0.1.0 could go on as stage1 0.1.0-next'
	status_has runtime=0.1.0
	goes_on_as next
	expect_output 'stage1 0.1.0 went on as stage1 0.1.0-next'
	[ "$(supervisor)" = "$before" ]
	[ "$(app_pid)" = "$app" ] && kill -0 "$app"
	status_has runtime=0.1.0-next
	run rkt list --full --no-legend
	expect_output 0.1.0-next
	run rkt list --format=json
	jq -e '.[0].runtime_version == "0.1.0-next"' <<<"$output"
	serves
	# It is that one already.
	other next update --runtime --format=json web
	expect_status 0
	jq -e '.[0] | .code == 0 and .text == "it is what runs already"
		and (has("away_us") | not)' <<<"$output"
	rkt stop web
	wait_for 10 status_has app-inside=143
	nothing_left
}

@test "an older one does not know what a later one tells: it stays" {
	start -- sleep 1000
	goes_on_as next
	stays one 'it stays stage1 0.1.0-next: the new stage1 cannot go on: unheard_of: is not known to this stage1'
	status_has runtime=0.1.0-next
	other one update --runtime --plan web
	expect_status 11
}

@test "under load, there and back: nobody is refused and no line is lost" {
	start --restart=always -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=1
	load_begin load 127.0.0.1 80 /
	for _ in 1 2 3 4 5; do
		goes_on_as one
		goes_on_as two
	done
	# What is kept for its next process is still there.
	kill -9 "$(app_pid)"
	goes_on_as one
	wait_for 10 status_has restarts-inside=1
	goes_on_as two
	sleep 0.3
	load_end
	all_answered
}

@test "every line reaches the log once and whole" {
	start -- lines 300000 40
	for _ in 1 2 3 4 5; do
		goes_on_as one
		goes_on_as two
	done
	wait_for 20 pod_is web exited
	rkt logs web >"$D/lines"
	run_inside "$F/inside.aci" -- lines 300000 40
	cut -d' ' -f2- <"$D/lines" >"$D/got"
	[ "$(wc -l <"$D/lines")" = 300000 ] || fail "$(wc -l "$D/lines")"
}

@test "an update and a rollback after it, and one while it is under way" {
	version 1
	version 2
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80
	begun
	wait_for 10 pod_logged "$uuid" inside serving=1
	load_begin load 127.0.0.1 80 /
	goes_on_as one
	run_rkt update --strategy=handover --observe=100ms --image="$D/2.aci" web
	expect_status 0
	expect_output 'switched in'
	goes_on_as two
	run_rkt rollback --strategy=handover --observe=100ms web
	expect_status 0
	goes_on_as one
	run_rkt update --strategy=restart --observe=100ms --image="$D/2.aci" web
	expect_status 0
	goes_on_as two
	run rkt history --no-legend web
	[ "$(grep -c COMMITTED <<<"$output")" = 3 ]
	# One that observes.
	run_rkt rollback --strategy=handover --observe=60s web &
	local job=$!
	wait_for 10 grep -q SWITCHED "$pod/update.journal"
	other one update --runtime web
	expect_status 11
	expect_output 'an update of the pod is under way'
	rkt update --abort web
	wait "$job" || true
	wait_for 10 test ! -e "$pod/update.journal"
	goes_on_as one
	load_end
	all_answered
}
