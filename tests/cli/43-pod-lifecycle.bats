#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Several apps, handlers, output, the terminal, and the ways a pod ends.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
	image_inside "$F/a.aci" . example.com/a
	image_inside "$F/b.aci" . example.com/b
	image_inside "$F/c.aci" . example.com/c
}

# Everything of a pod is gone except its directory.
nothing_left() {
	[ -z "$(find /sys/fs/cgroup -type d -path "*/rkt/$1*" 2>/dev/null)" ] ||
		fail "cgroups of $1 are left"
	[ -z "$(find /run/netns -type f 2>/dev/null)" ] || fail "netns is left"
	! grep -q "$1" /proc/self/mountinfo || fail "mounts of $1 are left"
	! pgrep -x inside >/dev/null || fail "an app still runs"
}

no_app_runs() {
	! pgrep -x inside
}

@test "apps that end with 0 stop nobody" {
	run_inside "$F/a.aci" -- exit-code 0 --- "$F/b.aci" -- sleep 1 and \
		echo b-ran-on
	expect_status 0
	expect_output b-ran-on
}

@test "the first app that fails stops the pod, its code counts" {
	run_inside --uuid-file-save="$D/uuid" "$F/a.aci" -- exit-code 0 --- \
		"$F/b.aci" -- sleep 1 and exit-code 5 --- \
		"$F/c.aci" -- sleep 30 and exit-code 6
	expect_status 5
	run rkt status "$(cat "$D/uuid")"
	expect_output state=exited app-a=0 app-b=5
	expect_no_output app-c=6
}

@test "the other apps get SIGTERM when one fails" {
	run_inside "$F/a.aci" -- sleep 1 and exit-code 3 --- \
		"$F/b.aci" -- signals 30
	expect_status 3
	expect_output signal=TERM
}

@test "pre-start runs before the app, post-stop after it" {
	mkdir "$D/vol"
	image_inside "$D/h.aci" '.app.eventHandlers=[
		{name:"pre-start",exec:["/inside","append","/vol/log","pre "]},
		{name:"post-stop",exec:["/inside","append","/vol/log","post "]}]
		| .app.mountPoints=[{name:"vol",path:"/vol"}]'
	run_inside --volume=vol,kind=host,source="$D/vol" "$D/h.aci" -- \
		append /vol/log "app "
	expect_status 0
	[ "$(cat "$D/vol/log")" = "pre app post " ] || fail "$(cat "$D/vol/log")"
}

@test "what handlers and app print is never lost" {
	image_inside "$D/h.aci" '.app.eventHandlers=[
		{name:"pre-start",exec:["/inside","echo","before"]},
		{name:"post-stop",exec:["/inside","echo","after"]}]'
	for _ in $(seq 25); do
		run_inside "$D/h.aci" -- echo between
		expect_status 0
		[ "$(sed 's/.*: //' <<<"$output" | tr '\n' ' ')" = \
			"before between after " ] || fail "$output"
	done
}

@test "an app whose pre-start fails is not started" {
	image_inside "$D/h.aci" '.app.eventHandlers=[
		{name:"pre-start",exec:["/inside","exit-code","9"]}]'
	run_inside "$D/h.aci" -- echo started
	[ "$status" != 0 ]
	expect_no_output started
}

@test "output: each line with time, app and pid" {
	run_inside "$F/inside.aci" -- echo one two and stderr three
	expect_status 0
	grep -Eq '^\[ *[^]]*\] inside\[[0-9]+\]: one two.?$' <<<"$output" ||
		fail "$output"
	[[ $output$stderr == *three* ]] || fail "no stderr of the app"
}

@test "output: also in the log, in CRI line format" {
	run_inside --uuid-file-save="$D/uuid" "$F/inside.aci" -- echo to-out \
		and stderr to-err
	expect_status 0
	log=$D/data/pods/run/$(cat "$D/uuid")/logs/inside
	time='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9.]+(Z|[+-][0-9:]+)'
	grep -Eq "^$time stdout F to-out$" "$log" || fail "$(cat "$log")"
	grep -Eq "^$time stderr F to-err$" "$log" || fail "$(cat "$log")"
}

@test "output: a flood keeps its order and loses nothing" {
	run_inside --uuid-file-save="$D/uuid" "$F/inside.aci" -- \
		lines 20000 number
	expect_status 0
	[ "$(sed -n 's/\r$//; s/.*: number //p' <<<"$output" | tail -1)" = 20000 ]
	[ "$(grep -c ': number ' <<<"$output")" = 20000 ]
}

@test "output: a full disk loses lines of the log, says so, harms nothing" {
	mkdir "$D/small"
	mount -t tmpfs -o size=8m tmpfs "$D/small"
	# The flood is on the terminal whole and in the log in part.
	run --separate-stderr "$RKT" --dir="$D/small/data" \
		--insecure-options=image run --net=none "$F/inside.aci" -- \
		lines 150000 number and exit-code 3
	local code=$status
	rkt --dir="$D/small/data" logs \
		"$(ls "$D/small/data/pods/run")" >"$D/logged" || true
	"$RKT" --dir="$D/small/data" gc --grace-period=0s || true
	"$RKT" --dir="$D/small/data" image gc
	umount "$D/small"
	[ "$code" = 3 ]
	[ "$(grep -c ': number ' <<<"$output")" = 150000 ]
	[[ $stderr == *"app inside: lines of its log are lost: No space left"* ]] ||
		fail "$stderr"
	! grep -v '^\[.*\] inside: ' "$D/logged" | grep -q . ||
		fail "a part of a line is left"
}

@test "rkt logs prints them, --app chooses, -f follows to the end" {
	detach_inside --net=none "$F/a.aci" -- echo first and sleep 2 and \
		echo last --- "$F/b.aci" -- echo other
	wait_for 10 pod_logged "$uuid" a first
	timeout 30 "$RKT" --dir="$D/data" logs -f "$uuid" >"$D/follow"
	grep -q first "$D/follow"
	grep -q last "$D/follow"
	grep -q other "$D/follow"
	run rkt logs --app=b "$uuid"
	expect_status 0
	expect_output other
	expect_no_output first
}

@test "--interactive: a terminal of the caller's size, raw output" {
	run python3 "$TESTS/cli/terminal.py" 33x111 -- "$RKT" --dir="$D/data" \
		--insecure-options=image run --net=none --interactive \
		"$F/inside.aci" -- print-tty and exit-code 4
	expect_status 4
	expect_value isatty.0 1
	expect_value isatty.1 1
	expect_value isatty.2 1
	expect_value winsize 33x111
	expect_value devtty ok
	expect_no_output 'inside['
}

@test "--interactive: a change of the window size arrives" {
	run python3 "$TESTS/cli/terminal.py" 24x80 ready=1:size:50x100 \
		winsize=50x100:send:'\x03' -- "$RKT" --dir="$D/data" \
		--insecure-options=image run --net=none --interactive \
		"$F/inside.aci" -- signals 5
	expect_output signal=WINCH winsize=50x100 signal=INT
}

@test "--interactive: what is typed arrives" {
	run python3 "$TESTS/cli/terminal.py" 24x80 'ready=1:send:hello pod\n\x04' \
		-- "$RKT" --dir="$D/data" --insecure-options=image run \
		--net=none --interactive "$F/inside.aci" -- ready and stdin
	expect_status 0
	expect_output 'stdin=hello pod'
}

@test "--interactive: ^] three times kills the pod (row 17)" {
	run python3 "$TESTS/cli/terminal.py" 24x80 'ready=1:send:\x1d\x1d\x1d' \
		-- "$RKT" --dir="$D/data" --insecure-options=image run \
		--net=none --interactive "$F/inside.aci" -- ready and sleep 30
	expect_status 1
}

@test "--interactive takes one image (row 17)" {
	run_inside --interactive "$F/a.aci" "$F/b.aci"
	expect_status 254
}

@test "rkt stop asks, the pod ends and nothing is left" {
	detach_inside --net=none "$F/inside.aci" -- signals 60
	wait_for 10 pod_logged "$uuid" inside ready=1
	run rkt stop "$uuid"
	expect_status 0
	expect_output "\"$uuid\""
	wait_for 15 pod_is "$uuid" exited
	pod_logged "$uuid" inside signal=TERM
	nothing_left "$uuid"
	run rkt stop "$uuid"
	expect_status 0
	expect_output 'already stopped'
}

@test "rkt stop --wait: until all of them have exited" {
	detach_inside --net=none "$F/inside.aci" -- signals 600
	wait_for 10 pod_logged "$uuid" inside ready=1
	first=$uuid
	detach_inside --net=none "$F/inside.aci" -- signals 600
	wait_for 10 pod_logged "$uuid" inside ready=1
	run rkt stop --wait "$first" "$uuid"
	expect_status 0
	[ "$output" = "\"$first\"
\"$uuid\"" ]
	pod_is "$first" exited
	pod_is "$uuid" exited
	run rkt start --detach "$uuid"
	expect_status 0
	run rkt stop --force --wait "$uuid"
	expect_status 0
	pod_is "$uuid" exited
	run rkt stop --wait "$uuid"
	expect_status 0
	expect_output 'already stopped'
	run rkt stop --wait=soon "$uuid"
	expect_status 254
	expect_output 'must be a boolean or a duration'
}

@test "rkt stop --wait: somebody removes them as soon as they have exited" {
	detach_inside --net=none "$F/inside.aci" -- signals 600
	wait_for 10 pod_logged "$uuid" inside ready=1
	first=$uuid
	detach_inside --net=none "$F/inside.aci" -- signals 600
	wait_for 10 pod_logged "$uuid" inside ready=1
	rkt stop --wait "$first" "$uuid" >"$D/out" 2>&1 3>&- &
	local stop=$!
	for pod in "$uuid" "$first"; do
		until rkt rm "$pod" >/dev/null 2>&1; do :; done
	done
	wait "$stop" || fail "$? $(cat "$D/out")"
}

@test "rkt stop --wait=TIME: 254 when it is over" {
	detach_inside --net=none "$F/inside.aci" -- ignore-term and sleep 600
	wait_for 10 pod_logged "$uuid" inside ready=1
	printf %s "$uuid" >"$D/uuid"
	run rkt stop --wait=100ms --uuid-file="$D/uuid"
	expect_status 254
	expect_output "timed out waiting for pod \"$uuid\"" \
		'failed to stop 1 pod(s)'
	pod_is "$uuid" running
	rkt stop --force "$uuid"
}

@test "rkt stop waits for a pod that is just starting" {
	skip_without strace
	strace -f -qq -e trace=listen -e inject=listen:delay_enter=1000000 \
		-o "$D/calls" "$RKT" --dir="$D/data" \
		--insecure-options=image run --net=none \
		--uuid-file-save="$D/uuid" "$F/inside.aci" -- sleep 60 \
		>/dev/null 2>&1 3>&- &
	local pid=$!
	for _ in {1..100}; do
		[ ! -d "$D/data/pods/run/$(cat "$D/uuid" 2>/dev/null)/args" ] ||
			break
		sleep 0.02
	done
	run rkt stop "$(cat "$D/uuid")"
	expect_status 0
	expect_output "\"$(cat "$D/uuid")\""
	wait $pid || true
	grep -q listen "$D/calls"
}

@test "rkt stop --force does not ask" {
	detach_inside --net=none "$F/inside.aci" -- ignore-term and sleep 60
	wait_for 10 pod_logged "$uuid" inside ready=1
	run rkt stop --force "$uuid"
	expect_status 0
	wait_for 10 pod_is "$uuid" exited
	nothing_left "$uuid"
}

@test "SIGTERM to rkt run is an orderly stop" {
	"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		--uuid-file-save="$D/uuid" "$F/inside.aci" -- signals 60 \
		>"$D/out" 2>&1 &
	pid=$!
	wait_for 10 grep -q ready=1 "$D/out"
	kill -TERM "$pid"
	wait "$pid" || true
	grep -q signal=TERM "$D/out"
	pod_is "$(cat "$D/uuid")" exited
}

@test "each signal to rkt run in the foreground: the app gets TERM, code 0" {
	for sig in TERM INT HUP QUIT; do
		rm -f "$D/uuid" "$D/out"
		env --default-signal=INT,QUIT "$RKT" --dir="$D/data" \
			--insecure-options=image run --net=none \
			--uuid-file-save="$D/uuid" "$F/inside.aci" -- signals 60 \
			>"$D/out" 2>&1 &
		pid=$!
		wait_for 10 grep -q ready=1 "$D/out"
		kill -$sig "$pid"
		r=0
		wait "$pid" || r=$?
		[ "$r" = 0 ] || fail "$sig: $r: $(cat "$D/out")"
		# Only TERM, only once, and not what the caller got.
		[ "$(grep -c signal= "$D/out")" = 1 ] || fail "$(cat "$D/out")"
		grep -q signal=TERM "$D/out"
		pod_is "$(cat "$D/uuid")" exited
		nothing_left "$(cat "$D/uuid")"
	done
}

# ends_clean UUID: it has exited, and rkt gc has nothing to complain about.
ends_clean() {
	local left
	nothing_left "$1"
	run rkt gc --grace-period=0s --expire-prepared=0s
	expect_status 0
	left=$(find "$D/data/pods" -mindepth 2 -maxdepth 2 2>/dev/null) || true
	[ -z "$left" ] || fail "$left is left: $output"
}

@test "a signal to rkt run at any time of its start" {
	for n in $(seq 30); do
		rm -f "$D/uuid"
		env --default-signal=INT "$RKT" --dir="$D/data" \
			--insecure-options=image run --net=none \
			--uuid-file-save="$D/uuid" "$F/inside.aci" --memory=64M \
			-- signals 60 >"$D/out" 2>&1 &
		pid=$!
		sleep "0.0$(printf %02d $((n - 1)))"
		case $((n % 3)) in
		0) kill -TERM "$pid" ;;
		1) kill -INT "$pid" ;;
		2) kill -HUP "$pid" ;;
		esac
		r=0
		wait "$pid" || r=$?
		# Before there is a pod the signal ends rkt itself.
		case $r in
		0 | 129 | 130 | 143) ;;
		*) fail "$n: $r: $(cat "$D/out")" ;;
		esac
		[ "$r" != 0 ] || pod_is "$(cat "$D/uuid")" exited
		ends_clean "$(cat "$D/uuid" 2>/dev/null || echo no-pod)"
	done
}

@test "a signal while the network is set up: it is taken down again" {
	skip_without cni
	skip_without iptables
	for n in $(seq 8); do
		rm -f "$D/uuid"
		"$RKT" --dir="$D/data" --insecure-options=image run \
			--uuid-file-save="$D/uuid" "$F/inside.aci" -- signals 60 \
			>"$D/out" 2>&1 &
		pid=$!
		sleep "0.$(printf %02d $((n * 5)))"
		kill -TERM "$pid"
		r=0
		wait "$pid" || r=$?
		[ "$r" = 0 ] || [ "$r" = 143 ] || fail "$n: $r: $(cat "$D/out")"
		ends_clean "$(cat "$D/uuid" 2>/dev/null || echo no-pod)"
		! ip -o link | grep veth || fail "a veth is left"
	done
}

@test "rkt stop and stop --force at any time of a start" {
	for n in $(seq 12); do
		"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
			--uuid-file-save="$D/uuid" "$F/inside.aci" -- signals 60 \
			>"$D/out" 2>&1 &
		pid=$!
		wait_for 5 test -s "$D/uuid"
		uuid=$(cat "$D/uuid")
		rm "$D/uuid"
		sleep "0.0$(printf %02d "$n")"
		force=
		[ $((n % 2)) = 0 ] || force=--force
		# shellcheck disable=SC2086 # nothing or a word
		run rkt stop $force "$uuid"
		case $status in
		0) ;;
		# Not yet a pod that runs: then it goes on.
		254)
			expect_output 'is not running'
			wait_for 10 pod_is "$uuid" running
			run rkt stop $force "$uuid"
			expect_status 0
			;;
		*) fail "$n: $status: $output" ;;
		esac
		wait "$pid" || true
		wait_for 10 pod_is "$uuid" exited
		ends_clean "$uuid"
	done
}

@test "what a running pod's other apps or its state do not allow" {
	detach_inside --net=none "$F/a.aci" -- exit-code 0 --- "$F/b.aci" -- \
		sleep 100
	wait_for 10 test -e "$D/data/pods/run/$uuid/status/a"
	run rkt enter --app=a "$uuid" /inside echo hi
	expect_status 254
	expect_output 'app a is not running'
	run rkt enter --app=b "$uuid" /inside echo hi
	expect_status 0
	run rkt rm "$uuid"
	expect_status 254
	expect_output 'currently running'
	pod_is "$uuid" running
	run_rkt update --app=a --image="$F/c.aci" --allow-rename "$uuid"
	expect_status 11
	expect_output 'app a is not running'
	[ ! -e "$D/data/pods/run/$uuid/generations/a/2" ]
	# Who has entered goes with the app.
	"$RKT" --dir="$D/data" enter --app=b "$uuid" /inside sleep 100 &
	pid=$!
	wait_for 10 sh -c "pgrep -x inside | wc -l | grep -q 2"
	run rkt stop "$uuid"
	expect_status 0
	r=0
	wait "$pid" || r=$?
	[ "$r" = 137 ] || fail "enter: $r"
	wait_for 10 pod_is "$uuid" exited
	run rkt enter --app=b "$uuid" /inside echo hi
	expect_status 254
	expect_output "isn't currently running"
	ends_clean "$uuid"
}

# A tracing app is entered through a control group of its own.
@test "enter from another unit leaves no control group" {
	skip_without cgroup2
	unit=$(cgroup2_root)/rkt-test-$$
	mkdir "$unit"
	python3 -c 'import os, sys; os.setxattr(sys.argv[1],
		"trusted.delegate", b"1")' "$unit"
	sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' - "$unit" \
		"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		--uuid-file-save="$D/uuid" "$F/inside.aci" \
		--caps-retain=CAP_SYS_PTRACE --memory=64M -- signals 60 \
		>"$D/out" 2>&1 &
	pid=$!
	wait_for 10 grep -q ready=1 "$D/out"
	uuid=$(cat "$D/uuid")
	grep -q "$unit/rkt/$uuid" "$D/data/pods/run/$uuid/cgroup"
	run rkt enter "$uuid" /inside echo entered
	expect_status 0
	expect_output entered
	run rkt enter "$uuid" /missing
	expect_status 254
	left=$(find /sys/fs/cgroup -type d -path "*/rkt/$uuid*" \
		! -path "$unit/*" ! -path '*/memory/*')
	[ -z "$left" ] || fail "$left"
	[ -z "$(find /sys/fs/cgroup -type d -path "*$uuid*-enter-*")" ]
	rkt stop "$uuid"
	wait "$pid" || true
	rmdir "$unit"
	nothing_left "$uuid"
}

@test "enter into a pod that ends leaves no control group" {
	for n in $(seq 10); do
		detach_inside --net=none "$F/inside.aci" \
			--caps-retain=CAP_SYS_PTRACE -- signals 60
		for _ in 1 2 3; do
			(while rkt enter "$uuid" /inside echo 1; do :; done) \
				>/dev/null 2>&1 &
		done
		sleep 0.1
		if [ $((n % 2)) = 0 ]; then
			rkt stop --force "$uuid"
		else
			rkt stop "$uuid"
		fi
		wait_for 15 pod_is "$uuid" exited
		rkt gc --grace-period=0s
		wait || true
		nothing_left "$uuid"
	done
}

@test "kill -9 of the supervisor ends the pod, rkt gc leaves nothing" {
	"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		--uuid-file-save="$D/uuid" "$F/inside.aci" -- ignore-term and \
		sleep 60 >"$D/out" 2>&1 &
	pid=$!
	wait_for 10 grep -q ready=1 "$D/out"
	kill -9 "$pid"
	wait "$pid" || true
	uuid=$(cat "$D/uuid")
	wait_for 10 pod_is "$uuid" exited
	wait_for 5 no_app_runs
	run rkt gc --grace-period=0s
	expect_status 0
	nothing_left "$uuid"
	[ -z "$(find "$D/data/pods" -mindepth 2 -maxdepth 2)" ]
}

@test "kill -9 of the pod's init ends the pod" {
	"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		--uuid-file-save="$D/uuid" "$F/inside.aci" -- ready and \
		sleep 60 >"$D/out" 2>&1 &
	pid=$!
	wait_for 10 grep -q ready=1 "$D/out"
	kill -9 "$(cat "$D/data/pods/run/$(cat "$D/uuid")/pid")"
	wait "$pid" && fail "exit code 0"
	pod_is "$(cat "$D/uuid")" exited
}

@test "the app sees neither init's memory nor its files" {
	run_inside "$F/inside.aci" -- readlink /proc/1/exe and \
		readlink /proc/1/root and ls /proc/1/root and ls /proc/1/fd \
		and readlink /proc/1/cwd
	expect_status 0
	expect_no_output readlink=/
	! grep -q 'ls=.' <<<"$output" || fail "$output"
}

@test "rkt start runs an exited pod again" {
	run_inside --uuid-file-save="$D/uuid" "$F/inside.aci" -- echo again
	expect_status 0
	run rkt start "$(cat "$D/uuid")"
	expect_status 0
	wait_for 10 pod_is "$(cat "$D/uuid")" exited
}

@test "prepare and run-prepared" {
	run --separate-stderr "$RKT" --dir="$D/data" --insecure-options=image \
		prepare --quiet "$F/inside.aci" -- exit-code 3
	expect_status 0
	uuid=$output
	pod_is "$uuid" prepared
	run rkt run-prepared --net=none "${uuid:0:8}"
	expect_status 3
	pod_is "$uuid" exited
	run rkt rm "$uuid"
	expect_status 0
	expect_output "\"$uuid\""
}

@test "status --wait, --wait-ready" {
	detach_inside --net=none "$F/inside.aci" -- sleep 2
	run timeout 10 "$RKT" --dir="$D/data" status --wait-ready "$uuid"
	expect_status 0
	expect_output state=running
	run timeout 10 "$RKT" --dir="$D/data" status --wait=100ms "$uuid"
	expect_status 254
	run timeout 20 "$RKT" --dir="$D/data" status --wait "$uuid"
	expect_status 0
	expect_output state=exited app-inside=0
}

@test "enter runs a command in the app, bound as the app is" {
	detach_inside --net=none "$F/inside.aci" -- ready and sleep 60
	wait_for 10 pod_logged "$uuid" inside ready=1
	run rkt enter "$uuid" /inside print-caps and print-ns and \
		exit-code 6
	expect_status 6
	expect_value capbnd 00000000a80425fb
	[ "$(value ns.pid)" != "$(readlink /proc/self/ns/pid)" ]
	[ "$(value seccomp)" = 2 ]
}

@test "named pods" {
	detach_inside --net=none --pod-name=web "$F/inside.aci" -- sleep 60
	run rkt status web
	expect_status 0
	expect_output state=running
	run rkt stop --force web
	expect_status 0
	wait_for 10 pod_is web exited
}

@test "rkt run --detach fails if the program cannot be executed" {
	run rkt --insecure-options=image run --detach --net=none \
		"$F/inside.aci" --exec=/nope
	[ "$status" = 254 ]
	expect_output "/nope"
}

@test "apps that start at the same time: one that cannot ends all" {
	local how uuid
	for how in --detach=false --detach; do
		run rkt --insecure-options=image run "$how" --net=none \
			--uuid-file-save="$D/uuid" \
			"$F/a.aci" --name=one -- sleep 1000 --- \
			"$F/b.aci" --name=two --working-dir=/nowhere -- sleep 1000 --- \
			"$F/c.aci" --name=three -- sleep 1000
		expect_status 254
		expect_output "app two"
		expect_output "/nowhere"
		uuid=$(cat "$D/uuid")
		[ "$(pod_state "$uuid")" = exited ]
		nothing_left "$uuid"
	done
}

@test "rkt run --detach: once it returns every app executes its program" {
	local uuid app pid apps=() i
	for i in 1 2 3 4 5 6; do
		apps+=("$F/a.aci" "--name=app$i" -- sleep 1000 ---)
	done
	detach_inside --net=none "${apps[@]}"
	for app in app1 app2 app3 app4 app5 app6; do
		pid=$(cat "$D/data/pods/run/$uuid/appsinfo/$app/pid")
		[[ $(readlink "/proc/$pid/exe") = */inside ]]
	done
	rkt stop "$uuid"
	rkt status --wait "$uuid"
	nothing_left "$uuid"
}
