#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What every other file relies on.

load lib

@test "the build tree holds the programs" {
	for p in bin/rkt bin/actool libexec/rkt/stage1 libexec/rkt/rkt-fetch; do
		[ -x "$BUILD/$p" ] || fail "no $BUILD/$p"
	done
}

@test "tests/inside reports in key=value form" {
	run "$INSIDE" print-ids
	expect_status 0
	expect_value uid 0
	run "$INSIDE" exit-code 7
	expect_status 7
}

@test "the file has namespaces of its own" {
	[ "$(find /run/netns -mindepth 1 2>/dev/null | wc -l)" = 0 ]
	[ "$(ip -o link | wc -l)" = 1 ]
	[ "$(stat -c %d "$D")" != "$(stat -c %d /)" ]
	[ "$(stat -c %d /run)" != "$(stat -c %d /)" ]
}

@test "rkt and the stage1s are static" {
	skip_without not-sanitized
	for p in bin/rkt libexec/rkt/stage1 libexec/rkt/stage1-fly; do
		run readelf -l "$BUILD/$p"
		expect_status 0
		expect_no_output INTERP
	done
}

@test "image helpers make valid images" {
	image_inside "$D/a.aci"
	run "$ACTOOL" validate "$D/a.aci"
	expect_status 0
	image_busybox "$D/b.aci" '.app.exec=["/bin/true"]'
	run "$ACTOOL" validate "$D/b.aci"
	expect_status 0
}
