#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Random command lines, made of what rkt's help says (tests/fuzz/cli_grammar.py).
# shellcheck disable=SC2154 # bats sets status, output, stderr

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

# lines SEED [FLAG]: a quarter of the 1,000, or fewer where each takes longer.
lines() {
	local n=250
	host_has not-sanitized || n=60
	mkdir "$D/world"
	cd "$D/world" || return
	run timeout 600 python3 "$TESTS/fuzz/cli_grammar.py" "$1" $n \
		"$F/inside.aci" -- "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" "${@:2}"
	echo "$output"
	[ "$status" = 0 ]
}

@test "random command lines end with a reason and an exit code: seed 1" {
	lines 1
}

@test "random command lines end with a reason and an exit code: seed 2" {
	lines 2 --insecure-options=image
}

@test "random command lines end with a reason and an exit code: seed 3" {
	lines 3
}

@test "random command lines end with a reason and an exit code: seed 4" {
	lines 4 --insecure-options=image
}
