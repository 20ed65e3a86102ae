#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Ports of the host that are forwarded to a pod: by rules, and from ::1 by
# rkt-forward; whose they are, and for how long.
# shellcheck disable=SC2034,SC2154,SC2317 # variables and functions of bats and others

load lib
load network
load versions

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

setup() {
	setup_test
	skip_without cni
	skip_without iptables
	mkdir -p "$D/local/net.d"
	loads=()
	servers=()
	RUN=()
}

teardown() {
	local p
	for p in "${loads[@]}" "${servers[@]}"; do
		kill "$p" 2>/dev/null || true
	done
	far_end
	teardown_test
	ip link del br0 2>/dev/null || true
}

# idle PORT...: a pod that does nothing, with these --port.
idle() {
	detach_inside "${@/#/--port=}" "${NET[@]}" "$F/inside.aci" -- sleep 600
	pod=$D/data/pods/run/$uuid
	pid=$(cat "$pod/pid")
}

# in_pod COMMAND...: in its network, until the end of the test.
in_pod() {
	nsenter --net="/proc/$pid/ns/net" "$@" >>"$D/in_pod" 2>&1 3>&- &
	servers+=($!)
}

# listens PORT [-u]: somebody does in the pod
listens() {
	nsenter --net="/proc/$pid/ns/net" ss -Hln "${2:--t}" "sport = :$1" |
		grep -q .
}

ended() {
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
}

supervisor() {
	sed -n 's/^PPid:\t//p' "/proc/$pid/status"
}

# The rkt-forward of the pod, and nothing if there is none.
forwarder() {
	pgrep -P "$(supervisor)" -x rkt-forward
}

# says FROM TEXT [TIMEOUT]: what is sent to a UDP port comes back
says() {
	[ "$(echo "$2" | timeout 5 socat -t "${3:-2}" - "$1")" = "$2" ]
}

@test "::1: rkt-forward starts with the first client and has no rights" {
	detach_inside --port=17006:7006/tcp "$F/inside.aci" -- \
		listen 7006 from-pod
	wait_for 10 pod_logged "$uuid" inside listen=7006
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	! forwarder || fail "rkt-forward runs for nobody"
	for to in '[::1]' 127.0.0.1 localhost; do
		run timeout 5 socat -u "TCP:$to:17006" -
		[ "$output" = from-pod ] || fail "$to: $output"
	done
	forwarder=$(forwarder)
	run cat "/proc/$forwarder/status"
	expect_output $'Uid:\t65534\t65534\t65534\t65534' \
		$'Gid:\t65534\t65534\t65534\t65534' $'Groups:\t \n' \
		$'CapPrm:\t0000000000000000' $'CapBnd:\t0000000000000000' \
		$'NoNewPrivs:\t1' $'Seccomp:\t2'
	ended
	! kill -0 "$forwarder" 2>/dev/null || fail "rkt-forward is left"
	run timeout 5 socat -u 'TCP:[::1]:17006' -
	expect_output 'Connection refused'
	# Connections that have ended are in nobody's way.
	idle 17006:7006/tcp
	ended
	network_clean
}

@test "::1: whole streams, half-closed, and from many at a time" {
	head -c 30000000 /dev/urandom >"$D/data.in"
	sum=$(sha256sum <"$D/data.in")
	idle 17006:7006/tcp 17007:7007/tcp
	in_pod socat TCP-LISTEN:7006,fork,reuseaddr SYSTEM:sha256sum
	in_pod socat TCP-LISTEN:7007,fork,reuseaddr,backlog=300 EXEC:cat
	wait_for 10 listens 7006
	wait_for 10 listens 7007
	# The answer comes after our end.
	run timeout 60 socat -t 60 'TCP:[::1]:17006' - <"$D/data.in"
	[ "$output" = "$sum" ] || fail "$output"
	run python3 - "$D/data.in" <<-'END'
		import hashlib, socket, sys, threading, time
		data = open(sys.argv[1], "rb").read()
		# One that does not read: what it sent waits, and is all there.
		s = socket.create_connection(("::1", 17007))
		def send():
		    s.sendall(data)
		    s.shutdown(socket.SHUT_WR)
		t = threading.Thread(target=send)
		t.start()
		time.sleep(1)
		# Others do not wait for it.
		many = [socket.create_connection(("::1", 17007)) for i in range(200)]
		for i, c in enumerate(many):
		    c.sendall(b"%d\n" % i)
		for i, c in enumerate(many):
		    c.settimeout(30)
		    assert c.recv(100) == b"%d\n" % i
		for c in many:
		    c.close()
		got = hashlib.sha256()
		while True:
		    b = s.recv(1 << 16)
		    if not b:
		        break
		    got.update(b)
		t.join()
		assert got.digest() == hashlib.sha256(data).digest()
		print("whole")
	END
	[ "$output" = whole ] || fail "$output"
	# No connection is left, and so is no descriptor.
	closed() {
		[ "$(find "/proc/$(forwarder)/fd" -type l | wc -l)" -le 10 ]
	}
	wait_for 10 closed
	ended
	network_clean
}

@test "::1: what the app refuses or resets, the client hears" {
	idle 17006:7006/tcp 17007:7007/tcp
	in_pod python3 -c '
import socket, struct
s = socket.create_server(("0.0.0.0", 7007))
while True:
    c, _ = s.accept()
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()'
	wait_for 10 listens 7007
	for port in 17006 17007; do
		run python3 -c '
import socket, sys
s = socket.create_connection(("::1", int(sys.argv[1])))
s.settimeout(10)
try:
    s.sendall(b"x")
    print(s.recv(1))
except ConnectionError:
    print("reset")' "$port"
		[ "$output" = reset ] || fail "$port: $output"
	done
	# A client that resets is not the others' concern.
	python3 -c '
import socket, struct
for i in range(50):
    s = socket.create_connection(("::1", 17007))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()'
	# One that dies is started again.
	kill -9 "$(forwarder)"
	in_pod socat TCP-LISTEN:7006,fork,reuseaddr EXEC:'echo from-pod'
	wait_for 10 listens 7006
	answers() { [ "$(timeout 5 socat -u 'TCP:[::1]:17006' -)" = from-pod ]; }
	wait_for 10 answers
	ended
	network_clean
}

@test "UDP: from the host, from ::1 and from elsewhere" {
	far_begin
	idle 17053:53/udp 17053:53/tcp
	in_pod python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 53))
while True:
    data, who = s.recvfrom(65536)
    s.sendto(data, who)'
	wait_for 10 listens 53 -u
	says UDP:127.0.0.1:17053 by-v4
	says UDP:10.9.9.1:17053 by-address
	says 'UDP:[::1]:17053' by-v6
	says 'UDP:[::1]:17053' by-v6-again
	run ip netns exec far sh -c \
		'echo by-far | timeout 5 socat -t 2 - UDP:10.9.9.1:17053'
	[ "$output" = by-far ] || fail "$output"
	# Each client has its own answers.
	run python3 -c '
import socket
v = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for i in range(100)]
for i, s in enumerate(v):
    s.settimeout(10)
    s.sendto(b"%d" % i, ("::1", 17053))
print(sum(s.recv(100) == b"%d" % i for i, s in enumerate(v)))'
	[ "$output" = 100 ] || fail "$output"
	ended
	network_clean
}

@test "IPv6: from outside, from the host and from ::1, to a pod that has only that" {
	cat >"$D/local/net.d/10-six.conflist" <<-'END'
		{"cniVersion": "1.0.0", "name": "six", "plugins": [
		 {"type": "bridge", "bridge": "br0", "isGateway": true,
		  "ipMasq": true, "ipam": {"type": "host-local",
			"ranges": [[{"subnet": "fd00:9::/64"}]],
			"routes": [{"dst": "::/0"}]}},
		 {"type": "portmap", "capabilities": {"portMappings": true},
		  "snat": true}]}
	END
	far_begin
	ip addr add fd00:8::1/64 dev h0 nodad
	ip -n far addr add fd00:8::2/64 dev f0 nodad
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	detach_inside --net=six --port=17006:7006/tcp \
		--port='[fd00:8::1]:17007:7006/tcp' "$F/inside.aci" -- \
		listen 7006 from-pod
	wait_for 10 pod_logged "$uuid" inside listen=7006
	settled() { ! ip -6 addr | grep -q tentative; }
	wait_for 10 settled
	for to in '[::1]:17006' '[fd00:8::1]:17006' '[fd00:8::1]:17007'; do
		run timeout 5 socat -u "TCP:$to" -
		[ "$output" = from-pod ] || fail "$to: $output"
	done
	for port in 17006 17007; do
		run ip netns exec far timeout 5 \
			socat -u "TCP:[fd00:8::1]:$port" -
		[ "$output" = from-pod ] || fail "far $port: $output"
	done
	# That one is of one address.
	run timeout 5 socat -u 'TCP:[::1]:17007' -
	expect_output 'Connection refused'
	ended
	! nft list tables | grep rkt- || fail "tables left"
	network_clean
}

@test "NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT of app sandbox" {
	run_rkt app sandbox --detach --port=web:tcp:7006:127.0.0.1:17006 \
		--port=dns:udp:53:::1:17053
	expect_status 0
	uuid=${lines[-1]}
	pid=$(cat "$D/data/pods/run/$uuid/pid")
	in_pod socat TCP-LISTEN:7006,fork,reuseaddr EXEC:'echo from-pod'
	in_pod socat UDP-LISTEN:53,fork,reuseaddr EXEC:cat
	wait_for 10 listens 7006
	wait_for 10 listens 53 -u
	run timeout 5 socat -u TCP:127.0.0.1:17006 -
	[ "$output" = from-pod ] || fail "$output"
	says 'UDP:[::1]:17053' by-v6
	# Another address is free for others.
	run timeout 5 socat -u 'TCP:[::1]:17006' -
	expect_output 'Connection refused'
	ended
	network_clean
}

# taken FAMILY TYPE ADDRESS PORT: a program has it, and says so.
taken() {
	python3 -c '
import socket, sys, time
family, kind, addr, port = sys.argv[1:]
s = socket.socket(getattr(socket, family), getattr(socket, kind))
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if family == "AF_INET6" and addr != "dual":
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(("::" if addr == "dual" else addr, int(port)))
if kind == "SOCK_STREAM":
    s.listen()
print("bound", flush=True)
time.sleep(600)' "$@" >"$D/taken" 2>&1 3>&- &
	servers+=($!)
	wait_for 10 grep -q . "$D/taken"
}

freed() {
	kill "${servers[-1]}" 2>/dev/null || true
	wait "${servers[-1]}" || true
	unset 'servers[-1]'
}

@test "a port that a program has: one error, and nothing starts" {
	while IFS='|' read -r program port want; do
		# shellcheck disable=SC2086 # words
		taken $program
		grep -q bound "$D/taken"
		run_rkt run --port="$port" "$F/inside.aci" -- echo started
		if [ -n "$want" ]; then
			expect_status 254
			expect_output "stage1: port $want of the host is in use"
			expect_no_output started
		else
			expect_status 0
			expect_output started
		fi
		freed
		rkt gc --grace-period=0s
		network_clean
		[ -z "$(find "$D/data/pods" -mindepth 2 -maxdepth 2)" ]
	done <<-'END'
		AF_INET SOCK_STREAM 0.0.0.0 17006|17006:1/tcp|tcp-0.0.0.0:17006
		AF_INET SOCK_STREAM 127.0.0.1 17006|17006:1/tcp|tcp-0.0.0.0:17006
		AF_INET SOCK_STREAM 127.0.0.1 17006|127.0.0.1:17006:1|tcp-127.0.0.1:17006
		AF_INET SOCK_STREAM 127.0.0.1 17006|127.0.0.2:17006:1|
		AF_INET SOCK_STREAM 0.0.0.0 17006|17006:1/udp|
		AF_INET SOCK_DGRAM 0.0.0.0 17006|17006:1/udp|udp-0.0.0.0:17006
		AF_INET SOCK_DGRAM 0.0.0.0 17006|17006:1/tcp|
		AF_INET6 SOCK_STREAM ::1 17006|17006:1/tcp|tcp-0.0.0.0:17006
		AF_INET6 SOCK_STREAM :: 17006|0.0.0.0:17006:1/tcp|
		AF_INET6 SOCK_STREAM dual 17006|0.0.0.0:17006:1/tcp|tcp-0.0.0.0:17006
		AF_INET6 SOCK_DGRAM ::1 17006|[::1]:17006:1/udp|udp-[::1]:17006
	END
}

@test "a port that a pod has: nobody else gets it until the pod ends" {
	idle 17006:7006/tcp 127.0.0.1:17007:7007/udp
	while read -r port want; do
		run_rkt run --port="$port" "$F/inside.aci" -- echo started
		expect_no_output started
		expect_status 254
		expect_output "port $want of the host is in use"
	done <<-'END'
		17006:1/tcp tcp-0.0.0.0:17006
		127.0.0.1:17006:1/tcp tcp-127.0.0.1:17006
		[::1]:17006:1/tcp tcp-[::1]:17006
		17007:1/udp udp-0.0.0.0:17007
	END
	for program in 'AF_INET SOCK_STREAM 0.0.0.0 17006' \
		'AF_INET6 SOCK_STREAM :: 17006' \
		'AF_INET6 SOCK_STREAM ::1 17006' \
		'AF_INET SOCK_DGRAM 127.0.0.1 17007'; do
		# shellcheck disable=SC2086 # words
		taken $program
		grep -q 'Address already in use' "$D/taken" || fail "$program"
		freed
	done
	ended
	taken AF_INET6 SOCK_STREAM dual 17006
	grep -q bound "$D/taken"
	network_clean
}

@test "two pods that ask for a port at once: one gets it, each of 20 times" {
	run_rkt fetch "$F/inside.aci"
	id=${lines[-1]}
	for i in {1..20}; do
		for which in a b; do
			"$RKT" --dir="$D/data" --insecure-options=image run \
				--port=17006:7006/tcp --detach "$id" \
				-- sleep 600 >"$D/$which" 2>"$D/$which.err" \
				3>&- &
			eval "$which=\$!"
		done
		r=0 s=0
		wait "$a" || r=$?
		wait "$b" || s=$?
		[ $((r + s)) = 254 ] && [ "$r" != "$s" ] ||
			fail "$i: $r and $s: $(cat "$D"/[ab].err)"
		cat "$D"/[ab].err >"$D/err"
		[ "$(grep -c 'of the host is in use' "$D/err")" = 1 ] ||
			fail "$i: $(cat "$D/err")"
		uuid=$(cat "$D/a" "$D/b")
		rkt stop --force "$uuid"
		wait_for 10 pod_is "$uuid" exited
	done
	rkt gc --grace-period=0s
	network_clean
}

@test "stage1 killed: its ports are free, and a new start has them" {
	idle 17006:7006/tcp
	timeout 5 socat -u 'TCP:[::1]:17006' - || true
	forwarder=$(forwarder)
	kill -9 "$(supervisor)"
	wait_for 10 pod_is "$uuid" exited
	gone() { ! kill -0 "$forwarder" 2>/dev/null; }
	wait_for 10 gone
	run_rkt start --detach "$uuid"
	expect_status 0
	ended
	rkt gc --grace-period=0s
	network_clean
}

@test "stage1 killed: who takes its port undoes what it left" {
	idle 17006:7006/tcp
	dead=$uuid
	kill -9 "$(supervisor)"
	wait_for 10 pod_is "$dead" exited
	[ -L "/run/rkt/ports/tcp-17006-$dead" ]
	# One of another port does not.
	idle 17007:7006/tcp
	ended
	[ -L "/run/rkt/ports/tcp-17006-$dead" ]
	[ -e "/run/netns/rkt-$dead" ]
	# Not even where gc has moved it to.
	rkt gc --mark-only
	detach_inside --port=17006:7006/tcp "$F/inside.aci" -- \
		listen 7006 from-next
	wait_for 10 pod_logged "$uuid" inside listen=7006
	for to in '[::1]' 127.0.0.1; do
		run timeout 5 socat -u "TCP:$to:17006" -
		[ "$output" = from-next ] || fail "$to: $output"
	done
	[ ! -e "/run/netns/rkt-$dead" ]
	[ "$(find /run/rkt/ports -type l -printf %f)" = "tcp-17006-$uuid" ]
	rkt gc --grace-period=0s
	run timeout 5 socat -u 'TCP:127.0.0.1:17006' -
	[ "$output" = from-next ] || fail "$output"
	ended
	[ -z "$(find /run/rkt/ports -type l)" ]
	rkt gc --grace-period=0s
	network_clean
}

@test "another stage1 goes on: the ports stay, and so do connections" {
	mkdir -p "$F/next/bin" "$F/next/libexec/rkt"
	cp "$RKT" "$F/next/bin/rkt"
	cp "$(dirname "$RKT")"/../libexec/rkt/* "$F/next/libexec/rkt/"
	cp --remove-destination "$BUILD/tests/stage1-next" \
		"$F/next/libexec/rkt/stage1"
	idle 17006:7006/tcp
	in_pod socat TCP-LISTEN:7006,fork,reuseaddr EXEC:cat
	wait_for 10 listens 7006
	next() { "$F/next/bin/rkt" --dir="$D/data" update --runtime "$uuid"; }
	# One while nothing runs, one through it.
	mkfifo "$D/to"
	exec {to}<>"$D/to"
	socat "PIPE:$D/to" 'TCP:[::1]:17006' >"$D/kept" 2>&1 3>&- &
	servers+=($!)
	wait_for 10 forwarder
	before=$(forwarder)
	run next
	expect_status 0
	expect_output 'went on as stage1'
	[ "$(forwarder)" = "$before" ]
	run sh -c "echo still-here | timeout 5 socat -t 2 - 'TCP:[::1]:17006'"
	[ "$output" = still-here ] || fail "$output"
	run_rkt run --port=17006:1/tcp "$F/inside.aci" -- echo started
	expect_status 254
	expect_output 'of the host is in use'
	# It is this stage1's now: it starts another, and ends it.
	kill -9 "$before"
	answers() {
		[ "$(echo x | timeout 5 socat -t 2 - 'TCP:[::1]:17006')" = x ]
	}
	wait_for 10 answers
	after=$(forwarder)
	[ "$after" != "$before" ]
	ended
	! kill -0 "$after" 2>/dev/null || fail "rkt-forward is left"
	exec {to}>&-
	network_clean
}

@test "rkt-forward is for stage1 alone" {
	local program=$BUILD/libexec/rkt/rkt-forward
	for words in '' '1' '1 127.0.0.1' 'x 127.0.0.1 tcp:1' '1 x tcp:1' \
		'1 127.0.0.1 sctp:1' '1 127.0.0.1 tcp:0' '1 ::1 tcp:65536' \
		'1 ::1 tcp:1 udp'; do
		# shellcheck disable=SC2086 # words
		run timeout 10 "$program" $words
		expect_status 254
		expect_output 'rkt-forward is started by rkt: PARENT'
	done
	# It does not outlive who it was started by.
	run timeout 10 "$program" 1 127.0.0.1 tcp:1
	expect_status 254
	expect_output 'who started it is gone'
}

@test "an update under load, through every way in: nothing refused or reset" {
	version 1
	version 2
	far_begin
	detach_inside --pod-name=web --port=17006:7006/tcp "$D/1.aci" -- \
		serve tcp4:7006
	wait_for 10 pod_logged "$uuid" inside serving=1
	for to in ::1 127.0.0.1 10.9.9.1; do
		"$BUILD/tests/load" --workers=2 --rate=100 "$to" 17006 / \
			>"$D/$to.load" 3>&- &
		loads+=($!)
	done
	ip netns exec far "$BUILD/tests/load" --workers=2 --rate=100 \
		10.9.9.1 17006 / >"$D/far.load" 3>&- &
	loads+=($!)
	for v in 2 1 2; do
		run_rkt update --strategy=handover --observe=200ms \
			--allow-downgrade --image="$D/$v.aci" web
		expect_status 0
	done
	load_end
	for name in ::1 127.0.0.1 10.9.9.1 far; do
		for key in refused reset timeout other lost; do
			[ "$(load_value "$name" "$key")" = 0 ] ||
				fail "$name: $(cat "$D/$name.load")"
		done
		[ "$(load_value "$name" body.2)" -gt 0 ]
	done
	ended
	network_clean
}
