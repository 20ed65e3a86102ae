# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # tests set uuid
# Networks as tests see them; `load network` after lib.
#
#   far_begin, far_end   a host behind this one, 10.9.9.2, that knows only of
#                        10.9.9.1 on h0 here and serves "from-far" on port 7004
#   far_connects A PORT  bats `run`: it connects to here
#   address_of UUID [NET]   the pod's address in that network
#   network_clean        no interface, namespace, rule or lease of a pod is there

far_begin() {
	ip netns add far
	ip link add h0 type veth peer name f0 netns far
	ip addr add 10.9.9.1/24 dev h0
	ip link set h0 up
	ip -n far addr add 10.9.9.2/24 dev f0
	ip -n far link set f0 up
	ip -n far link set lo up
	ip netns exec far "$INSIDE" listen 7004 from-far >"$D/far" 2>&1 3>&- &
	far=$!
	wait_for 10 grep -q listen=7004 "$D/far"
}

far_end() {
	[ -n "${far-}" ] || return 0
	kill "$far" 2>/dev/null || true
	wait "$far" || true
	far=
	ip link del h0 2>/dev/null || true
	ip netns del far
}

far_connects() {
	run ip netns exec far "$INSIDE" connect "$1" "$2"
}

address_of() {
	rkt status "$1" | sed -n "s/^networks=.*${2-}:ip4=\([0-9.]*\).*/\1/p"
}

network_clean() {
	[ -z "$(find /run/netns -mindepth 1 ! -name far 2>/dev/null)" ] ||
		fail "netns left" || return
	! ip -o link | grep -E ': (veth|eth|macvlan|bwp|ifb)' ||
		fail "interfaces left" || return
	# portmap keeps three chains of its own once it has been used.
	! { iptables-save; ip6tables-save; } 2>/dev/null |
		grep -E 'CNI-([DS]N-|[0-9a-f]{24})|RKT' ||
		fail "rules left" || return
	! nft list tables | grep rkt- || fail "nf_tables table left" || return
	[ -z "$(find /var/lib/cni -type f -name '[0-9]*' 2>/dev/null)" ] ||
		fail "leases left"
}
