#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Network configurations and plugins: Debian's, with traffic between pods, the
# host and a host behind it, and plugins that fail in every way.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib
load network

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

setup() {
	setup_test
	mkdir -p "$D/local/net.d"
	: >"$D/calls"
	skip_without cni
	skip_without iptables
}

teardown() {
	far_end
	teardown_test
	ip link del br0 2>/dev/null || true
}

# net FILE JSON: a configuration.
net() {
	printf '%s\n' "$2" >"$D/local/net.d/$1"
}

# plugin NAME: a plugin that runs the shell script on stdin, after it has
# written down how it was called.  ANSWER is what a plugin may answer.
plugin() {
	{
		cat <<-END
			#!/bin/sh
			cat >"$D/stdin.\$CNI_COMMAND.$1"
			echo "\$CNI_COMMAND $1 \$CNI_IFNAME \$CNI_ARGS" >>"$D/calls"
			ANSWER='{"cniVersion": "0.4.0", "ips": [{"version": "4",
				"address": "10.9.1.2/24", "interface": 0}]}'
		END
		cat
	} >"$D/local/net.d/$1"
	chmod 0755 "$D/local/net.d/$1"
}

called() {
	run cat "$D/calls"
	[ "$output" = "$1" ] || fail "$output"
}

rkt_run() {
	run --separate-stderr "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		--insecure-options=image run "$@"
}

expect_stderr() {
	[[ $stderr == *"$1"* ]] || fail "no \"$1\" in: $stderr"
}

# Runs until ended; its UUID is in $uuid.
detach() {
	detach_inside "$@"
	wait_for 10 pod_logged "$uuid" inside listen=7005
}

ended() {
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
}

# nothing_ran: no app was started, and gc leaves nothing.
nothing_ran() {
	expect_no_output started
	rkt gc --grace-period=0s --expire-prepared=0s >/dev/null 2>&1
	network_clean
	[ -z "$(find "$D/data/pods" -mindepth 2 -maxdepth 2)" ]
}

# --- Debian's plugins ---------------------------------------------------------------

BRIDGE='{"cniVersion": "0.4.0", "name": "mine", "type": "bridge",
	"bridge": "br0", "isGateway": true, "ipMasq": true, "ipam": {
	"type": "host-local", "subnet": "10.9.1.0/24",
	"routes": [{"dst": "0.0.0.0/0"}]}}'

@test "bridge: between pods, to the host and masqueraded to elsewhere" {
	net 10-mine.conf "$BRIDGE"
	far_begin
	detach --net=mine "$F/inside.aci" -- listen 7005 from-pod
	ip=$(address_of "$uuid" mine)
	[[ $ip == 10.9.1.* ]]
	run "$INSIDE" connect "$ip" 7005
	expect_output received=from-pod
	rkt_run --net=mine "$F/inside.aci" -- print-net and connect "$ip" 7005 \
		and connect 10.9.9.2 7004
	expect_status 0
	[[ $(value ip.eth0) == 10.9.1.* ]]
	expect_output received=from-pod received=from-far
	ended
	network_clean
}

@test "macvlan: an address of the host's network" {
	net 10-mac.conf '{"cniVersion": "0.3.1", "name": "mac",
		"type": "macvlan", "master": "h0", "mode": "bridge",
		"ipam": {"type": "host-local", "subnet": "10.9.9.0/24",
		"rangeStart": "10.9.9.50", "rangeEnd": "10.9.9.60"}}'
	far_begin
	detach --net=mac "$F/inside.aci" -- listen 7005 from-pod
	far_connects 10.9.9.50 7005
	expect_output received=from-pod
	rkt_run --net=mac:IP=10.9.9.55 "$F/inside.aci" -- print-net and \
		connect 10.9.9.2 7004 and connect 10.9.9.50 7005
	expect_status 0
	expect_value ip.eth0 10.9.9.55
	expect_output received=from-far received=from-pod
	ended
	network_clean
}

@test "vlan: frames with its number" {
	skip_without vlan
	net 10-tagged.conf '{"cniVersion": "0.4.0", "name": "tagged",
		"type": "vlan", "master": "h0", "vlanId": 5, "ipam": {
		"type": "host-local", "subnet": "10.9.5.0/24",
		"rangeStart": "10.9.5.50"}}'
	far_begin
	ip -n far link add link f0 name f0.5 type vlan id 5
	ip -n far addr add 10.9.5.2/24 dev f0.5
	ip -n far link set f0.5 up
	rkt_run --net=tagged "$F/inside.aci" -- connect 10.9.5.2 7004
	expect_status 0
	expect_output received=from-far
	network_clean
}

@test "dhcp: an address from the network's server, given back" {
	net 10-auto.conf '{"cniVersion": "0.4.0", "name": "auto",
		"type": "macvlan", "master": "h0", "ipam": {"type": "dhcp"}}'
	far_begin
	cat >"$D/udhcpd.conf" <<-END
		start 10.9.9.100
		end 10.9.9.110
		interface f0
		pidfile $D/udhcpd.pid
		lease_file $D/udhcpd.leases
		option subnet 255.255.255.0
		option lease 600
	END
	: >"$D/udhcpd.leases"
	rkt_run --net=auto "$F/inside.aci" -- echo started
	expect_status 254
	expect_stderr 'dhcp.sock'
	nothing_ran
	ip netns exec far busybox udhcpd -f "$D/udhcpd.conf" \
		>"$D/udhcpd.out" 2>&1 3>&- &
	server=$!
	/usr/lib/cni/dhcp daemon >"$D/dhcp.out" 2>&1 3>&- &
	daemon=$!
	wait_for 10 test -S /run/cni/dhcp.sock
	wait_for 10 grep -q started "$D/udhcpd.out"
	rkt_run --net=auto "$F/inside.aci" -- print-net and connect 10.9.9.2 7004
	kill "$server" "$daemon"
	wait "$server" "$daemon" || true
	rm -rf /run/cni
	expect_status 0
	[[ $(value ip.eth0) == 10.9.9.1[01][0-9] ]] || fail "$output"
	expect_output received=from-far
	network_clean
}

@test "a chain of plugins: portmap, bandwidth, tuning, firewall" {
	net 10-chain.conflist '{"cniVersion": "1.0.0", "name": "chain",
		"plugins": [
		{"type": "bridge", "bridge": "br0", "isGateway": true,
		 "ipam": {"type": "host-local",
			"ranges": [[{"subnet": "10.9.2.0/24"}]],
			"routes": [{"dst": "0.0.0.0/0"}]}},
		{"type": "portmap", "capabilities": {"portMappings": true},
		 "snat": true},
		{"type": "bandwidth", "ingressRate": 800000000,
		 "ingressBurst": 8000000},
		{"type": "tuning", "sysctl": {
			"net.ipv4.conf.eth0.log_martians": "1"}},
		{"type": "firewall", "backend": "iptables"}]}'
	image_inside "$D/port.aci" \
		'.app.ports=[{name:"web",protocol:"tcp",port:7005}]'
	far_begin
	detach --net=chain --port=web:17005 "$D/port.aci" -- listen 7005 from-pod
	ip=$(address_of "$uuid" chain)
	[[ $ip == 10.9.2.* ]]
	for to in 127.0.0.1 10.9.9.1; do
		run "$INSIDE" connect $to 17005
		expect_output received=from-pod
	done
	far_connects 10.9.9.1 17005
	expect_output received=from-pod
	[ "$(nsenter --net="/proc/$(cat "$D/data/pods/run/$uuid/pid")/ns/net" \
		cat /proc/sys/net/ipv4/conf/eth0/log_martians)" = 1 ]
	tc qdisc show | grep -q tbf
	iptables-save | grep -q "CNI-FORWARD -d $ip/32"
	ended
	network_clean
	! iptables-save | grep "$ip" || fail "firewall rules left"
	run "$INSIDE" connect 127.0.0.1 17005
	expect_no_output received
}

@test "versions 0.1.0 to 1.0.0 of the specification" {
	for v in 0.1.0 0.2.0 0.3.0 0.3.1 0.4.0 1.0.0; do
		net 10-mine.conf "${BRIDGE/0.4.0/$v}"
		rkt_run --net=mine "$F/inside.aci" -- print-net and \
			connect 10.9.1.1 1
		expect_status 0
		[[ $(value ip.eth0) == 10.9.1.* ]] || fail "$v: $output"
		expect_value connect.error ECONNREFUSED
	done
	net 10-mine.conf "${BRIDGE/0.4.0/9.9.9}"
	rkt_run --net=mine "$F/inside.aci" -- echo started
	expect_status 254
	expect_stderr 'error adding network "mine": '
	expect_stderr 9.9.9
	nothing_ran
	network_clean
}

@test "host-local: when all addresses are taken, one clear error" {
	net 10-mine.conf "${BRIDGE/10.9.1.0\/24/10.9.1.0\/30}"
	detach --net=mine "$F/inside.aci" -- listen 7005 from-pod
	[ "$(address_of "$uuid" mine)" = 10.9.1.2 ]
	rkt_run --net=mine "$F/inside.aci" -- echo started
	expect_status 254
	expect_no_output started
	expect_stderr 'error adding network "mine": '
	expect_stderr 'no IP addresses available'
	# The first is as it was.
	run "$INSIDE" connect 10.9.1.2 7005
	expect_output received=from-pod
	rkt_run --net=mine:IP=10.9.1.2 "$F/inside.aci" -- echo started
	expect_status 254
	expect_stderr 10.9.1.2
	ended
	rkt_run --net=mine:IP=10.9.1.2 "$F/inside.aci" -- print-net
	expect_status 0
	expect_value ip.eth0 10.9.1.2
	network_clean
}

# --- which networks, in which order ----------------------------------------------

# three: networks b, a and c, in this order by their files.
three() {
	local n=1
	for name in b a c; do
		plugin "log-$name" <<<"echo \"\$ANSWER\""
		net "$((n++))0-$name.conf" '{"cniVersion": "0.4.0",
			"name": "'$name'", "type": "log-'$name'"}'
	done
}

@test "several networks: eth0, eth1, by file name; undone in reverse" {
	three
	rkt_run --uuid-file-save="$D/uuid" --net=c,a:X=1\;Y=2 --net=b:Z=3 \
		"$F/inside.aci" -- echo ran
	expect_status 0
	called 'ADD log-b eth0 Z=3;IgnoreUnknown=1
ADD log-a eth1 X=1;Y=2;IgnoreUnknown=1
ADD log-c eth2 
DEL log-c eth2 
DEL log-a eth1 X=1;Y=2;IgnoreUnknown=1
DEL log-b eth0 Z=3;IgnoreUnknown=1'
	jq -e '.name == "a" and .type == "log-a" and .cniVersion == "0.4.0"' \
		"$D/stdin.ADD.log-a"
	# A plugin that undoes is told what it did.
	jq -e '.prevResult.ips[0].address == "10.9.1.2/24"' \
		"$D/stdin.DEL.log-a"
}

@test "net-info.json, list and status say what each network gave" {
	three
	detach --net=a:X=1,b "$F/inside.aci" -- listen 7005 x
	jq -ce '[.[] | [.netName, .netConf, .ifName, .ip, .args, .mask] +
		[.pluginPath | sub(".*/"; "")]]' \
		"$D/data/pods/run/$uuid/net-info.json" >got
	cat >want <<-'END'
		[["b","10-b.conf","eth0","10.9.1.2","","255.255.255.0","log-b"],["a","20-a.conf","eth1","10.9.1.2","X=1","255.255.255.0","log-a"]]
	END
	diff want got
	run rkt list
	expect_output 'b:ip4=10.9.1.2, a:ip4=10.9.1.2'
	run rkt status "$uuid"
	expect_output 'networks=b:ip4=10.9.1.2, a:ip4=10.9.1.2'
	rkt list --format=json | jq -e '.[0].networks[1] | .netName == "a" and
		.args == "X=1" and .ip == "10.9.1.2"'
	ended
}

@test "--net=all: the built-in ones, too" {
	three
	rkt_run --net=all "$F/inside.aci" -- print-net
	expect_status 0
	run grep ADD "$D/calls"
	[ "$output" = 'ADD log-b eth0 
ADD log-a eth1 
ADD log-c eth2 ' ] || fail "$output"
	rkt_run --net=all "$F/inside.aci" -- print-net
	# ... then default-restricted and default, which 99- files have.
	[[ $(value ip.eth3) == 172.31.* ]] || fail "$output"
	[[ $(value ip.eth4) == 172.16.28.* ]] || fail "$output"
	network_clean
}

@test "a file of one's own overrides default; the second of a name is ignored" {
	plugin log-own <<<'echo "$ANSWER"'
	net 10-default.conf '{"name": "default", "type": "log-own"}'
	rkt_run "$F/inside.aci" -- echo ran
	expect_status 0
	called 'ADD log-own eth0 
DEL log-own eth0 '
	expect_stderr "networking: overriding \"default\" network with one from $D/local/net.d"
	net 20-second.conf '{"name": "default", "type": "none-such"}'
	net README 'no configuration'
	rkt_run --net=default "$F/inside.aci" -- echo ran
	expect_status 0
	expect_stderr 'networking: "default" network already defined, ignoring 20-second.conf'
}

@test "plugins beside the configuration come before the system's" {
	plugin bridge <<<'echo "$ANSWER"'
	net 10-mine.conf "$BRIDGE"
	rkt_run --net=mine "$F/inside.aci" -- echo ran
	expect_status 0
	called 'ADD bridge eth0 
DEL bridge eth0 '
}

@test "name servers of the first network that has any" {
	plugin silent <<<'echo "$ANSWER"'
	plugin tells <<<'echo "{\"ips\": [], \"dns\": {\"nameservers\": [\"10.0.0.1\"],
		\"search\": [\"a.example\"], \"domain\": \"b.example\"}}"'
	net 10-silent.conf '{"name": "silent", "type": "silent"}'
	net 20-tells.conf '{"name": "tells", "type": "tells"}'
	rkt_run --net=silent,tells "$F/inside.aci" -- read /etc/resolv.conf
	expect_status 0
	expect_output '# Generated by rkt from network tells' \
		'search a.example' 'nameserver 10.0.0.1' 'domain b.example'
	rkt_run --net=silent,tells --dns=8.8.8.8 "$F/inside.aci" -- \
		read /etc/resolv.conf
	expect_output '# Generated by rkt run' 'nameserver 8.8.8.8'
	expect_no_output 10.0.0.1
	rkt_run --net=silent,tells --dns=none "$F/inside.aci" -- \
		read /etc/resolv.conf
	expect_no_output 10.0.0.1
}

@test "what --net refuses" {
	local errors=(
		default,default 'found duplicate netname "default"'
		default,,x 'netname must not be empty'
		, 'netname must not be empty'
		all:X=1 'arguments are not supported by special netname "all"'
		host:X=1 'arguments are not supported by special netname "host"'
		default:X=1:Y=2
		'network "default" provided with invalid arguments: [X=1 Y=2]'
		host,default 'network "host" excludes all others'
		nowhere,elsewhere 'networks not found: nowhere, elsewhere'
		default,nowhere 'networks not found: nowhere'
	)
	for ((n = 0; n < ${#errors[@]}; n += 2)); do
		rkt_run --net="${errors[n]}" "$F/inside.aci" -- echo started
		expect_status 254
		expect_stderr "${errors[n + 1]}"
		nothing_ran
	done
	rkt_run --net=default --net=default "$F/inside.aci" -- echo started
	expect_status 254
	expect_stderr 'found duplicate netname "default"'
}

# --- plugins that fail -------------------------------------------------------------

# two_nets: first, which works, and second, whose plugin is to be written.
two_nets() {
	plugin first <<<'echo "$ANSWER"'
	net 10-first.conf '{"cniVersion": "0.4.0", "name": "first", "type": "first"}'
	net 20-second.conf '{"cniVersion": "0.4.0", "name": "second", "type": "second"}'
}

@test "a plugin that fails: its words, what was set up is undone in reverse" {
	two_nets
	plugin second <<-'END'
		[ "$CNI_COMMAND" = DEL ] ||
			echo '{"code": 11, "msg": "no more", "details": "try later"}'
		[ "$CNI_COMMAND" = DEL ] || exit 1
	END
	rkt_run --net=first,second "$F/inside.aci" -- echo started
	expect_status 254
	expect_stderr 'error adding network "second": no more; try later'
	called 'ADD first eth0 
ADD second eth1 
DEL second eth1 
DEL first eth0 '
	nothing_ran
}

@test "plugins that say nothing, or garbage, or far too much" {
	local scripts=(
		'exit 3' 'netplugin failed but error parsing its diagnostic message'
		'kill -9 $$' 'netplugin failed but error parsing its diagnostic message'
		'echo oops; exit 1' 'oops'
		'echo "{\"code\": 1}"; exit 1' 'it has no msg'
		'[ $CNI_COMMAND = DEL ]' 'netplugin failed'
		'exit 0' 'error parsing "second" result'
		'echo "<html>"' 'error parsing "second" result'
		'echo "[]"' 'error parsing "second" result'
		'echo "{\"ips\": 7}"' 'error parsing "second" result'
		'echo "{\"ips\": [{}]}"' 'error parsing "second" result'
		'head -c 3000000 /dev/zero | tr "\0" " "' 'second'
	)
	two_nets
	for ((n = 0; n < ${#scripts[@]}; n += 2)); do
		plugin second <<<"${scripts[n]}"
		: >"$D/calls"
		rkt_run --net=first,second "$F/inside.aci" -- echo started
		expect_status 254
		expect_stderr "${scripts[n + 1]}"
		grep -q 'DEL first' "$D/calls" || fail "${scripts[n]}: not undone"
		output=
		nothing_ran
	done
}

@test "plugins that are missing, not executable or outside their directory" {
	two_nets
	rkt_run --net=first,second "$F/inside.aci" -- echo started
	expect_status 254
	expect_stderr 'Could not find plugin "second"'
	plugin second <<<'echo "$ANSWER"'
	chmod 0644 "$D/local/net.d/second"
	rkt_run --net=first,second "$F/inside.aci" -- echo started
	expect_status 254
	expect_stderr 'Could not find plugin "second"'
	net 20-second.conf '{"name": "second", "type": "../first"}'
	rkt_run --net=first,second "$F/inside.aci" -- echo started
	expect_status 254
	expect_stderr '20-second.conf'
	called ''
	nothing_ran
}

@test "a plugin that hangs: the pod can be stopped, what it set up is undone" {
	two_nets
	plugin second <<-END
		[ "\$CNI_COMMAND" = DEL ] || { : >"$D/hangs"; exec sleep 300; }
	END
	"$RKT" --dir="$D/data" --local-config="$D/local" \
		--insecure-options=image run --net=first,second \
		--uuid-file-save="$D/uuid" "$F/inside.aci" -- echo started \
		>"$D/out" 2>&1 3>&- &
	pid=$!
	wait_for 10 test -e "$D/hangs"
	kill -TERM "$pid"
	wait_for 30 gone "$pid"
	wait "$pid" || true
	run cat "$D/out"
	expect_output 'error adding network "second": plugin second does not end'
	grep -q 'DEL second' "$D/calls" || fail "second is not undone"
	grep -q 'DEL first' "$D/calls" || fail "first is not undone"
	nothing_ran
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

@test "a plugin that cannot undo: the pod ends, the others are undone" {
	two_nets
	plugin second <<-'END'
		[ "$CNI_COMMAND" = DEL ] || echo "$ANSWER"
		[ "$CNI_COMMAND" = ADD ] || { echo '{"msg": "stuck"}'; exit 1; }
	END
	rkt_run --uuid-file-save="$D/uuid" --net=first,second "$F/inside.aci" \
		-- exit-code 5
	expect_status 5
	expect_stderr 'error deleting network "second": stuck'
	grep -q 'DEL first' "$D/calls"
	# It is tried again, and does not keep the pod for ever.
	run rkt gc --grace-period=0s
	expect_status 0
	expect_output 'error deleting network "second": stuck'
	[ "$(grep -c 'DEL second' "$D/calls")" = 2 ]
	[ -z "$(find "$D/data/pods" -mindepth 2 -maxdepth 2)" ]
	network_clean
}

@test "a pod whose configuration and plugins are gone can be removed" {
	two_nets
	plugin second <<<'echo "$ANSWER"'
	detach --net=first,second "$F/inside.aci" -- listen 7005 x
	kill -9 "$(awk '/^PPid/ { print $2 }' \
		"/proc/$(cat "$D/data/pods/run/$uuid/pid")/status")"
	wait_for 10 pod_is "$uuid" exited
	rm -r "$D/local/net.d"
	run rkt rm "$uuid"
	expect_status 0
	expect_output 'error deleting network "second": '
	network_clean
	[ -z "$(find "$D/data/pods" -mindepth 2 -maxdepth 2)" ]
}
