#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Apps' lines in the host's journal, where rkt's own output goes there.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib

SOCKET=/run/systemd/journal/socket

setup_file() {
	mkdir -p "$F"
	image_busybox "$F/busybox.aci"
}

# A journal that keeps what it gets in $D/journal.
setup() {
	skip_without busybox
	setup_test
	mkdir -p "${SOCKET%/*}"
	: >"$D/journal"
	mkdir "$D/v"
	app_flags=()
	python3 "$TESTS/cli/journald.py" "$SOCKET" "$D/journal" 3>&- &
	journald=$!
	wait_for 10 test -S "$SOCKET"
}

teardown() {
	kill -CONT "$journald" 2>/dev/null || true
	kill "$journald" 2>/dev/null || true
	wait "$journald" 2>/dev/null || true
	rm -f "$SOCKET"
	teardown_test
}

# run_unit SCRIPT [FLAG...]: a pod whose output is $D/out, which systemd would
# have said is the journal.
run_unit() {
	: >"$D/out"
	JOURNAL_STREAM=$(stat -c %d:%i "$D/out") rkt \
		--insecure-options=image run --net=none \
		--volume="v,kind=host,source=$D/v" --mount=volume=v,target=/v \
		--uuid-file-save="$D/uuid" "${@:2}" "$F/busybox.aci" --name=web \
		"${app_flags[@]}" --exec=/bin/sh -- -c "$1" >>"$D/out" 2>"$D/err"
}

received() {
	[ "$(wc -l <"$D/journal")" -ge "$1" ]
}

# One field of all lines, in their order.
field() {
	jq -r --arg key "$1" '.[$key] // ""' "$D/journal"
}

log_of() {
	cut -d' ' -f4- "$D"/data/pods/*/"$(cat "$D/uuid")"/logs/web
}

@test "each line has its fields, and is in the journal once" {
	run_unit 'echo one; echo "<3>two"; echo three >&2; exit 3' || [ $? = 3 ]
	wait_for 10 received 3
	[ "$(jq -r .MESSAGE "$D/journal" | sort)" = $'one\nthree\ntwo' ]
	[ "$(jq -r 'select(.MESSAGE == "two").PRIORITY' "$D/journal")" = 3 ]
	[ "$(jq -r 'select(.MESSAGE == "one").PRIORITY' "$D/journal")" = 6 ]
	[ "$(jq -r 'select(.MESSAGE == "three").RKT_STREAM' "$D/journal")" = stderr ]
	[ "$(field RKT_POD | sort -u)" = "$(cat "$D/uuid")" ]
	[ "$(field RKT_APP | sort -u)" = web ]
	[ "$(field SYSLOG_IDENTIFIER | sort -u)" = web ]
	[ "$(field RKT_GENERATION | sort -u)" = 1 ]
	[ "$(field RKT_IMAGE | sort -u)" = example.com/busybox:1.0.0 ]
	# Not as a line of rkt's output, too; and the log has what was printed.
	[ ! -s "$D/out" ]
	[ "$(log_of | sort)" = $'<3>two\none\nthree' ]
	run rkt logs "$(cat "$D/uuid")"
	expect_output one '<3>two' three
}

@test "another standard output gets lines, and the journal none" {
	JOURNAL_STREAM=1:2 run_rkt run --net=none "$F/busybox.aci" --name=web \
		-- -c 'echo one'
	expect_status 0
	expect_output 'web[' ': one'
	[ ! -s "$D/journal" ]
}

@test "a journal that stands still holds the app, and loses nothing" {
	kill -STOP "$journald"
	run_unit 'i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i + 1)); done' &
	pod=$!
	wait_for 20 test -s "$D/uuid"
	# Nobody takes more than sockets and pipes hold.
	wait_for 20 pod_waits
	kill -CONT "$journald"
	wait "$pod"
	wait_for 20 received 20000
	seq 0 19999 | cmp - <(field MESSAGE)
	seq 0 19999 | cmp - <(log_of)
}

# The app's shell is in write(2), and what it wrote no longer grows.
pod_waits() {
	local pid
	pid=$(cat "$D"/data/pods/run/"$(cat "$D/uuid")"/pid 2>/dev/null) || return 1
	for pid in $(pgrep --ns "$pid" --nslist pid -f 'while \[ \$i'); do
		grep -q 'pipe_write' "/proc/$pid/wchan" && return 0
	done
	return 1
}

# The app has run that many times.
has_run() {
	[ -e "$D/v/runs" ] && [ "$(wc -l <"$D/v/runs")" -ge "$1" ]
}

@test "a journal that stands still while an app starts again and again: counted" {
	local kb lacks
	app_flags=(--restart=on-failure)
	kill -STOP "$journald"
	# 32768 lines a run, with some 180 bytes of fields each.
	run_unit 'echo run >>/v/runs; head -c 32768 /dev/zero | tr "\0" "\n"
		[ -e /v/end ]' &
	pod=$!
	wait_for 60 has_run 5
	kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$(awk '/^PPid/ { print $2 }' \
		"/proc/$(cat "$D"/data/pods/run/"$(cat "$D/uuid")"/pid)/status")/status")
	! host_has not-sanitized || [ "$kb" -lt 48000 ] ||
		fail "stage1 has $kb kB"
	grep -q 'lines are not in the journal, but in the apps. logs: it does not take them' \
		"$D/err"
	: >"$D/v/end"
	kill -CONT "$journald"
	wait "$pod"
	lacks=$(sed -n 's/.*the journal lacks \([0-9]*\) lines$/\1/p' "$D/err" |
		awk '{ n += $1 } END { print n }')
	[ "$lacks" -gt 0 ]
	wait_for 60 received $(($(cat "$D"/data/pods/*/"$(cat "$D/uuid")"/logs/web* |
		wc -l) - lacks))
	[ $((lacks + $(wc -l <"$D/journal"))) = $(($(wc -l <"$D/v/runs") * 32768)) ]
}

@test "a journal that goes away: the log has everything" {
	run_unit 'echo one; until [ -e /v/go ]; do sleep 0.1; done; echo two' &
	pod=$!
	wait_for 10 received 1
	kill "$journald"
	wait "$journald" || true
	: >"$D/v/go"
	wait "$pod"
	[ "$(log_of)" = $'one\ntwo' ]
	grep -q 'lines are not in the journal, but in the apps. logs' "$D/err"
}

@test "no journal there: lines go to standard output" {
	kill "$journald"
	wait "$journald" || true
	run_unit 'echo one; echo two'
	[ "$(grep -c ': \(one\|two\)$' "$D/out")" = 2 ]
	[ "$(log_of)" = $'one\ntwo' ]
}

@test "--log: lines are kept in one place" {
	run_unit 'echo one' --log=file
	[ "$(log_of)" = one ]
	[ ! -s "$D/out" ]
	[ ! -s "$D/journal" ]
	run_unit 'echo two; echo "<3>three"' --log=journal
	wait_for 10 received 2
	[ "$(field MESSAGE)" = $'two\nthree' ]
	[ "$(field RKT_POD | sort -u)" = "$(cat "$D/uuid")" ]
	[ -z "$(log_of)" ]
	[ ! -s "$D/out" ]
	# In the journal, whatever rkt's output is.
	run_rkt run --net=none --log=journal "$F/busybox.aci" --name=web \
		-- -c 'echo four'
	expect_status 0
	expect_output 'web[' ': four'
	wait_for 10 received 3
}

@test "--log=journal in the background, and without a journal" {
	uuid=$(rkt --insecure-options=image run --net=none --detach \
		--log=journal "$F/busybox.aci" --name=web -- \
		-c 'echo one; sleep 1000')
	wait_for 10 received 1
	rkt update --runtime "$uuid"
	[ "$(field MESSAGE)" = one ]
	rkt stop "$uuid"
	wait_for 10 pod_is "$uuid" exited
	kill "$journald"
	wait "$journald" || true
	run_rkt run --net=none --log=journal "$F/busybox.aci" -- -c 'echo two'
	expect_status 254
	expect_output "--log=journal: reach journald at $SOCKET"
	run_rkt run --net=none --log=jurnal "$F/busybox.aci"
	expect_status 254
	expect_output 'invalid --log "jurnal": must be all, file or journal'
}
