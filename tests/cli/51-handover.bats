#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Both generations run: nobody is refused and nothing is cut off, forward,
# back, and when the new one is no good.

# shellcheck disable=SC2034 # variables of versions.bash

load lib
load versions

# all_answered [NAME...]: nobody refused, cut off or left waiting.
all_answered() {
	none_of refused reset broken timeout other -- "$@"
}

update() {
	run_rkt update --strategy=handover --observe=200ms "$@" web
	show_switch
}

rollback() {
	run_rkt rollback --strategy=handover --observe=200ms "$@" web
	show_switch
}

show_switch() {
	local us
	us=$(sed -n 's/.*switched in \([0-9]*\) us.*/\1/p' <<<"$output")
	[ -z "$us" ] || echo "# ${BATS_TEST_DESCRIPTION}: switch: $us us" >&3
}

# serves NUMBER COUNT: generation NUMBER serves, COUNT directories are there.
serves() {
	run rkt status web
	expect_output state=running "generation-inside=$1"
	[ "$(cd "$pod/generations/inside" && echo [0-9]* | wc -w)" = "$2" ] ||
		fail "generations: $(ls "$pod/generations/inside")"
	[ ! -e "$pod/update.journal" ] || fail "journal: $(cat "$pod/update.journal")"
	# Of the other one nothing runs any more.
	[ "$(pgrep -fc '^/inside' --ns "$pid" --nslist pid)" -le "${3:-1}" ] ||
		fail "processes: $(pgrep -fa '^/inside' --ns "$pid" --nslist pid)"
}

@test "there and back, three rounds, under load" {
	serve tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	for n in 2 3 4; do
		update --image="$D/2.aci"
		expect_status 0
		expect_output 'handover' 'switched in' COMMITTED
		rollback
		expect_status 0
	done
	sleep 0.3
	load_end
	all_answered
	[ "$(load_value load body.2)" -gt 0 ]
	serves 1 2
	history_says COMMITTED '4 -> 1'
}

@test "auto: handover, but for what can write to a volume" {
	serve tcp4:80
	version 2
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	expect_output 'ready: handover'
	version 3 '.annotations+=[{name:"rkt.io/update/overlap",value:"forbidden"}]'
	run_rkt update --observe=100ms --image="$D/3.aci" web
	expect_status 0
	expect_output 'ready: restart, because the image says'
	run rkt stop web
	wait_for 10 pod_is web exited
	rkt rm web
	mkdir -m 777 "$D/vol"
	RUN=("--volume=v,kind=host,source=$D/vol")
	JQ='.app.mountPoints=[{name:"v",path:"/v"}]'
	serve tcp4:80
	version 2 "$JQ"
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	expect_output 'ready: restart, because it can write to a volume'
	version 3 "$JQ"'|.annotations+=[{name:"rkt.io/update/overlap",value:"allowed"}]'
	run_rkt update --observe=100ms --image="$D/3.aci" web
	expect_status 0
	expect_output 'ready: handover'
}

@test "several listeners: IPv4, IPv6, both in one" {
	serve tcp4:80 tcp6:80 dual:81 tcp4:82
	version 2
	load_begin a 127.0.0.1 80 /
	load_begin b ::1 80 /
	load_begin c 127.0.0.1 81 /
	load_begin d 127.0.0.1 82 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	expect_output '4 listening sockets'
	rollback
	expect_status 0
	sleep 0.3
	load_end
	all_answered a b c d
	serves 1 2
}

@test "workers with SO_REUSEPORT of their own: more, fewer, the same" {
	serve workers:80:3
	version 2
	version 3
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	reshape workers:80:1
	update --image="$D/3.aci"
	expect_status 0
	rollback
	expect_status 0
	sleep 0.3
	load_end
	[ "$(load_value load refused)$(load_value load timeout)" = 00 ] ||
		fail "$(cat "$D/load.load")"
}

@test "the host's network: shared for that time only" {
	NET=host serve tcp4:8093 tcp6:8093
	version 2
	load_begin a 127.0.0.1 8093 /
	load_begin b ::1 8093 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	rollback
	expect_status 0
	sleep 0.3
	load_end
	all_answered a b
	[ "$(load_value a body.2)" -gt 0 ]
	run python3 -c "
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(('0.0.0.0', 8093))"
	expect_status 1
	expect_output 'Address already in use'
}

@test "the host's network: what firewalls mark is never a probe" {
	# 0x2000 is portmap's, 0x4000 and 0x8000 kube-proxy's, all above others'.
	nft -f - <<-EOT
	table inet rkt-test-marks {
		chain out {
			type filter hook output priority 0;
			meta mark & 0xffffef80 != 0 drop
		}
	}
	EOT
	NET=host serve tcp4:8094
	version 2
	local failed=
	for _ in 1 2; do
		update --image="$D/2.aci"
		[ "$status" = 0 ] || failed+=$output
		rollback
		[ "$status" = 0 ] || failed+=$output
	done
	nft delete table inet rkt-test-marks
	[ -z "$failed" ] || fail "$failed"
}

@test "canary: a part for a while, then all" {
	serve tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	update --canary=20%:1s --image="$D/2.aci"
	expect_status 0
	expect_output 'canary: 20.00 %' SWITCHED
	load_end
	all_answered
	update --canary=20 --image="$D/2.aci"
	expect_status 254
}

# --- what fails ----------------------------------------------------------------

# fails_back TEXT...: the update at hand is rolled back under load, and
# generation 1 serves, which no client noticed.
fails_back() {
	load_begin load 127.0.0.1 "${PORT:-80}" /
	sleep 0.3
	update --ready-timeout=1s "${OPTIONS[@]}" --image="$D/2.aci"
	expect_status 10
	expect_output ROLLED_BACK "$@"
	expect_no_output SWITCHED
	sleep 0.3
	load_end
	all_answered
	[ -z "$(load_value load body.2)" ] || fail "$(cat "$D/load.load")"
	serves 1 1
	history_says ROLLED_BACK '1 -> 2' "$@"
}

@test "a new version that never listens" {
	serve tcp4:80
	echo '["--exec=/inside","--","sleep","100"]' >"$pod/args/inside"
	version 2
	fails_back 'did not listen'
}

@test "a new version that exits at once" {
	serve tcp4:80
	echo '["--","exit-code","7"]' >"$pod/args/inside"
	version 2
	fails_back 'exit code 7'
}

@test "a new version that cannot be executed" {
	serve tcp4:80
	echo '["--exec=/missing"]' >"$pod/args/inside"
	version 2
	fails_back 'exit code 203'
}

@test "a new version that listens elsewhere" {
	serve tcp4:80
	reshape tcp4:81
	version 2
	fails_back 'did not listen'
}

@test "a new version whose pre-start fails" {
	serve tcp4:80
	version 2 '.app.eventHandlers=[{name:"pre-start",exec:["/inside","exit-code","9"]}]'
	fails_back 'pre-start'
}

@test "a new version that answers 500: no client ever meets it" {
	serve tcp4:80
	version 2 '.app.environment+=[{name:"STATUS",value:"500 No"}]'
	OPTIONS=(--probe=http:/)
	fails_back 'was not well' 500
}

@test "a probe reaches the new one only: the old one would fail it" {
	JQ='.app.environment+=[{name:"STATUS",value:"500 No"}]'
	serve tcp4:80
	version 2
	update --probe=http:/ --ready-timeout=2s --image="$D/2.aci"
	expect_status 0
	serves 2 2
}

# dies_at OPTION WORD: killed when the journal says WORD.
dies_at() {
	serve tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	(wait_for 10 grep -q "$2" "$pod/update.journal" && sleep 0.3 &&
		kill -9 "$(cat "$pod/generations/inside/2/pid")") &
	run_rkt update --strategy=handover --observe=1s "$1" --image="$D/2.aci" web
	expect_status 10
	expect_output 'exit code 137'
	sleep 0.5
	load_end
	[ "$(load_value load body.2)" -gt 0 ]
	# The one answer it was at when it was killed has nobody to give it.
	[ "$(load_value load reset)" -le 1 ] || fail "$(cat "$D/load.load")"
	[ "$(load_value load refused)$(load_value load timeout)" = 00 ] ||
		fail "$(cat "$D/load.load")"
	serves 1 1
}

@test "a new version that dies in its canary" {
	dies_at --canary=20%:10s canary
}

@test "a new version that dies while it is observed" {
	dies_at --observe=10s SWITCHED
}

@test "the old one dies while the new one is observed: that one stays" {
	serve tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	(wait_for 10 grep -q SWITCHED "$pod/update.journal" && sleep 0.2 &&
		kill -9 "$(cat "$pod/generations/inside/1/pid")") &
	run_rkt update --strategy=handover --observe=10s --image="$D/2.aci" web
	expect_status 0
	expect_output 'the old one ended'
	load_end
	all_answered
	serves 2 2
}

@test "the old one dies before the new one is ready: so does the pod" {
	serve tcp4:80
	echo '["--exec=/inside","--","sleep","100"]' >"$pod/args/inside"
	version 2
	(wait_for 10 grep -q STARTED "$pod/update.journal" &&
		kill -9 "$(cat "$pod/generations/inside/1/pid")") &
	run_rkt update --strategy=handover --image="$D/2.aci" web
	expect_status 12
	wait_for 10 pod_is web exited
}

@test "another form of the address: auto restarts, handover refuses" {
	serve tcp4:80
	version 2
	reshape dual:80
	load_begin load 127.0.0.1 80 /
	sleep 0.2
	update --image="$D/2.aci"
	expect_status 10
	expect_output 'where the old one listens on 0.0.0.0:80'
	serves 1 1
	run_rkt update --observe=200ms --image="$D/2.aci" web
	expect_status 0
	expect_output 'ready: handover' 'ready: restart, because it listens on'
	sleep 1.2
	load_end
	all_answered
	serves 3 2
}

@test "what cannot be handed over is restarted, and it says why" {
	version 2
	for forms in "tcp4:80 udp:5353" "abstract:web tcp4:80" "ephemeral"; do
		# shellcheck disable=SC2086 # words
		serve $forms
		update --image="$D/2.aci"
		expect_status 11
		run_rkt update --observe=100ms --image="$D/2.aci" web
		expect_status 0
		case $forms in
		*udp*) expect_output 'restart, because it has a UDP port' ;;
		abstract*) expect_output 'restart, because it listens on a unix' ;;
		*) expect_output 'restart, because it listens nowhere' ;;
		esac
		serves 2 2
		run rkt stop --force web
		wait_for 10 pod_is web exited
		rkt rm web
	done
}

@test "EADDRINUSE stays true, and one may try its address first" {
	serve twice:80
	version 2
	update --image="$D/2.aci"
	expect_status 0
	wait_for 5 sh -c "[ \$(grep -c second-bind.error=EADDRINUSE $pod/logs/inside) = 2 ]"
	reshape probe:80
	version 3
	update --image="$D/3.aci"
	expect_status 0
}

@test "another user: its socket joins the old one's" {
	serve tcp4:8080
	version 2 '.app.user="33"|.app.group="33"'
	version 3 '.app.user="34"|.app.group="33"'
	load_begin load 127.0.0.1 8080 /
	sleep 0.2
	update --image="$D/2.aci"
	expect_status 0
	update --image="$D/3.aci"
	expect_status 0
	rollback
	expect_status 0
	sleep 0.2
	load_end
	all_answered
}

# --- on hold, abort, resume, two at once ---------------------------------------

# in_background ARGS: rkt update ARGS, its output in $D/first.
in_background() {
	"$RKT" --dir="$D/data" --insecure-options=image update \
		--strategy=handover "$@" --image="$D/2.aci" web >"$D/first" 2>&1 &
	first=$!
}

ends_with() {
	local r=0
	wait "$first" || r=$?
	[ "$r" = "$1" ] || fail "$r: $(cat "$D/first")"
}

@test "--abort while it is observed: back in no time" {
	serve tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	in_background --observe=20s
	wait_for 10 grep -q SWITCHED "$D/first"
	sleep 0.3
	run rkt update --abort web
	expect_status 0
	ends_with 10
	sleep 0.3
	load_end
	all_answered
	[ "$(load_value load body.2)" -gt 0 ]
	serves 1 1
	history_says ROLLED_BACK 'aborted by request'
}

@test "--on-fail=hold: the old one serves until somebody decides" {
	serve tcp4:80
	version 2 '.app.environment+=[{name:"STATUS",value:"500 No"}]'
	load_begin load 127.0.0.1 80 /
	in_background --on-fail=hold --probe=http:/ --ready-timeout=500ms
	wait_for 10 grep -q 'on hold' "$D/first"
	run rkt update --strategy=handover --image="$D/2.aci" web
	expect_status 254
	expect_output 'another update'
	"$RKT" --dir="$D/data" update --resume web >"$D/second" 2>&1 &
	second=$!
	wait_for 10 grep -q 'on hold' "$D/second"
	run rkt update --abort web
	expect_status 0
	r=0
	wait "$second" || r=$?
	[ "$r" = 10 ] || fail "$r: $(cat "$D/second")"
	wait "$first" || true
	load_end
	all_answered
	serves 1 1
	run rkt update --resume web
	expect_status 254
	expect_output 'no update is under way'
}

@test "the command is killed: it goes on, and --resume follows it" {
	serve tcp4:80
	version 2
	in_background --observe=2s
	wait_for 10 grep -q SWITCHED "$D/first"
	kill -9 "$first"
	wait "$first" || true
	run rkt update --resume web
	expect_status 0
	expect_output COMMITTED
	serves 2 2
}

@test "the pod is stopped while both run" {
	serve tcp4:80
	version 2
	in_background --observe=20s
	wait_for 10 grep -q SWITCHED "$D/first"
	run rkt stop web
	expect_status 0
	ends_with 10
	wait_for 10 pod_is web exited
	run rkt start --detach web
	expect_status 0
	wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving=1"
}

# --- several apps, all or none ---------------------------------------------------

# two ARGS: a pod of app inside (on 80) and app b (on 81), ARGS of rkt run.
two() {
	version 1
	cp "$D/1.aci" "$D/a1.aci"
	version 1 . example.com/b
	mv "$D/1.aci" "$D/b1.aci"
	mv "$D/a1.aci" "$D/1.aci"
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80 --- \
		"$D/b1.aci" "$@" -- serve tcp4:81
	wait_for 10 pod_logged "$uuid" inside serving=1
	wait_for 10 pod_logged "$uuid" b serving=1
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	pod=$D/data/pods/run/$uuid
	version 2 "${B_JQ:-.}" example.com/b
	mv "$D/2.aci" "$D/b2.aci"
	version 2
	load_begin a 127.0.0.1 80 /
	load_begin b 127.0.0.1 81 /
	sleep 0.3
}

update_two() {
	run_rkt update --observe=300ms --app=inside --image="$D/2.aci" \
		--app=b --image="$D/b2.aci" "$@" web
}

both_at() {
	run rkt status web
	expect_output "generation-inside=$1" "generation-b=$1"
	[ ! -e "$pod/update.journal" ]
}

@test "two apps in one transaction" {
	two
	update_two --canary=50%:300ms
	expect_status 0
	sleep 0.3
	load_end
	all_answered a b
	[ "$(load_value a body.2)" -gt 0 ]
	[ "$(load_value b body.2)" -gt 0 ]
	both_at 2
	[ "$(grep -c COMMITTED "$pod/history")" = 2 ] || fail "$(cat "$pod/history")"
}

@test "two apps, one of them no good: none switches" {
	B_JQ='.app.environment+=[{name:"STATUS",value:"500 No"}]'
	two
	update_two --probe=http:/ --ready-timeout=1s
	expect_status 10
	expect_no_output SWITCHED
	sleep 0.3
	load_end
	all_answered a b
	[ -z "$(load_value a body.2)" ]
	both_at 1
	[ "$(grep -c ROLLED_BACK "$pod/history")" = 2 ] || fail "$(cat "$pod/history")"
}

@test "two apps, one dies while both are observed: both go back" {
	two
	(wait_for 10 grep -q '"b".*SWITCHED' "$pod/update.journal" && sleep 0.3 &&
		kill -9 "$(cat "$pod/generations/b/2/pid")") &
	update_two --observe=10s
	expect_status 10
	sleep 0.5
	load_end
	[ "$(load_value a refused)$(load_value b refused)" = 00 ]
	[ "$(load_value a reset)" = 0 ] || fail "$(cat "$D/a.load")"
	both_at 1
}

@test "two apps, one of which has to be restarted" {
	B_JQ='.annotations+=[{name:"rkt.io/update/overlap",value:"forbidden"}]'
	two
	update_two
	expect_status 0
	expect_output 'b: the new root is ready: restart' \
		'inside: the new root is ready: handover'
	load_end
	all_answered a b
	both_at 2
	both_at 2
}

# supervisor: stage1 of the pod, pod init's parent.
supervisor() {
	ps -o ppid= -p "$(cat "$pod/pid")" | tr -d ' '
}

@test "stage1 is killed at each state: the committed generation starts" {
	version 2
	for state in STAGED STARTED VERIFIED SWITCHED OBSERVED COMMITTED; do
		serve tcp4:80
		# A client that keeps its connection keeps the old one.
		stay_connected
		in_background --observe=300ms
		wait_for 10 grep -q "$state" "$pod/update.journal" "$pod/history"
		kill -9 "$(supervisor)"
		wait "$first" || true
		kill "$client"
		wait "$client" || true
		wait_for 10 pod_is web exited
		run rkt start --detach web
		expect_status 0
		n=$(basename "$(readlink "$pod/appsinfo/inside")")
		case $state in
		STA* | VERIFIED) [ "$n" = 1 ] ;;
		COMMITTED) [ "$n" = 2 ] ;;
		esac || fail "$state: generation $n"
		wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving=$n"
		pid=$(cat "$pod/pid")
		serves "$n" "$n"
		run rkt stop --force web
		wait_for 10 pod_is web exited
		rkt rm web
	done
}

@test "the old one stands still, and a client stays: drained after the time" {
	serve tcp4:80
	version 2
	stay_connected
	sleep 0.3
	kill -STOP "$(cat "$pod/generations/inside/1/pid")"
	begin=$(date +%s%N)
	update --drain-timeout=1s --image="$D/2.aci"
	expect_status 0
	expect_output '1 drained'
	[ $(($(date +%s%N) - begin)) -lt 4000000000 ] || fail "slow: $output"
	kill "$client"
	wait "$client" || true
	serves 2 2
	tail -1 "$pod/history" | jq -e '.drained >= 1' || fail "$(cat "$pod/history")"
}

# --- real servers ----------------------------------------------------------------

# rounds N: as many updates and rollbacks under load.
rounds() {
	for _ in $(seq "$1"); do
		update --image="$F/$app-2.aci"
		expect_status 0
		rollback
		expect_status 0
	done
	sleep 0.3
	load_end
}

@test "nginx, five rounds, with a probe of its pages" {
	skip_without nginx
	two_versions nginx-1
	real nginx-1 80
	load_begin load 127.0.0.1 80 /version
	load_begin keep --keepalive=50 127.0.0.1 80 /version
	for _ in 1 2 3 4 5; do
		update --probe=http:/version --image="$F/$app-2.aci"
		expect_status 0
		rollback --probe=http:80/version
		expect_status 0
	done
	sleep 0.3
	load_end
	all_answered load keep
	[ "$(load_value load body.2)" -gt 0 ]
}

@test "nginx on the default network" {
	skip_without nginx
	skip_without cni
	skip_without iptables
	two_versions nginx-1
	NET=default real nginx-1 80
	ip=$(rkt status web | sed -n 's/^networks=.*ip4=\([0-9.]*\).*/\1/p')
	"$BUILD/tests/load" --workers=4 --rate=300 "$ip" 80 /version >"$D/load.load" &
	loads+=($!)
	rounds 2
	all_answered
}

@test "nginx as www-data" {
	skip_without nginx
	two_versions nginx-nonroot
	real nginx-nonroot 8080
	load_begin load 127.0.0.1 8080 /version
	rounds 3
	all_answered
	[ "$(load_value load body.2)" -gt 0 ]
}

@test "python with threads" {
	skip_without python3
	two_versions python
	real python 8000
	load_begin load --rate=100 127.0.0.1 8000 /version
	rounds 2
	all_answered
	[ "$(load_value load body.2)" -gt 0 ]
}

@test "busybox httpd" {
	skip_without busybox
	for v in 1 2; do
		image_busybox "$F/busybox-$v.aci" '.app.exec=["/bin/sh","-c",
			"mkdir -p /w; echo '"$v"' >/w/version; exec httpd -f -p 80 -h /w"]' \
			example.com/busybox "$v.0.0"
	done
	real busybox 80
	load_begin load --rate=100 127.0.0.1 80 /version
	rounds 2
	all_answered
	[ "$(load_value load body.2)" -gt 0 ]
}
