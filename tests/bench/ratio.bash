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

# pairs_ratio TEXT FILE A B TARGET HOW: of lines "PAIR NAME NUMBER", the
# geometric mean of the pairs' ratios, which one disturbed pair moves as much
# either way, with the 95 % interval of Student's t.  No TARGET: no judgement.
pairs_ratio() {
	awk -v t="$1" -v a="$3" -v b="$4" -v target="${5-}" -v how="${6-}" '
	{ v[$1, $2] = $3; if ($1 > n) n = $1 }
	END {
		for (i = 1; i <= n; i++) {
			if (!v[i, a] || !v[i, b]) continue
			r[++m] = log(v[i, a] / v[i, b])
			sum += r[m]; va += v[i, a]; vb += v[i, b]
		}
		if (m < 2) { print t ": not measured"; exit }
		mean = sum / m
		for (i = 1; i <= m; i++) var += (r[i] - mean) ^ 2
		q = m >= 20 ? 2.09 : m >= 12 ? 2.20 : m >= 10 ? 2.26 : m >= 8 ? 2.36 : m >= 5 ? 2.78 : 4.30
		half = q * sqrt(var / (m - 1) / m)
		printf "%-42s %8.0f / %8.0f = %.4f, 95 %% interval %.4f to %.4f (%d pairs)",
			t, va / m, vb / m, exp(mean), exp(mean - half), exp(mean + half), m
		if (target != "") {
			met = how == "<=" ? exp(mean) <= target : exp(mean) >= target
			printf "   target %s %s: %s", how, target, met ? "met" : "missed"
		}
		print ""
	}' "$2"
}
