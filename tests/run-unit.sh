#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-unit.sh BINARY FILTER: the unit tests, and a failure for every
# sanitizer report (Criterion exits 0 on a leak).
set -eu
bin=$1 filter=$2
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export ASAN_OPTIONS="log_path=$logs/asan:detect_leaks=1"
export UBSAN_OPTIONS="log_path=$logs/ubsan:print_stacktrace=1"
r=0
"$bin" --filter "$filter" --timeout 120 || r=$?
for f in "$logs"/*; do
	[ -e "$f" ] || continue
	cat "$f"
	r=1
done
exit $r
