#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh [san]: everything `make check` proves, or the sanitizer leg.  The
# last line is "N passed, N failed, N skipped" over all suites; a step that
# is not a suite (a build, a structure check) counts as one test.
# shellcheck disable=SC2086 # $make and $jobs are lists of words
set -u
cd "$(dirname "$0")/.." || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS
leg=${1-full}
make="${MAKE:-make} --no-print-directory DEVELOPER=1"
jobs=-j$(nproc)
export CLI_JOBS=2 # they wait as much as they work
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export RESULTS="$out/results"
: >"$RESULTS"

# step NAME COMMAND...: one test.
step() {
	name=$1
	shift
	echo "== $name"
	start=$(date +%s)
	if "$@"; then
		echo "ok: $name ($(($(date +%s) - start)) s)"
		echo "$name 1 0 0" >>"$RESULTS"
	else
		echo "FAILED: $name"
		echo "$name 0 1 0" >>"$RESULTS"
	fi
}

# suite NAME COMMAND...: counts itself; a suite that fails without saying how
# many of its tests did counts as one failure.
suite() {
	name=$1
	shift
	echo "== $name"
	start=$(date +%s)
	mkfifo "$out/pipe"
	tee "$out/log" <"$out/pipe" &
	tee_pid=$!
	r=0
	"$@" >"$out/pipe" 2>&1 || r=$?
	wait "$tee_pid"
	rm "$out/pipe"
	# Criterion's closing line.
	sed -n 's/.*Synthesis: Tested: \([0-9]*\) | Passing: \([0-9]*\) | Failing: \([0-9]*\) | Crashing: \([0-9]*\).*/\1 \2/p' \
		"$out/log" | tail -1 | while read -r tested passing; do
		echo "$name $passing $((tested - passing)) 0"
	done >>"$RESULTS"
	grep -q "^$name .* [1-9][0-9]* [0-9]*$" "$RESULTS" || [ $r = 0 ] ||
		echo "$name 0 1 0" >>"$RESULTS"
	echo "$name: exit $r ($(($(date +%s) - start)) s)"
}

$make -s downloads || true
if [ "$leg" = san ]; then
	make="$make SAN=address,undefined"
	step build-san $make $jobs all
	suite unit $make $jobs check-unit
	suite cli $make check-cli
else
	step build-gcc $make $jobs all
	step build-clang $make $jobs CC=clang all
	step layers $make check-layers
	step headers $make check-headers
	step format $make check-format
	suite unit $make $jobs check-unit
	step fuzz-corpus $make $jobs check-fuzz-corpus
	suite cli $make check-cli
	step package $make check-package
fi

awk '{ p += $2; f += $3; s += $4; if ($3) bad = bad " " $1 }
END {
	if (f) print "failed in:" bad
	printf "%d passed, %d failed, %d skipped\n", p, f, s
	exit f != 0
}' "$RESULTS"
