#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Updates and rollbacks under load: nobody is refused, whatever the server,
# its sockets and the way a new version fails.
# shellcheck disable=SC2034 # variables of versions.bash

load lib
load versions

# all_answered [NAME...]: nobody refused or left waiting.  At most one is cut
# off: the kernel resets a client whose handshake ends on another processor in
# the moment the held socket closes (inet_csk_reqsk_queue_add()).  Handover has
# no such moment, and its tests allow none.
all_answered() {
	local name
	none_of refused timeout other -- "$@" || return 1
	for name in "${@:-load}"; do
		[ "$(load_value "$name" reset)" -le 1 ] ||
			fail "$name: $(cat "$D/$name.load")" || return 1
	done
}

# For servers that cannot finish what they have begun.
nobody_refused() {
	none_of refused timeout -- "$@"
}

update() {
	run_rkt update --strategy=restart --observe=200ms "$@" web
}

rollback() {
	run_rkt rollback --strategy=restart --observe=200ms web
}

generations() {
	(cd "$pod/generations/inside" && echo [0-9]*)
}

# was NUMBER COUNT: generation NUMBER serves, COUNT directories are there.
serves() {
	run rkt status web
	expect_output state=running "generation-inside=$1"
	[ "$(generations | wc -w)" = "$2" ] || fail "generations: $(generations)"
	[ ! -e "$pod/update.journal" ] || fail "journal: $(cat "$pod/update.journal")"
}

# --- under load ----------------------------------------------------------------

@test "there and back, three rounds, under load" {
	serve tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	for n in 2 3 4; do
		update --image="$D/2.aci"
		expect_status 0
		expect_output COMMITTED
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

@test "rollbacks go back one further each time, and say so" {
	serve tcp4:80
	version 2
	version 3
	update --image="$D/2.aci"
	expect_status 0
	update --image="$D/3.aci"
	expect_status 0
	rollback
	expect_status 0
	expect_output 'generation 3 back to 2' 'generation 2 serves again'
	rollback
	expect_status 0
	serves 1 3
	history_says '2 -> 1' COMMITTED 'generation 1 serves again'
	run rkt history --format=json web
	[ "$(jq -c 'map(.rollback)' <<<"$output")" = '[false,false,true,true]' ]
	rollback
	expect_status 11
	expect_output 'no generation before 1'
	# Forward again, to what served; but not by a plain update.
	run_rkt rollback --strategy=restart --observe=100ms --generation=3 web
	expect_status 0
	rollback
	expect_status 0
	serves 2 3
	run_rkt rollback --strategy=restart --generation=4 web
	expect_status 11
	expect_output 'no generation 4'
}

@test "--keep: so many earlier generations stay, with their images" {
	serve tcp4:80
	for n in 2 3 4 5; do
		version "$n"
		update --image="$D/$n.aci"
		expect_status 0
	done
	[ "$(generations)" = "3 4 5" ] || fail "$(generations)"
	# What is gone does not hold its image, what is kept does, and what
	# the pod was made of.
	run rkt image gc --grace-period=0s
	expect_status 0
	run rkt image list --no-legend --fields=name
	[ "$(sort <<<"$output")" = "$(printf 'example.com/inside:%s.0.0\n' 1 3 4 5)" ] ||
		fail "$output"
	rollback
	expect_status 0
	rollback
	expect_status 0
	serves 3 3
	rollback
	expect_status 11
	expect_output 'generation 2 of app inside is no longer kept' --keep
	run_rkt rollback --strategy=restart --generation=1 web
	expect_status 11
	expect_output 'generation 1 of app inside is no longer kept'
	serves 3 3
	# Those that one came back from are no predecessors.
	update --keep=1 --image="$D/2.aci"
	expect_status 11
	update --keep=1 --allow-downgrade --image="$D/2.aci"
	expect_status 0
	[ "$(generations)" = "3 6" ] || fail "$(generations)"
	update --keep=0 --image="$D/5.aci"
	expect_status 0
	serves 7 1
	rollback
	expect_status 11
	update --keep=-1 --image="$D/5.aci"
	expect_status 254
}

@test "a failed update collects nothing; what a kill left goes with the next" {
	serve tcp4:80
	for n in 2 3; do
		version "$n"
		update --image="$D/$n.aci"
		expect_status 0
	done
	version 4 '.app.eventHandlers=[{name:"pre-start",exec:["/inside","exit-code","9"]}]'
	update --keep=0 --image="$D/4.aci"
	expect_status 10
	serves 3 3
	# Killed while it removed generation 1.
	rm "$pod/generations/inside/1/treeStoreID"
	run_rkt rollback --strategy=restart --generation=1 web
	expect_status 11
	expect_output 'no longer kept'
	version 5
	update --image="$D/5.aci"
	expect_status 0
	[ "$(generations)" = "2 3 5" ] || fail "$(generations)"
}

@test "an update ended before the old one stopped: its socket is as it was" {
	serve tcp4:80
	version 2
	reshape dual:80
	before=$(nsenter --net="/proc/$pid/ns/net" ss -Hlnt)
	load_begin load --rate=2000 --workers=8 127.0.0.1 80 /
	sleep 0.2
	"$RKT" --dir="$D/data" --insecure-options=image update --strategy=restart --observe=20s \
		--image="$D/2.aci" web >"$D/first" 2>&1 &
	first=$!
	wait_for 10 grep -q 'begins again' "$D/first"
	run rkt update --abort web
	wait "$first" || true
	load_end
	[ "$(nsenter --net="/proc/$pid/ns/net" ss -Hlnt)" = "$before" ] ||
		fail "$before: $(nsenter --net="/proc/$pid/ns/net" ss -Hlnt)"
}

@test "rkt update --abort: the old one serves, and the asker is told" {
	serve tcp4:80
	run rkt update --abort web
	expect_status 254
	expect_output 'no update is under way'
	version 2
	load_begin load 127.0.0.1 80 /
	"$RKT" --dir="$D/data" --insecure-options=image update --strategy=restart --observe=20s \
		--image="$D/2.aci" web >"$D/first" 2>&1 &
	first=$!
	wait_for 10 grep -q SWITCHED "$D/first"
	run rkt update --abort web
	expect_status 0
	expect_output 'rolling back'
	r=0
	wait "$first" || r=$?
	[ "$r" = 10 ] || fail "$r: $(cat "$D/first")"
	sleep 0.3
	load_end
	all_answered
	serves 1 1
	history_says ROLLED_BACK 'aborted by request'
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
}

@test "another form of the address: wider and back, nobody refused" {
	n=1
	for forms in "tcp4:80 dual:80" "tcp6:80 dual:80" "at4:127.0.0.1:80 tcp4:80" \
		"at4:127.0.0.1:80 dual:80"; do
		# shellcheck disable=SC2086 # words
		set -- $forms
		rm -f "$D"/*.load
		address=127.0.0.1
		[ "$1" != tcp6:80 ] || address=::1
		serve "$1"
		version 2
		reshape "$2"
		load_begin load "$address" 80 /
		sleep 0.3
		begin=$(date +%s%N)
		update --image="$D/2.aci"
		expect_status 0
		expect_output COMMITTED
		[ $(($(date +%s%N) - begin)) -lt 5000000000 ] || fail "slow: $output"
		sleep 1.2
		# Back, although that is for fewer clients than the wider one
		# had: none that the old one ever served is refused.
		rollback
		expect_status 0
		expect_output 'clients would be refused'
		[ $(($(date +%s%N) - begin)) -lt 8000000000 ] || fail "slow: $output"
		sleep 1.2
		load_end
		all_answered
		[ "$(load_value load body.2)" -gt 0 ]
		serves 1 2
		run rkt stop --force web
		wait_for 10 pod_is web exited
		rkt rm web
	done
}

@test "another form of the address: one socket instead of two, and two of one" {
	serve tcp4:80 tcp6:80
	version 2
	reshape dual:80
	load_begin a 127.0.0.1 80 /
	load_begin b ::1 80 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	expect_output '1 listening socket '
	sleep 1.2
	rollback
	expect_status 0
	expect_output '2 listening sockets'
	sleep 1.2
	load_end
	all_answered a b
	[ "$(load_value a body.2)" -gt 0 ]
	[ "$(load_value b body.2)" -gt 0 ]
}

@test "another form of the address: without load at once" {
	serve tcp4:80
	version 2
	reshape dual:80
	begin=$(date +%s%N)
	update --observe=0s --image="$D/2.aci"
	expect_status 0
	expect_no_output 'begins again'
	[ $(($(date +%s%N) - begin)) -lt 500000000 ] || fail "$output"
}

@test "another form of the address: only that port waits" {
	serve tcp4:80 tcp4:81
	version 2
	reshape dual:80 tcp4:81
	load_begin odd --rate=2000 --workers=8 127.0.0.1 80 /
	load_begin other 127.0.0.1 81 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	expect_output 'begins again'
	sleep 1.2
	load_end
	all_answered odd other
	ms=$(load_value other longest_ms)
	[ "${ms%.*}" -lt 500 ] || fail "$(cat "$D/other.load")"
}

@test "another form of the address: fewer clients, refused in one line" {
	for forms in "tcp4:80 at4:127.0.0.1:80" "dual:80 tcp4:80" "dual:80 tcp6:80"; do
		# shellcheck disable=SC2086 # words
		set -- $forms
		rm -f "$D"/*.load
		serve "$1"
		version 2
		reshape "$2"
		load_begin load 127.0.0.1 80 /
		sleep 0.3
		begin=$(date +%s%N)
		update --image="$D/2.aci"
		expect_status 10
		expect_output 'clients would be refused'
		[ $(($(date +%s%N) - begin)) -lt 6000000000 ] || fail "slow: $output"
		sleep 0.3
		load_end
		# Not one of them met the version that is refused.
		all_answered
		[ -z "$(load_value load body.2)" ]
		serves 1 1
		run rkt stop --force web
		wait_for 10 pod_is web exited
		rkt rm web
	done
}

@test "another form of the address on the host's network" {
	NET=host serve tcp4:8091
	version 2
	reshape dual:8091
	load_begin load 127.0.0.1 8091 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	sleep 1.2
	load_end
	all_answered
	[ "$(load_value load body.2)" -gt 0 ]
	# What was shared for a moment is nobody's to share.
	cat >"$D/bind.py" <<-"EOP"
		import socket, sys
		ip6 = ":" in sys.argv[1]
		s = socket.socket(socket.AF_INET6 if ip6 else socket.AF_INET)
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		s.bind((sys.argv[1], 8091))
	EOP
	for address in 0.0.0.0 127.0.0.1 ::; do
		run python3 "$D/bind.py" "$address"
		[ "$status" = 1 ] || fail "$address can be bound"
		expect_output 'in use'
	done
}

@test "another form of the address: the pod's own address" {
	skip_without cni
	skip_without iptables
	NET=default serve at4:0.0.0.0:80
	ip=$(rkt status web | sed -n 's/^networks=.*ip4=\([0-9.]*\).*/\1/p')
	version 2
	reshape "at4:$ip:80" at4:127.0.0.1:80
	update --image="$D/2.aci"
	expect_status 10
	expect_output "it listens on " 'where the old one listened on 0.0.0.0:80'
	version 3
	reshape dual:80
	"$BUILD/tests/load" --workers=4 --rate=300 "$ip" 80 / >"$D/load.load" &
	loads+=($!)
	sleep 0.3
	update --image="$D/3.aci"
	expect_status 0
	sleep 1.2
	load_end
	all_answered
	[ "$(load_value load body.3)" -gt 0 ]
}

@test "another form of the address: EADDRINUSE stays true" {
	for forms in "dual:80 tcp4:80" "tcp4:80 dual:80" "tcp4:80 at4:127.0.0.1:80" \
		"dual:80 dual:80"; do
		serve tcp4:80
		version 2
		# shellcheck disable=SC2086 # words
		reshape $forms
		update --image="$D/2.aci"
		expect_status 10
		expect_output 'exit code 98'
		pod_log "$uuid" inside | grep -q bind.error=EADDRINUSE
		serves 1 1
		run rkt stop --force web
		wait_for 10 pod_is web exited
		rkt rm web
	done
}

@test "another form of the address, and the new one dies" {
	serve tcp4:80
	version 2
	reshape dual:80
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	(wait_for 10 grep -q SWITCHED "$pod/update.journal" && sleep 0.3 &&
		kill -9 "$(cat "$pod/generations/inside/2/pid")") &
	run_rkt update --strategy=restart --observe=5s --image="$D/2.aci" web
	expect_status 10
	expect_output 'exit code 137'
	sleep 1.2
	load_end
	nobody_refused
	serves 1 1
}

@test "workers with SO_REUSEPORT of their own: more, fewer, the same" {
	serve workers:80:3
	version 2
	version 3
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	echo '["--","serve","workers:80:1"]' >"$pod/args/inside"
	update --image="$D/3.aci"
	expect_status 0
	rollback
	expect_status 0
	sleep 0.3
	load_end
	nobody_refused
}

@test "the host's network: the held socket takes the new one's place" {
	NET=host serve tcp4:8090 tcp6:8090
	version 2
	load_begin a 127.0.0.1 8090 /
	load_begin b ::1 8090 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	rollback
	expect_status 0
	sleep 0.3
	load_end
	all_answered a b
	[ "$(load_value a body.2)" -gt 0 ]
}

@test "a unix socket in a volume, there and back" {
	mkdir -m 777 "$D/vol"
	RUN=("--volume=run,kind=host,source=$D/vol")
	JQ='.app.mountPoints=[{name:"run",path:"/run/web"}]'
	serve unix:/run/web/s abstract:web
	version 2 "$JQ"
	load_begin unix --rate=100 "$D/vol/s" 0 /
	load_begin abstract --rate=100 @web 0 /
	sleep 0.5
	update --image="$D/2.aci"
	expect_status 0
	expect_output '2 listening sockets'
	[ "$(ls -A "$D/vol")" = s ] || fail "$(ls -A "$D/vol")"
	rollback
	expect_status 0
	update --image="$D/2.aci"
	expect_status 0
	sleep 0.3
	load_end
	nobody_refused abstract
	[ "$(load_value unix body.2)" -gt 0 ]
	[ "$(load_value unix refused)" = 0 ] || fail "$(cat "$D/unix.load")"
	[ "$(ls -A "$D/vol")" = s ]
}

@test "a unix socket in a volume survives a failed update" {
	mkdir -m 777 "$D/vol"
	RUN=("--volume=run,kind=host,source=$D/vol")
	JQ='.app.mountPoints=[{name:"run",path:"/run/web"}]'
	serve unix:/run/web/s tcp4:80
	# Takes one over and not the other.
	echo '["--","serve","unix:/run/web/s"]' >"$pod/args/inside"
	version 2 "$JQ"
	load_begin unix --rate=100 "$D/vol/s" 0 /
	sleep 0.5
	update --ready-timeout=500ms --image="$D/2.aci"
	expect_status 10
	sleep 0.3
	load_end
	nobody_refused unix
	[ "$(ls -A "$D/vol")" = s ] || fail "$(ls -A "$D/vol")"
	serves 1 1
}

@test "a unix socket outside of volumes is the new one's own" {
	JQ='.app.exec=["/inside"]'
	serve unix:/tmp/s tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	expect_output '1 listening socket '
	load_end
	all_answered
}

@test "a port the kernel chose, UDP: left alone" {
	serve ephemeral tcp4:80 udp:5353
	pod_logged "$uuid" inside udp-reuseport=0
	version 2
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	update --image="$D/2.aci"
	expect_status 0
	expect_output '1 listening socket '
	load_end
	all_answered
}

@test "a server that tries its address before it binds" {
	serve probe:80
	version 2
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	update --ready-timeout=5s --image="$D/2.aci"
	expect_status 0
	rollback
	expect_status 0
	load_end
	all_answered
}

@test "EADDRINUSE stays true" {
	serve twice:80
	pod_log "$uuid" inside | grep -q second-bind.error=EADDRINUSE
	version 2
	update --image="$D/2.aci"
	expect_status 0
	wait_for 5 sh -c "[ \$(grep -c second-bind.error=EADDRINUSE $pod/logs/inside) = 2 ]"
	image_inside "$D/b.aci" . example.com/b
	detach_inside --net=none "$D/1.aci" -- serve tcp4:80 --- "$D/b.aci" -- \
		sleep 1 and serve tcp4:80
	wait_for 10 pod_is "$uuid" exited
	pod_log "$uuid" b | grep -q bind.error=EADDRINUSE
	detach_inside --net=none "$D/1.aci" -- serve tcp4:80 --- "$D/b.aci" -- \
		sleep 1 and serve workers:80:1
	wait_for 10 pod_is "$uuid" exited
	pod_log "$uuid" b | grep -q bind.error=EADDRINUSE
}

@test "what is held is no black hole: an app that ends refuses at once" {
	image_inside "$D/idle.aci" . example.com/idle
	version 1
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80 --- \
		"$D/idle.aci" -- sleep 100
	wait_for 10 pod_logged "$uuid" inside serving=1
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	version 2
	run_rkt update --strategy=restart --observe=100ms --app=inside --image="$D/2.aci" web
	expect_status 0
	kill -QUIT "$(cat "$D/data/pods/run/$uuid/generations/inside/2/pid")"
	wait_for 5 pod_logged "$uuid" inside drained=1
	load_begin load 127.0.0.1 80 /
	sleep 1
	load_end
	[ "$(load_value load refused)" -gt 10 ]
	[ "$(load_value load answered)" = 0 ]
	[ "$(load_value load timeout)" = 0 ]
}

# --- without overlay ---------------------------------------------------------

# A generation's own copy of its image, with what was written since.
copies() {
	(cd "$pod/generations/inside" && ls -d [0-9]*/rootfs | tr '\n' ' ')
}

@test "--no-overlay: there and back under load, each with a copy of its own" {
	RUN=(--no-overlay)
	serve tcp4:80
	version 2 '.app.environment+=[{name:"X",value:"2"}]'
	rkt enter web /inside write /tmp/mark 1
	load_begin load 127.0.0.1 80 /
	update --image="$D/2.aci"
	expect_status 0
	[ "$(copies)" = "1/rootfs 2/rootfs " ] || fail "$(copies)"
	# A clean copy, not the one that was written to.
	[ -e "$pod/generations/inside/1/rootfs/tmp/mark" ]
	[ ! -e "$pod/generations/inside/2/rootfs/tmp/mark" ]
	rollback
	expect_status 0
	[ -e "$pod/generations/inside/1/rootfs/tmp/mark" ]
	sleep 0.3
	load_end
	all_answered
	[ "$(load_value load body.2)" -gt 0 ]
	serves 1 2
	version 3
	update --keep=0 --image="$D/3.aci"
	expect_status 0
	[ "$(copies)" = "3/rootfs " ] || fail "$(copies)"
}

@test "--no-overlay: a new version that fails leaves nothing of itself" {
	RUN=(--no-overlay)
	serve tcp4:80
	echo '["--","exit-code","7"]' >"$pod/args/inside"
	version 2
	fails_back 'exit code 7'
	[ "$(copies)" = "1/rootfs " ] || fail "$(copies)"
}

@test "--no-overlay: no image in the store is needed to go back" {
	RUN=(--no-overlay)
	serve tcp4:80
	version 2
	update --image="$D/2.aci"
	expect_status 0
	rm -rf "$D/data/cas"
	rollback
	expect_status 0
	serves 1 2
	run rkt stop web
	wait_for 10 pod_is web exited
	run rkt start --detach web
	expect_status 0
	wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving=1"
}

@test "--no-overlay and rkt run --pod-name with another image" {
	RUN=(--no-overlay)
	serve tcp4:80
	run rkt stop web
	wait_for 10 pod_is web exited
	version 2
	detach_inside --net=none --pod-name=web "$D/2.aci" -- serve tcp4:80
	wait_for 10 pod_logged "$uuid" inside serving=2
	[ "$(copies)" = "1/rootfs 2/rootfs " ] || fail "$(copies)"
	rollback
	expect_status 0
	serves 1 2
}

# --- what fails ----------------------------------------------------------------

# fails_back TEXT...: the update at hand is rolled back under load, and
# generation 1 serves.
fails_back() {
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	update --ready-timeout=1s --image="$D/2.aci"
	expect_status 10
	expect_output ROLLED_BACK "$@"
	sleep 0.5
	load_end
	all_answered
	[ "$(load_value load body.1)" -gt 0 ]
	serves 1 1
	history_says ROLLED_BACK '1 -> 2' "$@"
}

@test "a new version that never listens" {
	serve tcp4:80
	rm "$pod/args/inside"
	# The arguments come with the image from here on.
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

@test "a new version that dies after it listened" {
	serve tcp4:80
	version 2 '.app.eventHandlers=[]'
	load_begin load 127.0.0.1 80 /
	sleep 0.3
	(wait_for 10 test -s "$pod/generations/inside/2/pid" &&
		wait_for 10 grep -q serving=2 "$pod/logs/inside" && sleep 0.3 &&
		kill -9 "$(cat "$pod/generations/inside/2/pid")") &
	run_rkt update --strategy=restart --observe=5s --image="$D/2.aci" web
	expect_status 10
	expect_output 'exit code 137'
	sleep 0.3
	load_end
	nobody_refused
	serves 1 1
}

@test "a new version that cannot be executed" {
	serve tcp4:80
	echo '["--exec=/missing"]' >"$pod/args/inside"
	version 2
	fails_back 'exit code 203'
}

@test "a new version that listens elsewhere" {
	serve tcp4:80
	echo '["--","serve","tcp4:81"]' >"$pod/args/inside"
	version 2
	fails_back 'did not listen'
}

@test "a new version whose pre-start fails" {
	serve tcp4:80
	version 2 '.app.eventHandlers=[{name:"pre-start",exec:["/inside","exit-code","9"]}]'
	fails_back 'pre-start'
}

@test "a new version whose pre-start fails after the old one was stopped" {
	mkdir -m 777 "$D/vol"
	RUN=("--volume=v,kind=host,source=$D/vol")
	JQ='.app.mountPoints=[{name:"v",path:"/v"}]'
	serve tcp4:80
	version 2 "$JQ"' | .app.eventHandlers=[{name:"pre-start",exec:["/inside","exit-code","9"]}]'
	fails_back 'pre-start'
	grep -q drained=1 "$pod/logs/inside"
}

# is_refused TEXT...: exit code 11, and nothing happened.
is_refused() {
	expect_status 11
	expect_output "$@"
	serves 1 1
	run rkt history --no-legend web
	[ -z "$output" ]
}

@test "refused: missing volume, port, other name, older version" {
	skip_without cni
	skip_without iptables
	NET=default
	RUN=(--port=http:8099)
	JQ='.app.ports=[{name:"http",protocol:"tcp",port:80}]'
	serve tcp4:80
	load_begin load 127.0.0.1 80 /
	sleep 0.2
	version 2 '.app.mountPoints=[{name:"other",path:"/o"}] | '"$JQ"
	update --image="$D/2.aci"
	is_refused other
	version 2
	update --image="$D/2.aci"
	is_refused 'no port http'
	version 2 "$JQ" example.com/other
	update --image="$D/2.aci"
	is_refused --allow-rename
	VERSION_LABEL=0.9.0 version 2 "$JQ"
	update --image="$D/2.aci"
	is_refused --allow-downgrade
	VERSION_LABEL=second version 2 "$JQ"
	update --image="$D/2.aci"
	is_refused SemVer
	update --allow-downgrade --image="$D/2.aci"
	expect_status 0
	load_end
	all_answered
}

@test "refused: not signed, not trusted" {
	serve tcp4:80
	version 2
	run rkt update --image="$D/2.aci" web
	is_refused
	"$ACTOOL" genkey --name='A <a@example.com>' --output="$D/key"
	"$ACTOOL" sign --key="$D/key" "$D/2.aci"
	run rkt update --image="$D/2.aci" web
	is_refused
	rkt trust --prefix=example.com/inside --skip-fingerprint-review "$D/key.pub"
	run rkt update --strategy=restart --observe=100ms --image="$D/2.aci" web
	expect_status 0
}

@test "the same image again is nothing to do" {
	serve tcp4:80
	update --image="$D/1.aci"
	expect_status 0
	expect_output already
	serves 1 1
	rollback
	expect_status 11
}

@test "old and new both dead: exit code 12, the pod ends" {
	serve tcp4:80
	version 2 '.app.eventHandlers=[]'
	# The old one cannot be started again: its port is an address of
	# nobody.
	echo '["--","exit-code","3"]' >"$pod/args/inside"
	rm "$pod/generations/inside/1/app"
	update --image="$D/2.aci"
	expect_status 12
	wait_for 10 pod_is web exited
	run rkt history --no-legend web
	expect_output ROLLED_BACK
}

# --- several -------------------------------------------------------------------

@test "two apps: which one must be said; the other one does not notice" {
	version 1
	image_inside "$D/b.aci" '.app.environment=[{name:"VERSION",value:"b"}]' \
		example.com/b
	detach_inside --net=none --pod-name=web "$D/1.aci" -- serve tcp4:80 --- \
		"$D/b.aci" -- serve tcp4:81
	wait_for 10 pod_logged "$uuid" inside serving=1
	wait_for 10 pod_logged "$uuid" b serving=b
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	version 2
	load_begin a 127.0.0.1 80 /
	load_begin b 127.0.0.1 81 /
	sleep 0.2
	update --image="$D/2.aci"
	expect_status 254
	expect_output --app
	update --app=nobody --image="$D/2.aci"
	expect_status 254
	update --app=inside --image="$D/2.aci"
	expect_status 0
	load_end
	all_answered a b
	[ "$(load_value a body.2)" -gt 0 ]
	run rkt status web
	expect_output generation-inside=2 generation-b=1
}

@test "a second update meanwhile is refused in one line" {
	serve tcp4:80
	version 2
	version 3
	"$RKT" --dir="$D/data" --insecure-options=image update --strategy=restart --observe=3s \
		--image="$D/2.aci" web >"$D/first" 2>&1 &
	first=$!
	wait_for 10 grep -q SWITCHED "$D/first"
	update --image="$D/3.aci"
	[ "$status" = 254 ] || [ "$status" = 11 ] || fail "$status"
	expect_output 'another update'
	rollback
	expect_output 'another update'
	wait "$first"
	serves 2 2
}

@test "rkt update killed: the transaction ends without it" {
	serve tcp4:80
	version 2
	version 3
	n=2
	for state in PLANNED STAGED STARTED SWITCHED; do
		rm -f "$D/first"
		load_begin load 127.0.0.1 80 /
		"$RKT" --dir="$D/data" --insecure-options=image update --strategy=restart \
			--observe=300ms --allow-downgrade --image="$D/2.aci" \
			web >"$D/first" 2>&1 &
		first=$!
		wait_for 10 grep -q "$state" "$D/first" ||
			fail "$(cat "$D/first"; rkt history web)"
		kill -9 "$first"
		wait "$first" || true
		wait_for 10 test ! -e "$pod/update.journal"
		history_says COMMITTED "1 -> $n"
		rollback
		expect_status 0
		n=$((n + 1))
		sleep 0.1
		load_end
		all_answered
		rm "$D/load.load"
	done
	run rkt status web
	expect_output generation-inside=1
}

@test "rkt update killed, and the new version is bad: nothing is left" {
	serve tcp4:80
	version 2
	echo '["--","sleep","100"]' >"$pod/args/inside"
	"$RKT" --dir="$D/data" --insecure-options=image update --strategy=restart \
		--ready-timeout=1s --image="$D/2.aci" web >"$D/first" 2>&1 &
	first=$!
	wait_for 10 grep -q STARTED "$D/first"
	kill -9 "$first"
	wait "$first" || true
	wait_for 10 test ! -e "$pod/update.journal"
	history_says ROLLED_BACK
	serves 1 1
}

@test "rkt stop in the middle of an update" {
	serve tcp4:80
	version 2
	"$RKT" --dir="$D/data" --insecure-options=image update --strategy=restart --observe=20s \
		--image="$D/2.aci" web >"$D/first" 2>&1 &
	first=$!
	wait_for 10 grep -q SWITCHED "$D/first"
	run rkt stop web
	expect_status 0
	r=0
	wait "$first" || r=$?
	[ "$r" = 10 ] || fail "$r: $(cat "$D/first")"
	wait_for 10 pod_is web exited
	[ ! -e "$pod/update.journal" ]
	history_says ROLLED_BACK stopped
	[ "$(generations)" = 1 ]
}

@test "rkt stop, stop --force and signals in each state of an update" {
	n=0
	for state in PLANNED STAGED STARTED SWITCHED 'begins again'; do
		for how in stop force signal; do
			case $state-$how in
			*-stop | STAGED-force | SWITCHED-force | STARTED-signal) ;;
			*) continue ;;
			esac
			serve tcp4:80
			version 2
			[ "$state" != 'begins again' ] || reshape dual:80
			# Somebody waits in the held socket at any time.
			load_begin load --rate=2000 --workers=8 127.0.0.1 80 /
			sleep 0.2
			rm -f "$D/first"
			supervisor=$(supervisor)
			"$RKT" --dir="$D/data" --insecure-options=image update --strategy=restart \
				--observe=20s --image="$D/2.aci" web \
				>"$D/first" 2>&1 &
			first=$!
			wait_for 10 grep -q "$state" "$D/first"
			case $how in
			stop) rkt stop web ;;
			force) rkt stop --force web ;;
			signal) kill -TERM "$supervisor" ;;
			esac
			r=0
			wait "$first" || r=$?
			# Nobody is left to tell it when stage1 was killed.
			[ "$how" = force ] && want=254 || want=10
			[ "$r" = $want ] || fail "$state $how: $r: $(cat "$D/first")"
			wait_for 15 pod_is web exited
			load_end
			if [ "$how" != force ]; then
				[ ! -e "$pod/update.journal" ]
				history_says ROLLED_BACK stopped
				[ "$(generations)" = 1 ]
			fi
			run rkt start --detach web
			expect_status 0
			wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving=1"
			serves 1 1
			run rkt stop --force web
			wait_for 10 pod_is web exited
			rkt rm web
			n=$((n + 1))
		done
	done
	echo "# ${BATS_TEST_DESCRIPTION}: $n stops" >&3
}

@test "rkt start after an update starts what was committed" {
	serve tcp4:80
	version 2
	update --image="$D/2.aci"
	expect_status 0
	run rkt stop web
	wait_for 10 pod_is web exited
	run rkt start --detach web
	expect_status 0
	wait_for 10 sh -c "[ \$(grep -c serving=2 $pod/logs/inside) = 2 ]"
	rollback
	expect_status 0
	run rkt status web
	expect_output generation-inside=1
}

@test "rkt run --pod-name with another image is another generation" {
	serve tcp4:80
	run rkt stop web
	wait_for 10 pod_is web exited
	version 2
	detach_inside --net=none --pod-name=web "$D/2.aci" -- serve tcp4:80
	[ "$D/data/pods/run/$uuid" = "$pod" ]
	wait_for 10 pod_logged "$uuid" inside serving=2
	serves 2 2
	rollback
	expect_status 0
	serves 1 2
}

# --- crashes -------------------------------------------------------------------

supervisor() {
	ps -o ppid= -p "$(cat "$pod/pid")" | tr -d ' '
}

# The history and what runs agree, and what no one ran is gone.
settled() {
	local last now
	[ ! -e "$pod/update.journal" ] || fail "call $1: $(cat "$pod/update.journal")"
	last=$(tail -1 "$pod/history" 2>/dev/null) || true
	now=$(readlink "$pod/appsinfo/inside")
	case $last in
	*'"to":2'*COMMITTED*) [ "${now##*/}" = 2 ] ;;
	*'"to":2'*ROLLED_BACK*) [ "${now##*/}" = 1 ] &&
		[ ! -e "$pod/generations/inside/2" ] ;;
	'') [ "${now##*/}" = 1 ] ;;
	*) false ;;
	esac || fail "call $1: $now, $(generations): $last"
	[ "$(grep -c . "$pod/history" 2>/dev/null || true)" -le 1 ] ||
		fail "call $1: $(cat "$pod/history")"
}

# cat-manifest shows the committed generation, whatever `pod` says.
manifest_is_committed() {
	[ "$(rkt cat-manifest web | jq -r '.apps[0].image.id')" = \
		"$(cat "$pod/appsinfo/inside/treeStoreID")" ] ||
		fail "$(rkt cat-manifest web)"
}

@test "an app's started_at is that of its generation" {
	version 1
	version 2
	serve tcp4:80
	before=$(rkt list --format=json | jq '.[0].apps[0].started_at')
	update --observe=50ms --image="$D/2.aci"
	expect_status 0
	rkt list --format=json | jq -e --argjson before "$before" '.[0] |
		.apps[0].started_at > $before and
		.apps[0].created_at < $before and
		.started_at * 1e9 <= $before'
}

@test "killed between the commit and writing the pod manifest" {
	version 1
	version 2
	serve tcp4:80
	cp "$pod/pod" "$D/before"
	update --observe=50ms --image="$D/2.aci"
	expect_status 0
	manifest_is_committed
	cmp -s "$pod/pod" "$D/before" && fail "pod was not written"
	cp "$D/before" "$pod/pod"
	manifest_is_committed
	rkt list --format=json | jq -e --arg id \
		"$(cat "$pod/appsinfo/inside/treeStoreID")" \
		'.[0].apps[0].image_id == $id'
}

@test "stage1 killed at each step of an update: rkt start settles it" {
	skip_without strace
	# LeakSanitizer cannot work below a tracer.
	export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
	version 1
	version 2
	n=1
	while [ "$n" -lt 60 ]; do
		serve tcp4:80
		strace -qq -o /dev/null -e trace=fsync,renameat,symlinkat,unlinkat \
			-e inject=fsync,renameat,symlinkat,unlinkat:signal=SIGKILL:when=$n \
			-p "$(supervisor)" 2>"$D/strace" &
		tracer=$!
		wait_for 5 sh -c "grep -q 'TracerPid:.*[1-9]' /proc/$(supervisor)/status"
		update --observe=50ms --image="$D/2.aci"
		code=$status
		if [ "$code" = 0 ]; then
			kill "$tracer" 2>/dev/null || true
			wait "$tracer" || true
			[ "$(generations)" = "1 2" ] || fail "$(generations)"
			break
		fi
		[ "$code" = 254 ] || fail "call $n: $code: $output"
		wait "$tracer" || true
		wait_for 10 pod_is web exited
		manifest_is_committed
		run rkt start --detach web
		expect_status 0
		settled "$n"
		wait_for 10 sh -c "tail -1 $pod/logs/inside | grep -q serving="
		run rkt stop --force web
		wait_for 10 pod_is web exited
		run rkt rm web
		expect_status 0
		n=$((n + 1))
	done
	[ "$n" -gt 10 ] || fail "only $n calls"
	echo "# ${BATS_TEST_DESCRIPTION}: $((n - 1)) kills" >&3
}

# --- the control socket ---------------------------------------------------------

@test "the control socket: garbage, floods and strangers change nothing" {
	serve tcp4:80
	version 2
	load_begin load 127.0.0.1 80 /
	cat >"$D/ask.py" <<-"EOP"
		import array, os, random, socket, struct, sys
		os.chdir(sys.argv[1])
		def connect():
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect("control")
		    s.settimeout(5)
		    return s
		def record(op, version=3, app=b"inside", generation=2, flags=0,
		        reserved=0, who=b"test"):
		    return struct.pack("<IIIIQQQII", version, op, generation, 1,
		        1000, 100, 1000, flags, reserved) + \
		        app.ljust(256, b"\0") + who.ljust(64, b"\0") + \
		        bytes(16 + 1024)
		def ask(data, fds=()):
		    s = connect()
		    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
		            array.array("i", fds))] if fds else []
		    try:
		        s.sendmsg([data], anc)
		        return s.recv(4096)
		    except (ConnectionError, BrokenPipeError):
		        return b""
		null = os.open("/dev/null", os.O_RDONLY)
		supervisor = sys.argv[2]
		def n_open():
		    return len(os.listdir("/proc/%s/fd" % supervisor))
		before = n_open()
		random.seed(1)
		bad = [b"x", record(1)[:-1], record(1) + b"x", record(1) * 100,
		       record(1, version=1), record(0), record(99), record(3),
		       record(3, app=b"../x"), record(3, app=b"a" * 256),
		       record(3, who=b"a" * 64)]
		bad += [random.randbytes(368) for _ in range(100)]
		for data in bad:
		    assert ask(data) == b"", data[:16]
		for n in (1, 2, 3, 200):
		    assert ask(record(1), [null] * n) == b"", n
		    if n > 1:
		        assert ask(record(3), [null] * n) == b"", n
		assert ask(record(3, flags=16), [null]) == b""
		assert ask(record(1, reserved=1)) == b""
		# Back to what never served.
		assert b"never served" in ask(record(3, flags=1), [null])
		# A tree that is none.
		assert ask(record(3), [null]) != b""
		idle = [connect() for _ in range(300)]
		assert b"idle" in ask(record(1))
		for s in idle[:150]:
		    s.close()
		assert b"idle" in ask(record(1))
		# Half-dead askers: they never read.
		lazy = []
		for _ in range(200):
		    s = connect()
		    s.send(record(1))
		    lazy.append(s)
		assert b"idle" in ask(record(1))
		pid = os.fork()
		if pid == 0:
		    os.setresgid(65534, 65534, 65534)
		    os.setresuid(65534, 65534, 65534)
		    try:
		        connect()
		    except PermissionError:
		        os._exit(0)
		    os._exit(1)
		assert os.waitpid(pid, 0)[1] == 0
		# Through an open door, too.
		os.chmod("control", 0o666)
		pid = os.fork()
		if pid == 0:
		    os.setresgid(65534, 65534, 65534)
		    os.setresuid(65534, 65534, 65534)
		    try:
		        os._exit(1 if ask(record(1)) else 0)
		    except OSError:
		        os._exit(0)
		assert os.waitpid(pid, 0)[1] == 0
		for s in idle[150:] + lazy:
		    s.close()
		assert b"idle" in ask(record(1))
		assert n_open() <= before + 1, (before, n_open())
		print("survived")
	EOP
	run python3 "$D/ask.py" "$pod" "$(supervisor)"
	expect_status 0
	expect_output survived
	update --image="$D/2.aci"
	expect_status 0
	load_end
	all_answered
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

@test "nginx, five rounds: nobody refused, nothing cut off" {
	skip_without nginx
	two_versions nginx-1
	real nginx-1 80
	load_begin load 127.0.0.1 80 /version
	rounds 5
	all_answered
	[ "$(load_value load body.2)" -gt 0 ]
}

@test "nginx on the default network, there and back" {
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

@test "nginx as www-data: its listening sockets belong to its user" {
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
	nobody_refused
	[ "$(load_value load body.2)" -gt 0 ]
}

@test "redis: IPv4 and IPv6, its data in a volume" {
	skip_without redis-server
	two_versions redis
	real redis 6379 --volume=data,kind=empty,uid=0,gid=0
	load_begin a --ping 127.0.0.1 6379 /
	load_begin b --ping ::1 6379 /
	rounds 2
	nobody_refused a b
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
	nobody_refused
	[ "$(load_value load body.2)" -gt 0 ]
}
