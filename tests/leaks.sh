#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a runtime could leave behind on a host, one thing a line.
#   leaks.sh snapshot FILE          write down what is there now
#   leaks.sh compare FILE [SECONDS] fail if something new is still there
#                                   after SECONDS (default 30)
set -eu

# Name of the program behind a /proc directory; a mount clone of the binary
# and a deleted binary still end in the name.
program() {
	exe=$(readlink "$1/exe" 2>/dev/null) || return 0
	exe=${exe% (deleted)}
	echo "${exe##*/}"
}

# Groups of pods, without those where something runs: what runs and should
# not is found as a process.  In a machine of tests/systemd/boot.sh units have
# groups of their own; they go with it.
cgroups() {
	unified=/sys/fs/cgroup
	[ ! -d $unified/unified ] || unified=$unified/unified
	find /sys/fs/cgroup -type d -path '*/rkt/*' 2>/dev/null |
	while read -r dir; do
		case $dir in
		*/rkt-test-systemd-*)
			group=${dir#*/rkt-test-systemd-}
			group=rkt-test-systemd-${group%%/*}
			;;
		*)
			group=${dir#*/rkt/}
			group=rkt/${group%%/*}
			;;
		esac
		events=$unified/$group/cgroup.events
		grep -q '^populated 1' "$events" 2>/dev/null ||
			echo "cgroup $dir"
	done
}

list() {
	# The first `ip netns add` of a boot makes /run/netns a mount.
	awk '$5 != "/run/netns" { print "mount", $5 }' /proc/self/mountinfo
	cgroups
	find /run/netns -mindepth 1 -printf 'netns %p\n' 2>/dev/null || true
	# The seccomp cache is kept: one file a filter, by content.  Of
	# users/ only the claims go with their pods.
	find /run/rkt -mindepth 1 ! -path '/run/rkt/seccomp*' \
		! -path /run/rkt/users ! -path /run/rkt/ports -printf 'run %p %s bytes\n' 2>/dev/null || true
	# host-local keeps its lock and the last address it gave for good.
	find /var/lib/cni -type f ! -name lock ! -name 'last_reserved_ip*' \
		-printf 'lease %p\n' 2>/dev/null || true
	# Below an image's mount, which is looked for itself; disks of tests.
	losetup -n --raw -O NAME,BACK-FILE 2>/dev/null | grep -v -e /cas/ -e '/t/disk$' |
		sed 's/^/loop /' || true
	ip -o link 2>/dev/null | awk -F': ' '{ print "link", $2 }' | sed 's/@.*//'
	# portmap keeps three chains of its own once it has been used.
	{ iptables-save; ip6tables-save; } 2>/dev/null |
		grep -E '^[-:].*(CNI-([DS]N-|[0-9a-f]{24})|RKT)' |
		sed 's/ \[[0-9:]*\]$//; s/^/iptables /' || true
	nft list tables 2>/dev/null | grep -i rkt || true
	for p in /proc/[0-9]*; do
		case $(program "$p") in
		rkt | stage1 | stage1-fly | rkt-fetch | inside)
			echo "process ${p#/proc/} $(tr '\0' ' ' <"$p/cmdline")"
			;;
		esac
	done 2>/dev/null
}

case ${1-} in
snapshot)
	list | sort -u >"$2"
	;;
compare)
	seconds=${3-30}
	# What is left behind stays: pods of others on this host, whose
	# control groups are empty now and then, come and go.  So a long wait
	# costs nothing where all is well.
	new=$(list | sort -u | comm -13 "$2" -)
	while :; do
		new=$(list | sort -u | comm -13 "$2" - |
			grep -Fx -e "$new" || true)
		[ -n "$new" ] || exit 0
		[ "$seconds" -gt 0 ] || break
		seconds=$((seconds - 1))
		sleep 1
	done
	echo "$new" | sed 's/^/left behind: /'
	exit 1
	;;
*)
	echo "usage: leaks.sh snapshot|compare FILE [SECONDS]" >&2
	exit 2
	;;
esac
