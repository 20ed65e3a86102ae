# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of those who load it
# For tests of updates that go wrong, in both tiers; after `load versions`.

TIERS=(restart handover)

setup() {
	setup_test
	loads=()
	RUN=()
	OPTIONS=()
	PORT=80
	NEXT=(workers:80:3)
}

# $D/data is a file system of its own: images of the store are mounted from files on it.
leave_small() {
	rkt image gc --grace-period=0s >/dev/null
	umount "$D/data"
}

teardown() {
	local p r=0
	for p in "${loads[@]}"; do kill "$p" 2>/dev/null; done
	rm -f "$D/data/fill"
	pods_destroy "$D/data" || r=1
	if mountpoint -q "$D/data"; then leave_small; fi
	teardown_test || r=1
	return $r
}

# tier NAME: a pod of version 1, serving on $PORT, and what it has.
tier() {
	tier=$1
	serve "tcp4:$PORT"
	version 2
	who_runs
	what_it_has >"$D/has"
}

again() {
	rkt stop --force web
	wait_for 10 pod_is web exited
	rkt rm web
	rm -f "$D"/*.load "$D/first"
}

# who_runs: $pid and $supervisor of the pod as it runs now.
who_runs() {
	pid=$(cat "$pod/pid")
	supervisor=$(supervisor)
}

supervisor() {
	ps -o ppid= -p "$(cat "$pod/pid")" | tr -d ' '
}

# What an update may leave behind, one thing a line: descriptors of stage1 by
# kind, cgroups, processes, mounts.
what_it_has() {
	find "/proc/$supervisor/fd" -printf '%l\n' 2>/dev/null |
		sed 's/sha512-[0-9a-f]*/ID/; s/[0-9][0-9]*/N/g' | sort | uniq -c
	while read -r dir; do
		[ ! -d "$dir" ] ||
			find "$dir" -mindepth 1 -type d -printf 'cgroup %P\n'
	done <"$pod/cgroup" | sort -u
	pgrep -fc '^/inside' --ns "$pid" --nslist pid
	# Images of the store stay mounted.
	awk '$5 !~ "^/run/rkt/img/" { print "mount", $5 }' \
		"/proc/$supervisor/mountinfo" | sort
}

# By generation 1's name, whichever serves.
has_as_before() {
	what_it_has | sed 's/inside\.[0-9][0-9]*/inside.1/' | diff "$D/has" - >"$D/diff"
}

# in_pod COMMAND...: in its network.
in_pod() {
	nsenter --net="/proc/$pid/ns/net" "$@"
}

# who_serves: the version.
who_serves() {
	in_pod python3 -c "
import urllib.request
print(urllib.request.urlopen('http://127.0.0.1:$PORT/', timeout=5).read().decode().strip())"
}

# settled NUMBER [COUNT]: generation NUMBER serves, and nothing of another
# one is left but COUNT directories.
settled() {
	run rkt status web
	expect_output state=running "generation-inside=$1"
	expect_no_output update-inside
	[ "$(basename "$(readlink "$pod/appsinfo/inside")")" = "$1" ]
	[ "$(cd "$pod/generations/inside" && echo [0-9]* | wc -w)" = "${2:-$1}" ] ||
		fail "$tier: generations: $(ls "$pod/generations/inside")"
	[ ! -e "$pod/update.journal" ] || fail "$tier: $(cat "$pod/update.journal")"
	[ "$(who_serves)" = "${3:-$1}" ] ||
		fail "$tier: another one serves: $(pod_log "$uuid" inside | tail -3)"
	wait_for 5 has_as_before || fail "$tier: $(cat "$D/diff")"
}

all_answered() {
	local key most=0
	load_end
	[ "$(load_value load answered)" -gt 5 ] || fail "$tier: $(cat "$D/load.load")"
	for key in refused timeout other; do
		[ "$(load_value load "$key")" = 0 ] ||
			fail "$tier: $(cat "$D/load.load")" || return 1
	done
	# A restart may cut off one: see all_answered in 50-update.bats.
	[ "$tier" != restart ] || most=1
	[ "$(load_value load reset)" -le "$most" ] ||
		fail "$tier: $(cat "$D/load.load")"
}

update() {
	run_rkt update --strategy="$tier" --observe=200ms --image="$D/2.aci" \
		"${OPTIONS[@]}" "$@" web
}

# in_background ARGS: the same, followed in $D/first.
in_background() {
	"$RKT" --dir="$D/data" --insecure-options=image update \
		--strategy="$tier" --observe=300ms --image="$D/2.aci" \
		"${OPTIONS[@]}" "$@" web >"$D/first" 2>&1 &
	first=$!
}

ends_with() {
	local r=0
	wait "$first" || r=$?
	[ "$r" = "$1" ] || fail "$tier: $r: $(cat "$D/first")"
}
