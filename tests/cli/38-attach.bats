#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt attach, --stdin, --stdout and --stderr: what is typed and printed, by
# clients that come and go.

# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # scripts of the app; set by bats

load lib

STREAMS=(--stdin=stream --stdout=stream --stderr=stream)
TTY=(--stdin=tty --stdout=tty --stderr=tty)
# What the app does with a line: answers, or does it.
ANSWER='while read -r line; do
	[ "$line" != exit ] || exit 7
	echo "got $line"
	echo "err $line" >&2
done; exit 3'
DO='while read -r line; do eval "$line"; done; exit 3'

setup_file() {
	mkdir -p "$F"
	TMPDIR=$F image_busybox "$F/sh.aci" . example.com/sh
	TMPDIR=$F image_inside "$F/inside.aci"
}

setup() {
	setup_test
	clients=()
}

teardown() {
	local pid
	for pid in "${clients[@]}"; do
		kill -9 "$pid" 2>/dev/null || true
	done
	teardown_test
}

# start SCRIPT FLAG...: a pod in the background with an app sh
start() {
	local script=$1
	shift
	detach_inside --net=none "$F/sh.aci" "$@" -- -c "$script"
	quiet=$(sockets)
}

# client NAME ARG...: one in the background, $client, that reads $D/NAME.in
# and writes $D/NAME.out and $D/NAME.err
client() {
	local name=$1
	shift
	mkfifo "$D/$name.in"
	"$RKT" --dir="$D/data" attach "$@" "$uuid" <>"$D/$name.in" \
		>"$D/$name.out" 2>"$D/$name.err" 3>&- &
	client=$!
	clients+=("$client")
}

say() {
	echo "$2" >"$D/$1.in"
}

shows() {
	wait_for 20 grep -q -- "$2" "$D/$1.out"
}

# poke NAME: a line for the app of others, which NAME is to see
poke() {
	echo poke | rkt attach --mode=stdin "$uuid" &&
		grep -q 'got poke' "$D/$1.out"
}

# ends CODE: the last client does
ends() {
	local code=0
	wait "$client" || code=$?
	[ "$code" = "$1" ] || fail "exit code $code, not $1"
}

# on_terminal ROWSxCOLS STEP... -- ARG...: rkt ARG on a terminal
on_terminal() {
	local words=("$1")
	shift
	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	shift
	run python3 "$TESTS/cli/terminal.py" "${words[@]}" -- "$RKT" \
		--dir="$D/data" "$@"
}

app_pid() {
	cat "$D/data/pods/run/$uuid/generations/sh/1/pid"
}

# What the app has open.
app_fds() {
	find "/proc/$(app_pid)/fd" -type l -printf '%f %l\n' | sort
}

supervisor() {
	awk '/^PPid/ { print $2 }' \
		"/proc/$(cat "$D/data/pods/run/$uuid/pid")/status"
}

sockets() {
	find "/proc/$(supervisor)/fd" -lname 'socket:*' | wc -l
}

# has_clients N: more connections than the pod had before the first
has_clients() {
	[ "$(sockets)" = $((quiet + $1)) ]
}

restarted() {
	rkt status "$uuid" | grep -q '^restarts-sh=[1-9]'
}

# has_sockets N: the supervisor; those of clients too
has_sockets() {
	[ "$(sockets)" = "$1" ]
}

# It keeps no more than it may of what nobody takes.
is_small() {
	local kb
	kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$(supervisor)/status")
	! host_has not-sanitized || [ "$kb" -lt 24000 ] ||
		fail "stage1 has $kb kB"
}

# --- streams -----------------------------------------------------------------

@test "streams: typed, printed and logged (row 48)" {
	start "$ANSWER" "${STREAMS[@]}"
	client one
	say one hello
	shows one '^got hello$'
	wait_for 20 grep -qx 'err hello' "$D/one.err"
	[ "$(cat "$D/one.out")" = 'got hello' ]
	wait_for 20 pod_logged "$uuid" sh 'got hello'
	wait_for 20 pod_logged "$uuid" sh 'err hello'
	run rkt logs "$uuid"
	expect_output 'got hello' 'err hello'
	say one exit
	ends 7
	[ "$(cat "$D/one.err")" = 'err hello' ]
	run rkt attach "$uuid"
	expect_status 254
}

@test "streams: some of them; the end of input stays with its client" {
	start "$ANSWER" "${STREAMS[@]}"
	for i in 1 2 3; do
		run bash -c "echo line $i | $RKT --dir=$D/data attach \
			--mode=stdin $uuid"
		expect_status 0
		[ -z "$output" ]
		wait_for 20 pod_logged "$uuid" sh "got line $i"
	done
	client out --mode=stdout
	wait_for 20 poke out
	client err --mode=stderr
	client both --mode=stdout,stderr
	wait_for 20 poke both
	[ ! -s "$D/out.err" ]
	wait_for 20 grep -q 'err poke' "$D/both.err"
	# What was typed is all delivered before the client ends.
	seq 1 20000 | rkt attach --mode=stdin "$uuid"
	wait_for 30 pod_logged "$uuid" sh 'err 20000'
	kill "${clients[@]}"
	for client in "${clients[@]}"; do
		ends 143
	done
	[ "$(sort -u "$D/err.out" | wc -l)" = 0 ]
}

@test "several clients see the same; one that is killed is not missed" {
	local before
	start "$ANSWER" "${STREAMS[@]}"
	before=$(app_fds)
	client one
	client two
	say one first
	shows one 'got first'
	say two second
	shows one 'got second'
	shows two 'got second'
	# Nothing of theirs is in the pod.
	[ "$(app_fds)" = "$before" ]
	client=${clients[0]}
	kill -9 "$client"
	ends 137
	say two third
	shows two 'got third'
	# Only what comes from now on.
	client three
	say three fourth
	shows three 'got fourth'
	run ! grep 'first\|second\|third' "$D/three.out"
	kill -INT "$client"
	ends 130
	say two exit
	client=${clients[1]}
	ends 7
}

@test "one that does not read is sent away, and the app goes on" {
	local n
	start 'while read -r line; do
		yes 0123456789012345678901234567890123456789 |
			head -c 20000000
		echo "said all" >&2
	done' --stdin=stream --stdout=stream
	n=$(sockets)
	mkfifo "$D/stuck"
	exec {hold}<>"$D/stuck"
	"$RKT" --dir="$D/data" attach --mode=stdout "$uuid" \
		>"$D/stuck" 2>"$D/stuck.err" {hold}>&- 3>&- &
	client=$!
	clients+=("$client")
	wait_for 20 has_sockets $((n + 1))
	echo go | rkt attach --mode=stdin "$uuid"
	wait_for 60 pod_logged "$uuid" sh 'said all'
	is_small
	kill -0 "$client"
	cat <"$D/stuck" >/dev/null {hold}>&- 3>&- &
	clients+=($!)
	exec {hold}>&-
	ends 254
	grep 'it prints faster than is read here' "$D/stuck.err"
	wait_for 20 has_sockets "$n"
	client two
	say two go
	wait_for 60 test -s "$D/two.out"
}

@test "what the app does not read waits with its client" {
	local n
	start 'echo up; sleep 1000' "${STREAMS[@]}"
	wait_for 20 pod_logged "$uuid" sh up
	n=$(sockets)
	head -c 5000000 /dev/zero | "$RKT" --dir="$D/data" attach "$uuid" 3>&- &
	client=$!
	clients+=("$client")
	wait_for 20 has_sockets $((n + 1))
	is_small
	kill -0 "$client"
	rkt stop "$uuid"
	ends 143
}

@test "too many" {
	local n
	start "$ANSWER" "${STREAMS[@]}"
	n=$(sockets)
	for i in $(seq 16); do
		client "$i" --mode=stdout
	done
	wait_for 20 has_sockets $((n + 16))
	run rkt attach "$uuid" </dev/null
	expect_status 254
	expect_output 'app "sh" has 16 attached clients already'
	kill -9 "$client"
	wait_for 20 has_sockets $((n + 15))
	run rkt attach --mode=stdin "$uuid" </dev/null
	expect_status 0
	rkt stop "$uuid"
	for client in "${clients[@]::15}"; do
		ends 143
	done
}

# --- terminals ---------------------------------------------------------------

@test "a terminal: its own, of the client's size, in raw mode (row 48)" {
	start "$DO" "${TTY[@]}"
	on_terminal 33x111 \
		':send:tty; stty size; echo is=$(readlink /proc/$$/fd/2)\n' \
		':send:ls -l /dev/console; : >/dev/tty && echo fir""st\n' \
		'first:send:printf "\\033[7mx"; exit 5\n' -- attach "$uuid"
	expect_status 5
	expect_output '/dev/pts/0' '33 111' 'is=/pts/0' '136,   0' first \
		$'\033[7mx'
	wait_for 20 pod_logged "$uuid" sh '33 111'
	run ! grep -q $'\r$' "$D/data/pods/run/$uuid/logs/sh"
}

@test "a terminal: its size follows the client's" {
	detach_inside --net=none "$F/inside.aci" "${TTY[@]}" -- signals 60
	wait_for 20 pod_logged "$uuid" inside ready=1
	on_terminal 24x80 winsize=24x80:size:50x100 winsize=50x100:size:20x70 \
		'winsize=20x70:send:\x03' 'signal=INT:send:\x1d\x1d\x1d' -- \
		attach "$uuid"
	expect_status 0
	expect_output signal=WINCH winsize=50x100 winsize=20x70 signal=INT
}

@test "^] three times detaches, and the app can be attached to again" {
	start "$DO" "${TTY[@]}"
	for i in 1 2 3; do
		on_terminal 24x80 ":send:echo ti\"\"me$i\n" \
			"time$i:send:\x1d\x1d\x1d" -- attach "$uuid"
		expect_status 0
		expect_output "time$i" 'detached from app "sh", which goes on'
		pod_is "$uuid" running
		# A line of its own: what was typed before is none.
		rkt attach --mode=tty-in "$uuid" <<<''
	done
	expect_no_output time1 time2
	# ^C is the app's.
	on_terminal 24x80 ":send:trap 'echo intr; exit 9' INT; echo rea\"\"dy\n" \
		'ready:send:\x03' -- attach "$uuid"
	expect_status 9
	expect_output intr
}

@test "an app that reads nothing can be left" {
	local many
	many=$(printf '%060000d' 0)
	start "$DO" "${TTY[@]}"
	on_terminal 24x80 \
		':send:stty raw -echo; echo rea""dy; sleep 1000\n' \
		"ready:send:$many" 'ready:send:\x1d\x1d\x1d' -- attach "$uuid"
	expect_status 0
	expect_output detached
	pod_is "$uuid" running
}

@test "a terminal with private users, and for one who is not root" {
	start "$DO" "${TTY[@]}" --user=700 --group=701
	on_terminal 24x80 ':send:stat -c own=%u:%g /dev/console; echo x >/dev/stdout; id -u; exit 0\n' \
		-- attach "$uuid"
	expect_status 0
	expect_output own=700:701 700
	uuid=$("$RKT" --dir="$D/data" --insecure-options=image run --detach \
		--net=none --private-users "$F/sh.aci" "${TTY[@]}" -- -c "$DO")
	on_terminal 24x80 ':send:stat -c own=%u:%g /dev/console; tty; : >/dev/tty && echo o""k; exit 0\n' \
		-- attach "$uuid"
	expect_status 0
	expect_output own=0:0 /dev/pts/0 ok
}

@test "what could drive the caller's terminal is shown as it is only there" {
	start 'while read -r line; do printf "\033[31m$line\302\233x\n"; done' \
		--stdin=stream --stdout=stream
	on_terminal 24x80 ':send:re""d\n' '[31mre:send:\x1d\x1d\x1d\n' -- \
		attach "$uuid"
	expect_status 0
	expect_output '?[31mre""d' detached
	expect_no_output $'\033[31m' $'\302\233'
	client one
	say one raw
	shows one $'^\033\[31mraw\302\233x$'
}

# --- the app's life ----------------------------------------------------------

@test "an update goes on under its clients" {
	mkdir "$D/sh"
	tar -C "$D/sh" -xf "$F/sh.aci"
	mv "$D/sh/manifest" "$D/manifest"
	for n in 1 2; do
		jq '.labels[0].value = "'$n'.0.0" | .app.exec = ["/bin/sh", "-c",
			"while read -r line; do echo v'$n' $line; done"]' \
			"$D/manifest" >"$D/sh/manifest"
		"$ACTOOL" build --overwrite "$D/sh" "$D/$n.aci"
	done
	detach_inside --net=none "$D/1.aci" "${STREAMS[@]}"
	client one
	say one before
	shows one '^v1 before$'
	run_rkt update --observe=100ms --image="$D/2.aci" "$uuid"
	expect_status 0
	say one after
	shows one '^v2 after$'
	run_rkt rollback --observe=100ms "$uuid"
	expect_status 0
	say one back
	shows one '^v1 back$'
	rkt stop "$uuid"
	ends 143
}

@test "an app that is started again keeps its clients" {
	local pid
	start "$ANSWER" "${STREAMS[@]}" --restart=always
	client one
	for i in 1 2 3; do
		say one "round $i"
		shows one "^got round $i$"
		pid=$(app_pid)
		say one exit
		# What is typed from now on waits for the next one.
		wait_for 20 test ! -e "/proc/$pid"
	done
	say one last
	shows one '^got last$'
	kill -0 "$client"
}

# other_stage1: the pod's supervisor becomes a later version
other_stage1() {
	mkdir -p "$D/next/bin" "$D/next/libexec/rkt"
	cp "$BUILD/bin/rkt" "$D/next/bin/rkt"
	cp "$BUILD"/libexec/rkt/* "$D/next/libexec/rkt/"
	cp --remove-destination "$BUILD/tests/stage1-next" \
		"$D/next/libexec/rkt/stage1"
	run "$D/next/bin/rkt" --dir="$D/data" update --runtime "$uuid"
	expect_status 0
	expect_output 'went on as stage1'
}

@test "another stage1 goes on with those who are attached" {
	local before watcher
	start "$ANSWER" "${STREAMS[@]}"
	client watch --mode=stdout
	watcher=$client
	client one
	say one before
	shows one '^got before$'
	shows watch '^got before$'
	before=$(sockets)
	other_stage1
	# No descriptor is kept twice, or was lost.
	wait_for 20 has_sockets "$before"
	say one after
	shows one '^got after$'
	shows watch '^got after$'
	wait_for 20 grep -qx 'err after' "$D/one.err"
	client two
	say two 'of two'
	shows two '^got of two$'
	shows one '^got of two$'
	say one exit
	ends 7
	wait "$watcher" || [ $? = 7 ]
	run ! grep -h 'went away\|another version' "$D/one.err" "$D/two.err"
}

@test "another stage1 goes on with what a client has not taken, and not typed on" {
	local reader
	# 12 kB wait for a client that does not read, 4 kB for the app.
	start 'read -r go; head -c 6000 /dev/zero | tr "\0" x; echo
		head -c 6000 /dev/zero | tr "\0" y; echo; echo ready >&2
		until [ -e /go ]; do sleep 0.1; done
		while read -r line; do [ "$line" != exit ] || exit 7
			echo "got ${#line}"; done' "${STREAMS[@]}"
	client one --mode=stdout
	reader=$client
	wait_for 20 has_clients 1
	kill -STOP "$reader"
	echo go | rkt attach --mode=stdin "$uuid"
	wait_for 20 pod_logged "$uuid" sh ready
	{
		for i in $(seq 30); do printf '%04000d\n' "$i"; done
		echo exit
	} >"$D/typed"
	rkt attach --mode=stdin "$uuid" <"$D/typed" 3>&- &
	clients+=($!)
	wait_for 20 has_clients 2
	other_stage1
	: >"/proc/$(app_pid)/root/go"
	kill -CONT "$reader"
	client=$reader
	ends 7
	[ "$(head -c 12002 "$D/one.out" | tr -d 'xy\n' | wc -c)" = 0 ]
	[ "$(grep -c '^got 4000$' "$D/one.out")" = 30 ]
	[ "$(wc -l <"$D/one.out")" = 32 ]
}

@test "another stage1 knows the size of a terminal" {
	start "$DO" "${TTY[@]}" --restart=always
	on_terminal 33x111 ':send:stty size\n' '33 111:send:\x1d\x1d\x1d' -- \
		attach "$uuid"
	expect_output '33 111' detached
	other_stage1
	# The next process has a terminal of its own.
	rkt attach --mode=tty-in "$uuid" <<<$'\nexit 3'
	wait_for 20 restarted
	rkt attach --mode=tty-in "$uuid" <<<'echo size=$(stty size)'
	wait_for 20 pod_logged "$uuid" sh 'size=33 111'
}

@test "another stage1 leaves a client behind that takes nothing" {
	start 'read -r go; head -c 900000 /dev/zero | tr "\0" "\n"; echo ready >&2
		read -r line; echo last; exit 5' "${STREAMS[@]}"
	client one --mode=stdout
	wait_for 20 has_clients 1
	kill -STOP "$client"
	echo go | rkt attach --mode=stdin "$uuid"
	wait_for 20 pod_logged "$uuid" sh ready
	other_stage1
	kill -CONT "$client"
	ends 254
	grep "the pod's supervisor went away" "$D/one.err"
	client two
	say two line
	shows two '^last$'
	ends 5
}

@test "the last output of a pod: who takes nothing keeps none from the others" {
	local stuck
	detach_inside --net=none "$F/sh.aci" --name=a "${STREAMS[@]}" -- -c \
		'read -r go; head -c 900000 /dev/zero; echo ready >&2; read -r line' \
		--- "$F/sh.aci" --name=b "${STREAMS[@]}" -- -c \
		'read -r go; head -c 900000 /dev/zero; echo last; exit 5'
	quiet=$(sockets)
	client stuck --app=a --mode=stdout
	stuck=$client
	client one --app=b --mode=stdout
	wait_for 20 has_clients 2
	kill -STOP "$stuck"
	echo go | rkt attach --app=a --mode=stdin "$uuid"
	wait_for 20 pod_logged "$uuid" a ready
	echo go | rkt attach --app=b --mode=stdin "$uuid"
	ends 5
	[ "$(wc -c <"$D/one.out")" = 900005 ]
	grep -qa '^last$' <(tail -c 5 "$D/one.out")
}

@test "an app that ends while it is attached to" {
	# Whoever comes too late is told so.
	for i in 1 2 4 8 16 32 64; do
		start "usleep ${i}0000; exit 6" --stdout=stream
		run rkt attach "$uuid"
		case $status in
		254) expect_output attach: ;;
		*) expect_status 6 ;;
		esac
		wait_for 20 pod_is "$uuid" exited
	done
	# One of two.
	detach_inside --net=none "$F/sh.aci" --name=ends --stdout=stream -- \
		-c 'exit 0' --- "$F/sh.aci" --name=stays -- -c 'sleep 1000'
	has_ended() {
		run rkt attach --app=ends "$uuid"
		[ "$status" = 254 ] &&
			[[ $output == *'app "ends" has ended with code 0'* ]]
	}
	wait_for 20 has_ended
}

@test "the last words of an app reach its clients" {
	start 'read -r line; seq 1 3000; echo end >&2; exit 4' "${STREAMS[@]}"
	for _ in 1 2 3; do
		client one
		say one go
		ends 4
		[ "$(tail -1 "$D/one.out")" = 3000 ]
		[ "$(wc -l <"$D/one.out")" = 3000 ]
		grep -qx end "$D/one.err"
		rm "$D/one.in"
		start 'read -r line; seq 1 3000; echo end >&2; exit 4' \
			"${STREAMS[@]}"
	done
	start 'read -r line; seq 1 3000; exit 4' "${TTY[@]}"
	client two
	say two go
	ends 4
	[ "$(tail -1 "$D/two.out")" = $'3000\r' ]
}

# --- what there is -----------------------------------------------------------

@test "--mode=list: rkt's JSON of what there is" {
	targets() {
		rkt attach --mode=list "$uuid" >"$D/list"
		[ "$(jq -r .version "$D/list")" = 1 ]
		[ "$(jq -r '[.targets[].name] | join(" ")' "$D/list")" = "$1" ]
		[ "$(jq -r '[.targets[].domain] | unique | join(" ")' "$D/list")" = "${1:+unix}" ]
	}
	start 'sleep 1000' "${STREAMS[@]}"
	targets 'stdin stdout stderr'
	test -S "$(jq -r '.targets[0].address' "$D/list")"
	start 'sleep 1000' "${TTY[@]}"
	targets tty
	start 'sleep 1000' --stdout=tty --stderr=stream
	targets 'stderr tty-out'
	start 'sleep 1000' --stdin=null --stdout=null --stderr=log
	targets ''
	run rkt attach "$uuid"
	expect_status 254
	expect_output 'app "sh" has nothing to attach to' --stdout=stream \
		'rkt logs'
	run rkt cat-manifest "$uuid"
	expect_output coreos.com/rkt/stage2/stdin coreos.com/rkt/stage2/stdout
}

@test "null, log, and both kinds at once" {
	start 'echo no; echo end >&2; sleep 1000; true' --stdout=null
	wait_for 20 pod_logged "$uuid" sh end
	[ "$(pod_log "$uuid" sh)" = end ]
	[ "$(app_fds | sed -n 's|^[012] /dev/null|null|p' | wc -l)" = 2 ]
	start 'readlink /proc/$$/fd/1; readlink /proc/$$/fd/2; tty; echo in >&2; sleep 1000' \
		--stdin=tty --stderr=tty
	wait_for 20 pod_logged "$uuid" sh in
	pod_logged "$uuid" sh /dev/pts/0
	pod_logged "$uuid" sh 'pipe:.*'
	# Kept by who is prepared, and by a file.
	uuid=$("$RKT" --dir="$D/data" --insecure-options=image prepare --quiet \
		"$F/sh.aci" "${STREAMS[@]}" -- -c "$ANSWER")
	"$RKT" --dir="$D/data" run-prepared --net=none "$uuid" >/dev/null 3>&- &
	clients+=($!)
	wait_for 20 pod_is "$uuid" running
	client one
	say one prepared
	shows one 'got prepared'
}

@test "misuse" {
	local wrong
	start 'sleep 1000' "${STREAMS[@]}"
	# shellcheck disable=SC2054 # commas of modes
	wrong=(--mode=foo 'unknown endpoint "foo"'
		--mode=stdin,bar 'unknown endpoint "bar"'
		--mode=tty,stdout 'cannot simultaneously attach TTY and streams'
		--mode=stdin,tty-out 'incompatible endpoints'
		--mode=list,stdin 'unknown endpoint "list"'
		--mode=tty 'app "sh" has no tty-in to attach to'
		--app=other 'app "other" not found')
	for ((i = 0; i < ${#wrong[@]}; i += 2)); do
		run rkt attach "${wrong[i]}" "$uuid"
		expect_status 254
		expect_output "${wrong[i + 1]}"
	done
	run rkt attach
	expect_status 254
	expect_output 'must provide the UUID or name of one pod'
	run rkt attach 12345678
	expect_status 254
	expect_output 'no matches found'
	for wrong in --stdin=log --stdout=pipe --stderr=; do
		run_inside "$F/sh.aci" "$wrong"
		expect_status 254
		[[ $stderr == *"must be "*"null, stream or tty"* ]]
	done
	run_inside --interactive "$F/sh.aci" --stdout=stream -- -c true
	expect_status 254
	[[ $stderr == *'do not go with that'* ]]
	run_inside "$F/sh.aci" --annotation=coreos.com/rkt/stage2/stdin=pipe
	expect_status 254
	[[ $stderr == *'must be null, stream or tty'* ]]
	rkt stop "$uuid"
	wait_for 20 pod_is "$uuid" exited
	run rkt attach "$uuid"
	expect_status 254
	expect_output "isn't currently running"
	detach_inside --net=none "$F/sh.aci" --name=a "${STREAMS[@]}" -- \
		-c 'sleep 1000' --- "$F/sh.aci" --name=b -- -c 'sleep 1000'
	run rkt attach "$uuid"
	expect_status 254
	expect_output 'specify app using "rkt attach --app= ..."'
}

@test "records that are none end the connection, not the pod" {
	start "$ANSWER" "${STREAMS[@]}"
	python3 - "$D/data/pods/run/$uuid/control" "$(sed -n \
		's/^#define STAGE1_ABI_VERSION //p' "$TESTS/../spec/stage1_abi.h")" <<'EOF'
import socket
import struct
import sys

abi = int(sys.argv[2])
flags = {"stdin": 1 << 8, "stdout": 1 << 9}


def connect(wants):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    s.connect(sys.argv[1])
    request = struct.pack("=IIIIQQQII256s64sQII1024s", abi, 7, 0, 0, 0, 0, 0,
                          wants, 0, b"sh", b"", 0, 0, 0, b"")
    s.send(request)
    reply = s.recv(65536)
    assert struct.unpack_from("=II", reply) == (abi, 2), reply
    return s


for wants, record in ((flags["stdout"], struct.pack("=II1s", 1, 1, b"x")),
                      (flags["stdin"], struct.pack("=II1s", 1, 2, b"x")),
                      (flags["stdin"], struct.pack("=II", 9, 0)),
                      (flags["stdin"], struct.pack("=I", 1)),
                      (flags["stdin"], struct.pack("=II", 6, 0)),
                      (flags["stdin"], struct.pack("=IIH", 2, 2, 1)),
                      (flags["stdin"], struct.pack("=II", 1, 20000) + b"x" * 20000)):
    s = connect(wants)
    s.send(record)
    end = s.recv(65536)
    kind, length, code = struct.unpack_from("=IIi", end)
    assert kind == 6 and code == 254, end
    assert b"does not understand this client" in end, end
    assert s.recv(65536) == b""
EOF
	client one
	say one still
	shows one 'got still'
}
