#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --net=none, --net=host and the default network, set up and torn down.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

rkt_run() {
	run --separate-stderr "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		--insecure-options=image run "$@"
}

# No interface, namespace, firewall rule or lease of a pod.
network_clean() {
	[ "$(ip -o link | wc -l)" = 1 ] || fail "$(ip -o link)"
	[ -z "$(find /run/netns -mindepth 1 2>/dev/null)" ] || fail "netns left"
	# portmap keeps three chains of its own once it has been used.
	! iptables-save 2>/dev/null |
		grep -E 'CNI-([DS]N-|[0-9a-f]{24})|RKT' || fail "rules left"
	! nft list tables | grep rkt- || fail "nf_tables table left"
	[ -z "$(find /var/lib/cni -type f -name '[0-9]*' 2>/dev/null)" ] ||
		fail "leases left"
}

@test "none: only lo" {
	rkt_run --net=none "$F/inside.aci" -- print-net
	expect_status 0
	[ "$(grep -o 'if=.*' <<<"$output")" = if=lo ]
	expect_value ip.lo 127.0.0.1
}

@test "host: the host's interfaces" {
	rkt_run --net=host "$F/inside.aci" -- print-ns
	expect_status 0
	expect_value ns.net "$(readlink /proc/self/ns/net)"
}

@test "host: no abstract socket of the host is reachable from elsewhere" {
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("\0rkt-test-shim")
s.listen()
time.sleep(60)' &
	server=$!
	wait_for 5 grep -q @rkt-test-shim /proc/net/unix
	rkt_run --net=none "$F/inside.aci" -- connect-abstract rkt-test-shim
	expect_value connect-abstract.error ECONNREFUSED
	kill "$server"
	# stage1 itself must not have an abstract socket on the host network.
	before=$(grep -c '@' /proc/net/unix || true)
	detach_inside --net=host "$F/inside.aci" -- sleep 60
	[ "$(grep -c '@' /proc/net/unix || true)" -le "$before" ]
}

@test "default: address, route, traffic to the host, then nothing left" {
	skip_without cni
	skip_without iptables
	python3 -c '
import socket
s = socket.create_server(("0.0.0.0", 7001))
while True:
    c, _ = s.accept()
    c.sendall(b"from-host\n")
    c.close()' &
	server=$!
	wait_for 10 grep -q ':1B59 .* 0A ' /proc/net/tcp
	rkt_run "$F/inside.aci" -- print-net and connect 172.16.28.1 7001
	kill "$server"
	expect_status 0
	[[ $(value ip.eth0) == 172.16.28.* ]] || fail "$output"
	expect_output connect=ok received=from-host
	run rkt gc --grace-period=0s
	network_clean
}

@test "default: rkt list and status show it, the host reaches the pod" {
	skip_without cni
	skip_without iptables
	detach_inside "$F/inside.aci" -- listen 7002 from-pod
	wait_for 10 pod_logged "$uuid" inside listen=7002
	run rkt list --full
	expect_output default:ip4=172.16.28.
	run rkt status "$uuid"
	expect_output networks=default:ip4=172.16.28.
	ip=$(sed -n 's/^networks=.*ip4=\([0-9.]*\).*/\1/p' <<<"$output")
	run "$INSIDE" connect "$ip" 7002
	expect_output received=from-pod
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	rkt gc --grace-period=0s
	network_clean
}

# A host behind this one that knows no way back to 172.16.28.0/24.
@test "default: traffic to elsewhere is masqueraded" {
	skip_without cni
	skip_without iptables
	ip netns add far
	ip link add h0 type veth peer name f0 netns far
	ip addr add 10.9.9.1/30 dev h0
	ip link set h0 up
	ip -n far addr add 10.9.9.2/30 dev f0
	ip -n far link set f0 up
	ip netns exec far "$INSIDE" listen 7004 from-far >"$D/far" &
	server=$!
	wait_for 10 grep -q listen=7004 "$D/far"
	rkt_run "$F/inside.aci" -- connect 10.9.9.2 7004
	kill "$server" || true
	ip netns del far
	ip link del h0 2>/dev/null || true
	expect_status 0
	expect_output received=from-far
	network_clean
}

@test "--port: the pod's port on 127.0.0.1 and on the host's addresses" {
	skip_without cni
	skip_without iptables
	image_inside "$D/port.aci" \
		'.app.ports=[{name:"web",protocol:"tcp",port:7005}]'
	detach_inside --port=web:17005 "$D/port.aci" -- listen 7005 from-pod
	wait_for 10 pod_logged "$uuid" inside listen=7005
	run "$INSIDE" connect 127.0.0.1 17005
	expect_output received=from-pod
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	run "$INSIDE" connect 127.0.0.1 17005
	expect_no_output received=from-pod
	network_clean
}

@test "--port: a port no image names, by its number (row 15)" {
	skip_without cni
	skip_without iptables
	detach_inside --port=17006:7006/tcp --port=127.0.0.1:17007:7006 \
		--port=17006:53/udp "$F/inside.aci" -- listen 7006 from-pod
	wait_for 10 pod_logged "$uuid" inside listen=7006
	for port in 17006 17007; do
		run "$INSIDE" connect 127.0.0.1 "$port"
		expect_output received=from-pod
	done
	output=$(iptables-save -t nat)
	expect_output '-p udp -m udp --dport 17006 -j DNAT'
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	network_clean
	# What is wrong is found before anything starts.
	while IFS='|' read -r port want; do
		run_rkt run --port=17006:1/tcp --port="$port" "$F/inside.aci"
		expect_status 254
		expect_output "$want"
	done <<-'EOF'
		17006:2/tcp|port tcp-0.0.0.0:17006 already mapped to pod port 1
		127.0.0.1:17006:2|already mapped to pod port 1
		80:80/sctp|protocol 'sctp' is neither tcp nor udp
		8080:80|(a port by its number is "8080:80/tcp")
		8080/tcp|a port of the pod is missing
	EOF
}

@test "default: two pods have two addresses and reach each other" {
	skip_without cni
	skip_without iptables
	detach_inside "$F/inside.aci" -- listen 7003 from-first
	first=$uuid
	wait_for 10 pod_logged "$first" inside listen=7003
	ip=$(rkt status "$first" |
		sed -n 's/^networks=.*ip4=\([0-9.]*\).*/\1/p')
	rkt_run "$F/inside.aci" -- print-net and connect "$ip" 7003
	expect_status 0
	expect_output received=from-first
	[ "$(value ip.eth0)" != "$ip" ]
}

@test "default: torn down after kill -9 and gc" {
	skip_without cni
	skip_without iptables
	"$RKT" --dir="$D/data" --insecure-options=image run \
		--uuid-file-save="$D/uuid" "$F/inside.aci" -- ready and \
		sleep 60 >"$D/out" 2>&1 &
	pid=$!
	wait_for 10 grep -q ready=1 "$D/out"
	kill -9 "$pid"
	wait "$pid" || true
	wait_for 10 pod_is "$(cat "$D/uuid")" exited
	rkt gc --grace-period=0s
	network_clean
}

@test "an unknown network is an error and starts nothing" {
	rkt_run --net=nowhere "$F/inside.aci" -- echo started
	expect_status 254
	case $stderr in *'networks not found: nowhere'*) ;; *) fail "$stderr" ;; esac
	expect_no_output started
	rkt gc --grace-period=0s --expire-prepared=0s
	network_clean
}

@test "a network whose plugin fails is torn down" {
	skip_without cni
	mkdir -p "$D/local/net.d"
	echo '{"name":"broken","type":"no-such-plugin"}' \
		>"$D/local/net.d/10-broken.conf"
	rkt_run --net=default,broken "$F/inside.aci" -- echo started
	expect_status 254
	expect_no_output started
	case $stderr in *no-such-plugin*) ;; *) fail "$stderr" ;; esac
	rkt gc --grace-period=0s --expire-prepared=0s
	network_clean
}

@test "an app that cannot start leaves no network" {
	skip_without cni
	skip_without iptables
	rkt_run "$F/inside.aci" --exec=/nope
	[ "$status" != 0 ]
	rkt gc --grace-period=0s
	network_clean
}

@test "a network configuration that cannot be read is named" {
	skip_without cni
	mkdir -p "$D/local/net.d"
	echo '{"name": "mine",' >"$D/local/net.d/10-mine.conf"
	rkt_run --net=mine "$F/inside.aci" -- print-ns
	expect_status 254
	[[ $stderr == *"error loading $D/local/net.d/10-mine.conf: line "* ]] ||
		fail "$stderr"
	echo '{"name": "mine", "type": "ptp", "ipam":
		{"type": "host-local", "subnet": "bogus"}}' \
		>"$D/local/net.d/10-mine.conf"
	rkt_run --net=mine "$F/inside.aci" -- print-ns
	expect_status 254
	[[ $stderr == *'error adding network "mine": '*bogus* ]] ||
		fail "$stderr"
}
