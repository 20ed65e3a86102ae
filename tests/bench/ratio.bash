# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# How the benchmarks show what they measured.

# column FILE NAME N: field N of the line NAME of what race.c prints
column() {
	awk -F'\t' -v name="$2" -v n="$3" '$1 == name { print $n }' "$1"
}

# ratio TEXT A B TARGET HOW: "TEXT  A / B = R  (target HOW TARGET) met|missed"
ratio() {
	if [ -z "$2" ] || [ -z "$3" ]; then
		echo "$1: not measured"
		return
	fi
	awk -v t="$1" -v a="$2" -v b="$3" -v target="$4" -v how="$5" 'BEGIN {
		r = a / b
		met = how == "<=" ? r <= target : r >= target
		printf "%-42s %8.2f / %8.2f = %5.2f   target %s %s: %s\n",
			t, a, b, r, how, target, met ? "met" : "missed" }'
}
