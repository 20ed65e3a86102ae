#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The table of updates under load, short: real versions of real servers, the
# clients of tests/bench/handover, and what it says of them.
# shellcheck disable=SC2154 # status, output come from bats

load lib

# table SERVERS: into $D/out/update.tsv.
table() {
	SERVERS=$1 ROUNDS=${ROUNDS:-4} CONNECTIONS=600 RATE=200 OUT=$D/out \
		run bash "$TESTS/bench/handover" table
	echo "$output" | grep -A4 '^server ' | sed 's/^/# /' >&3
	expect_status 0
	expect_no_output 'not measured: its packages'
}

# cell SERVER CLIENT COLUMN [TIER]: of the tiers that were taken, one a line.
cell() {
	awk -F'\t' -v server="$1" -v client="$2" -v name="$3" -v tier="${4-}" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) n = i }
		$1 == server && $3 == client && (!tier || $2 == tier) {
			print $n }' "$D/out/update.tsv"
}

# none SERVER TIER COLUMN...: 0 in all rows of the server and, if not "", of
# that tier; and there are such rows.
none() {
	local server=$1 tier=$2 column client value
	shift 2
	for column; do
		for client in fresh kept; do
			[ -n "$(cell "$server" "$client" "$column" "$tier")" ] ||
				fail "no row of $server $tier" || return
			for value in $(cell "$server" "$client" "$column" "$tier"); do
				[ "$value" = 0 ] || fail "$server $client $column: $(cat "$D/out/update.tsv")" ||
					return
			done
		done
	done
}

# Both versions answered, and enough of it.
answered() {
	local n
	for n in $(cell "$1" fresh versions); do [ "$n" -ge 2 ]; done
	for n in $(cell "$1" fresh made); do [ "$n" -ge 600 ]; done
}

skip_without_packages() {
	bash "$TESTS/images/build-real.sh" --download "$1" >/dev/null 2>&1 ||
		skip "needs server-packages: make downloads fetches them"
}

@test "a static server: nobody refused, reset or lost, and a timeline is drawn" {
	ROUNDS=8 table c
	none c '' refused timeout other failed
	none c handover reset lost
	answered c
	[ "$(cell c fresh switch | head -1)" != - ]
	[ "$(cell c fresh rollback | head -1)" != - ]
	for f in "$D"/out/c-*-fresh.svg; do
		grep -q '>1.0.0</text>' "$f"
		grep -q '>2.0.0</text>' "$f"
		grep -q '>update</text>' "$f"
		python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$f"
	done
}

@test "nginx, from Debian's release to its last update" {
	skip_without_packages nginx
	table nginx
	# A restart closes kept connections a request may be on its way on.
	none nginx '' refused timeout other failed
	none nginx handover reset lost
	answered nginx
}

@test "haproxy, the same" {
	skip_without_packages haproxy
	table haproxy
	none haproxy '' refused timeout other failed
	none haproxy handover reset lost
	answered haproxy
}

@test "redis, the same: nobody refused or left waiting" {
	skip_without_packages redis
	table redis
	none redis restart refused timeout failed
	answered redis
}
