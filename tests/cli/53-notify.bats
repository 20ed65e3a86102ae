#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sd_notify(3), the fd store and socketActivated ports: what apps tell their
# pod, and what their pod keeps for them.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib

setup_file() {
	mkdir -p "$F/py"
	"$TESTS/images/build-images.sh" "$F" python redis >&2
	tar -C "$F/py" -xf "$F/python.aci"
	cp "$BATS_TEST_DIRNAME/notify.py" "$F/py/rootfs/srv/notify.py"
	tar -C "$F" -xf "$F/redis.aci" --one-top-level=redis
}

# version N [JQ [NAME]]: $D/N.aci, whose app is notify.py with VERSION=N.
version() {
	jq --arg version "$1" '.labels[0].value = $version + ".0.0"
		| .name = "example.com/notify"
		| .app.exec = ["/usr/bin/python3", "-I", "/srv/notify.py"]
		| .app.environment = [{name: "VERSION", value: $version}]
		| .app.ports = []
		| '"${2:-.}" "$F/redis/manifest" >"$F/py/manifest"
	jq 'del(.app.mountPoints)' "$F/py/manifest" >"$F/py/m"
	mv "$F/py/m" "$F/py/manifest"
	"$ACTOOL" build --overwrite "$F/py" "$D/$1.aci"
}

# annotated NAME VALUE [NAME VALUE]...: the jq of these annotations.
annotated() {
	local jq='.annotations = ['
	while [ $# -gt 0 ]; do
		jq+="{name: \"$1\", value: \"$2\"},"
		shift 2
	done
	echo "${jq%,}]"
}

TELLS=(appc.io/executor/supports-systemd-notify true)
PORT='.app.ports = [{name: "http", protocol: "tcp", port: 80, socketActivated: true}]'

# begin IMAGE [OPTION... --] [ACTION...]: a pod named web in the background.
begin() {
	detach_inside --net="${NET:-none}" --pod-name=web "$D/$1.aci" "${@:2}"
	pod=$D/data/pods/run/$uuid
	pid=$(cat "$pod/pid")
}

logged() {
	pod_logged "$uuid" notify "$1"
}

status_has() {
	rkt status "$uuid" | grep -qxF "$1"
}

# ask [TEXT]: what the pod's port 80 answers.
ask() {
	nsenter --net="/proc/$pid/ns/net" timeout 10 \
		nc -N "${2:-127.0.0.1}" 80 <<<"${1:-hello}"
}

# --- telling -----------------------------------------------------------------

@test "any user of an app can tell, on a read-only root, on the host's network" {
	version 1
	begin 1 --user=1234 --group=1234 --readonly-rootfs=true -- \
		'say=STATUS=all is well' sleep=60
	wait_for 5 status_has 'status-notify=all is well'
	status_has ready-notify=false
	run rkt status --format=json "$uuid"
	[ "$(jq -r '.apps[0].status' <<<"$output")" = 'all is well' ]
	rkt stop --force web
	rkt rm web
	NET=host begin 1 -- 'say=READY=1' 'say=STATUS=hi' sleep=60
	wait_for 5 status_has status-notify=hi
	wait_for 5 status_has ready-notify=true
}

@test "what an app says is fit for a terminal" {
	version 1
	begin 1 -- "say=STATUS=a"$'\033'"[31mb"$'\xe2\x80\xae'"c" sleep=60
	wait_for 5 status_has 'status-notify=a?[31mb?c'
}

@test "nobody else is believed, and a barrier says when all was heard" {
	version 1 "$(annotated "${TELLS[@]}")"
	begin 1 -- print=up sleep=60
	wait_for 5 logged up
	app=$(cat "$pod/appsinfo/notify/pid")
	# By the very same node, from outside its cgroup.
	run python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
s.send(b"READY=1\nSTATUS=lies")
print("sent")' "/proc/$app/root/dev/notify"
	expect_output sent
	# Heard after it.
	run rkt enter web /usr/bin/python3 -I /srv/notify.py barrier \
		say=STATUS=entered barrier print=done
	expect_output "done"
	wait_for 5 status_has status-notify=entered
	status_has ready-notify=false
	[ ! -e "$pod/supervisor-status" ]
}

@test "what enters is not asked to tell, the app is" {
	version 1
	begin 1 -- env=NOTIFY_SOCKET sleep=60
	wait_for 5 logged NOTIFY_SOCKET=/dev/notify
	run rkt enter web /usr/bin/python3 -I /srv/notify.py \
		env=NOTIFY_SOCKET env=VERSION
	expect_output NOTIFY_SOCKET=unset VERSION=1
}

@test "a pod is ready when its app says so" {
	version 1 "$(annotated "${TELLS[@]}")"
	begin 1 -- print=up sleep=1 'say=READY=1' sleep=60
	wait_for 5 logged up
	run rkt status --wait-ready=200ms web
	expect_status 254
	expect_output "timed out waiting"
	run rkt status --wait-ready=10s web
	expect_status 0
	expect_output ready-notify=true
}

@test "without the annotation nobody waits" {
	version 1
	begin 1 -- sleep=60
	run rkt status --wait-ready=5s web
	expect_status 0
	expect_no_output ready-notify
}

@test "the host's service manager hears of the pod, its app does not see it" {
	version 1 "$(annotated "${TELLS[@]}")"
	timeout 30 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    text = s.recv(4096).decode()
    print(text, flush=True)
    if "STOPPING" in text:
        break' "$D/host" >"$D/heard" &
	listener=$!
	wait_for 5 test -S "$D/host"
	export NOTIFY_SOCKET=$D/host
	begin 1 -- sleep=0.5 'say=READY=1\nSTATUS=x' sleep=60
	[ ! -s "$D/heard" ]
	rkt status --wait-ready=10s web
	wait_for 5 grep -qx READY=1 "$D/heard"
	rkt stop web
	wait "$listener"
	grep -qx STOPPING=1 "$D/heard"
	grep -qx 'MAINPID=[0-9]*' "$D/heard"
	[ "$(grep -c STATUS= "$D/heard")" = 0 ]
}

@test "MAINPID: the end of the process it names is the app's" {
	version 1
	run_rkt run --net=none "$D/1.aci" -- fork sleep=0.5 print=child exit=5
	expect_status 5
	expect_output child
	# Only a process of the app: 1 is pod init.
	run_rkt run --net=none "$D/1.aci" -- say=MAINPID=1 barrier exit=6
	expect_status 6
	expect_output "MAINPID=1 is no process of it"
}

@test "MAINPID: it is the one that is stopped, and that is entered" {
	version 1
	begin 1 -- fork print=child keep=x sleep=60
	wait_for 5 logged child
	run rkt enter web /usr/bin/python3 -I /srv/notify.py print=inside
	expect_output inside
	rkt stop web
	run rkt status --wait=5s web
	expect_output app-notify=0
}

@test "watchdog: who does not ping in time is aborted" {
	version 1 "$(annotated rkt.io/watchdog 400ms)"
	run_rkt run --net=none "$D/1.aci" -- child-ping=10 sleep=30
	expect_status 134
	expect_output "it has not pinged in time"
	# The app chooses another time, or asks for it.
	run_rkt run --net=none "$D/1.aci" -- say=WATCHDOG_USEC=60000000 \
		sleep=0.7 exit=3
	expect_status 3
	run_rkt run --net=none "$D/1.aci" -- say=WATCHDOG=trigger sleep=30
	expect_status 134
}

# --- the fd store ------------------------------------------------------------

@test "what is stored comes back after an update and a rollback, and nothing else" {
	version 1
	version 2
	begin 1 -- fds show keep=state print=up sleep=60
	wait_for 5 logged up
	logged have=0,1,2
	logged names=
	for round in "2 state:1" "1 state:1,state:2"; do
		case $round in
		2*) run_rkt update --observe=100ms --image="$D/2.aci" web ;;
		*) run_rkt rollback --observe=100ms web ;;
		esac
		expect_status 0
	done
	wait_for 5 logged state:2
	run pod_log "$uuid" notify
	expect_output $'have=0,1,2,3\nnames=state\nstate:1\nup' \
		$'have=0,1,2,3,4\nnames=state,state\nstate:1\nstate:2\nup'
}

@test "a store has room for as many as the image says" {
	version 1 "$(annotated rkt.io/fd-store-max 3)"
	version 2 "$(annotated rkt.io/fd-store-max 3)"
	begin 1 -- fds more=5 store=n1 remove=n0 barrier print=up sleep=60
	wait_for 5 logged up
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	run pod_log "$uuid" notify
	expect_output names=n1,n2
}

@test "what has lost its other end is forgotten" {
	version 1
	version 2
	begin 1 -- fds store-socket=a store-socket=b barrier \
		sleep=60
	sleep 0.5
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	# Both ends of the first process are gone with it.
	wait_for 5 sh -c "grep -c names= '$pod/logs/notify' | grep -qx 2"
	run pod_log "$uuid" notify
	[ "$(grep -c 'names=$' <<<"$output")" = 2 ]
}

# --- socketActivated ports ---------------------------------------------------

@test "a socketActivated port: one socket for both IPv4 and IPv6, and no other descriptor" {
	version 1 "$PORT"
	begin 1 --user=1234 --group=1234 -- fds serve
	wait_for 5 logged serving=1
	logged have=0,1,2,3
	logged names=http
	[ "$(ask)" = 1 ]
	[ "$(ask hello ::1)" = 1 ]
	# It is the app's user's.
	nsenter --net="/proc/$pid/ns/net" ss -Hltne | grep -q 'uid:1234'
}

@test "a range of ports, udp, and a port that cannot be" {
	version 1 '.app.ports = [
		{name: "range", protocol: "tcp", port: 80, count: 2, socketActivated: true},
		{name: "dns", protocol: "udp", port: 53, socketActivated: true},
		{name: "plain", protocol: "tcp", port: 99}]'
	run_rkt run --net=none "$D/1.aci" -- fds
	expect_status 0
	expect_output have=0,1,2,3,4,5 names=range,range,dns
	version 1 "${PORT/tcp/sctp}"
	run_rkt run --net=none "$D/1.aci" -- fds
	expect_status 254
	expect_output "protocol sctp cannot be socketActivated"
}

@test "stored descriptors come after the sockets of ports" {
	version 1 "$PORT"
	version 2 "$PORT"
	begin 1 -- fds store=state keep=last barrier serve
	wait_for 5 logged serving=1
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	wait_for 5 logged names=http,state,last
	logged have=0,1,2,3,4,5
}

@test "nobody is refused while a socketActivated app is updated and rolled back" {
	version 1 "$PORT"
	version 2 "$PORT"
	begin 1 -- fds serve
	wait_for 5 logged serving=1
	(
		for _ in $(seq 100); do
			ask || echo refused
			sleep 0.02
		done
	) >"$D/answers" &
	asking=$!
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	run_rkt rollback --observe=100ms web
	expect_status 0
	wait "$asking"
	sort "$D/answers" | uniq -c
	[ "$(grep -c '^[12]$' "$D/answers")" = 100 ]
	grep -qx 2 "$D/answers"
	run pod_log "$uuid" notify
	[ "$(grep -c have=0,1,2,3$ <<<"$output")" = 3 ]
}

@test "a port the new version does not have is closed" {
	version 1 "$PORT"
	version 2
	begin 1 -- print=up sleep=60
	wait_for 5 logged up
	nsenter --net="/proc/$pid/ns/net" ss -Hltn | grep -q :80
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	[ -z "$(nsenter --net="/proc/$pid/ns/net" ss -Hltn)" ]
}

# ask_for_long N: what N clients, one after the other, were answered.
ask_for_long() {
	for _ in $(seq "$1"); do
		ask || echo refused
		sleep 0.02
	done >"$D/answers"
}

@test "a crash refuses nobody: who connects waits for the next process" {
	version 1 "$PORT | $(annotated rkt.io/restart always rkt.io/restart/delay 300ms)"
	begin 1 -- fds serve
	wait_for 5 logged serving=1
	ask_for_long 60 &
	asking=$!
	for _ in 1 2; do
		sleep 0.4
		[ -z "$(ask crash)" ]
	done
	wait "$asking"
	sort "$D/answers" | uniq -c
	[ "$(grep -c '^1$' "$D/answers")" = 60 ]
	run pod_log "$uuid" notify
	[ "$(grep -c have=0,1,2,3$ <<<"$output")" = 3 ]
	[ "$(grep -c names=http$ <<<"$output")" = 3 ]
}

@test "a crash leaves the fd store as it was" {
	version 1 "$(annotated rkt.io/restart on-failure)"
	begin 1 -- fds store=a store=b remove=a barrier sleep=0.2 exit=3
	wait_for 10 logged names=b,b
	logged have=0,1,2,3
}

@test "a port of an app that is over is not a black hole" {
	version 1 "$PORT"
	image_inside "$D/stays.aci"
	uuid=$(rkt --insecure-options=image run --detach --net=none \
		--pod-name=web "$D/1.aci" -- sleep=1 exit=0 \
		--- "$D/stays.aci" -- sleep 60 | tail -1)
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	nsenter --net="/proc/$pid/ns/net" ss -Hltn | grep -q :80
	wait_for 5 sh -c "[ -z \"\$(nsenter --net=/proc/$pid/ns/net ss -Hltn)\" ]"
	pod_is "$uuid" running
}

# --- updates -----------------------------------------------------------------

@test "an update waits for READY=1, and does without watching" {
	version 1 "$(annotated "${TELLS[@]}")"
	version 2 "$(annotated "${TELLS[@]}")"
	begin 1 -- print=up sleep=0.7 say=READY=1 sleep=60
	rkt status --wait-ready=5s web
	SECONDS=0
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	status_has ready-notify=true
	status_has generation-notify=2
}

@test "both run in a handover, and the one that serves is shown" {
	version 1 "$(annotated "${TELLS[@]}")"
	version 2 "$(annotated "${TELLS[@]}")"
	begin 1 -- announce listen=80
	rkt status --wait-ready=5s web
	status_has 'status-notify=version 1'
	run_rkt update --strategy=handover --observe=100ms \
		--drain-timeout=1s --image="$D/2.aci" web
	expect_status 0
	wait_for 5 status_has 'status-notify=version 2'
	status_has ready-notify=true
}

@test "who has stored something is restarted: his last words are for the next" {
	version 1
	version 2
	begin 1 -- fds store=a keep=b barrier listen=80
	wait_for 5 logged serving=1
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	expect_output "what it stores when it ends"
	wait_for 5 logged names=a,b
}

@test "a version that never says READY=1 is rolled back" {
	version 1 "$(annotated "${TELLS[@]}")"
	version 2 "$(annotated "${TELLS[@]}") | .app.exec += [\"say=STATUS=not yet\", \"sleep=60\"]"
	begin 1 -- say=READY=1 sleep=60
	rkt status --wait-ready=5s web
	run_rkt update --observe=100ms --ready-timeout=1s --image="$D/2.aci" web
	expect_status 10
	expect_output "READY=1"
	wait_for 5 status_has ready-notify=true
	status_has generation-notify=1
}

# --- a real one ----------------------------------------------------------------

@test "redis says that it is ready" {
	cp -r "$F/redis" "$D/redis"
	jq "$(annotated "${TELLS[@]}")" "$F/redis/manifest" >"$D/redis/manifest"
	"$ACTOOL" build --owner-root "$D/redis" "$D/redis.aci"
	begin redis -- --supervised systemd
	run rkt status --wait-ready=10s web
	expect_status 0
	expect_output ready-redis=true "status-redis=Ready to accept connections"
}

# --- from the host's service manager ---------------------------------------------

# given NAMES PORT[,PORT]... OPTION...: rkt run OPTION with sockets at these
# ports of 127.0.0.1, as systemd gives them to a unit.
given() {
	python3 -c '
import os, socket, sys
for i, port in enumerate(sys.argv[2].split(",")):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(port)))
    s.listen()
    os.dup2(s.fileno(), 20 + i)
n = i + 1
for i in range(n):
    os.dup2(20 + i, 3 + i)
    os.close(20 + i)
os.environ.update(LISTEN_FDS=str(n), LISTEN_PID=str(os.getpid()),
    LISTEN_FDNAMES=sys.argv[1])
os.execvp(sys.argv[3], sys.argv[3:])' "$1" "$2" "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		--insecure-options=image run "${@:3}"
}

host_ask() {
	timeout 10 nc -N 127.0.0.1 "$1" <<<hello
}

@test "sockets of the host's service manager reach the ports of their names" {
	version 1 '.app.ports = [
		{name: "http", protocol: "tcp", port: 80, socketActivated: true},
		{name: "own", protocol: "tcp", port: 81, socketActivated: true},
		{name: "byport", protocol: "tcp", port: 8096, socketActivated: true}]'
	version 2 '.app.ports = [
		{name: "http", protocol: "tcp", port: 80, socketActivated: true}]'
	uuid=$(given http:other:x 8095,8096,8097 --detach --net=none \
		--pod-name=web "$D/1.aci" -- fds env=LISTEN_FDS serve)
	pod=$D/data/pods/run/$uuid
	wait_for 10 logged serving=1
	logged names=http,own,byport
	# The app is in a network of its own; a socket of its own is there, too.
	[ "$(host_ask 8095)" = 1 ]
	nsenter --net="/proc/$(cat "$pod/pid")/ns/net" ss -tlnH | grep -q ':81 '
	run nsenter --net="/proc/$(cat "$pod/pid")/ns/net" ss -tlnH
	expect_no_output ':80 ' ':8096 '
	# Nobody else has them: neither pod init nor what stage1 started.
	run rkt enter web /usr/bin/python3 -I /srv/notify.py env=LISTEN_FDS
	expect_output LISTEN_FDS=unset
	# They are the pod's, over updates.
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	wait_for 10 logged serving=2
	[ "$(host_ask 8095)" = 2 ]
	rkt stop web
	wait_for 10 pod_is web exited
	run host_ask 8095
	[ "$output" = "" ]
}

@test "a pod in the foreground gets them, too, and by systemd itself" {
	skip_without systemd-socket-activate
	version 1 "$PORT"
	systemd-socket-activate --listen=127.0.0.1:8098 --fdname=http \
		"$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image \
		run --net=none "$D/1.aci" -- fds serve >"$D/out" 2>&1 &
	activated=$!
	wait_for 10 sh -c "ss -tlnH | grep -q :8098"
	[ "$(host_ask 8098)" = 1 ] || fail "$(cat "$D/out")"
	kill "$activated"
	wait "$activated" || true
}

# --- shown ------------------------------------------------------------------------

@test "reloading, stopping, an error and a longer time are shown" {
	version 1 "$(annotated "${TELLS[@]}")"
	begin 1 -- 'say=READY=1' \
		'say=RELOADING=1\nMONOTONIC_USEC=5\nERRNO=2\nSTATUS=reading' \
		'say=BUSERROR=org.example.Failed' print=told sleep=60
	wait_for 5 logged told
	wait_for 5 status_has reloading-notify=true
	wait_for 5 status_has status-notify=reading
	wait_for 5 status_has errno-notify=2
	wait_for 5 status_has buserror-notify=org.example.Failed
	run rkt status --format=json web
	jq -e '.apps[0] | .reloading and .ready and .errno == 2
		and .buserror == "org.example.Failed"' <<<"$output"
}

@test "READY=1 ends a reload, EXTEND_TIMEOUT_USEC a timeout later" {
	version 1
	version 2 "$(annotated "${TELLS[@]}")"
	begin 1 -- print=up sleep=60
	wait_for 5 logged up
	jq -cn '["--", "say=EXTEND_TIMEOUT_USEC=20000000", "sleep=1.5",
		"say=RELOADING=1", "say=READY=1", "sleep=60"]' >"$pod/args/notify"
	run_rkt update --observe=100ms --ready-timeout=500ms \
		--image="$D/2.aci" web
	expect_status 0
	status_has ready-notify=true
	! status_has reloading-notify=true
}

@test "a listening socket in the fd store is the next version's" {
	version 1
	version 2
	begin 1 -- serve-stored=web:80
	wait_for 5 logged serving=1
	[ "$(ask)" = 1 ]
	timeout 60 sh -c "while ! [ -e '$D/end' ]; do
		nsenter --net=/proc/$pid/ns/net timeout 10 \
			nc -N 127.0.0.1 80 <'$D/1.aci' >/dev/null || echo refused
	done" >"$D/clients" 2>/dev/null &
	clients=$!
	run_rkt update --observe=100ms --image="$D/2.aci" web
	expect_status 0
	expect_output 'what it stores when it ends is for the one'
	wait_for 5 logged inherited=web
	[ "$(ask)" = 2 ]
	run_rkt rollback --observe=100ms web
	expect_status 0
	[ "$(ask)" = 1 ]
	touch "$D/end"
	wait "$clients"
	! grep -q refused "$D/clients"
}
