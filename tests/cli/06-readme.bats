#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the README tells a newcomer to type does what it says.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib

# The README uses the real directories.  This file has a mount namespace of
# its own, with an empty /var/lib/rkt; /etc gets a layer for /etc/rkt.
setup() {
	mountpoint -q /var/lib/rkt || fail "run me through make check-cli"
	setup_test
	mkdir "$D/etc-upper" "$D/etc-work"
	mount -t overlay -o "lowerdir=/etc,upperdir=$D/etc-upper,workdir=$D/etc-work" \
		overlay /etc
	PATH=$BUILD/bin:$PATH
}

teardown() {
	pods_destroy /var/lib/rkt
	umount /etc
	teardown_test
}

# commands SECTION: the indented lines below the heading.
commands() {
	awk -v s="## $1" '$0 == s { f = 1; next } /^## / { f = 0 }
		f && /^    / { print substr($0, 5) }' "$TESTS/../README.md"
}

@test "the five minutes of the README" {
	skip_without cni
	skip_without busybox
	commands "Five minutes" >script
	[ "$(wc -l <script)" -gt 30 ]
	# A person types slower than a server starts, and answers questions.
	sed -i 's/^rkt trust/& --skip-fingerprint-review/
		s/^rkt \(update\|rollback\)/& --observe=1s/
		s/^curl /&-sS --retry 50 --retry-delay 0 --retry-connrefused /' script
	run timeout 120 bash -ex script
	expect_status 0
	expect_output "hello from version 1" "hello from version 2" \
		"networks=default:ip4=172.16.28.2" "COMMITTED"
	run -0 rkt_plain list --no-legend
	[ -z "$output" ]
}

rkt_plain() {
	"$RKT" "$@"
}

@test "HACKING runs a pod from the tree" {
	skip_without busybox
	awk '/^## 1/ { f = 1; next } /^## / { f = 0 } f && /^    / {
		print substr($0, 5) }' "$TESTS/../HACKING.md" | tail -1 |
		sed "s,/tmp/,$D/,g; s,build/bin/rkt,$RKT,
			s,tests/images/,$TESTS/images/," >script
	run timeout 60 bash -ex script
	expect_status 0
	expect_output "]: hello"
}

@test "every command the README and HACKING name exists" {
	local program command
	grep -ohE '`(rkt|actool) [a-z-]+' "$TESTS/../README.md" \
		"$TESTS/../HACKING.md" | tr -d '`' | sort -u >commands
	[ "$(wc -l <commands)" -gt 8 ]
	while read -r program command; do
		run "$BUILD/bin/$program" help "$command"
		expect_status 0
		expect_output "$program" "$command"
	done <commands
}

@test "every file HACKING names exists" {
	local f
	grep -oE '(base|spec|aci|stage0|stage1|cmd|tests)/[A-Za-z0-9_/-]+\.(c|h|md|sh|bats)' \
		"$TESTS/../HACKING.md" | sort -u >files
	[ "$(wc -l <files)" -gt 30 ]
	while read -r f; do
		case $f in
		*/test_MODULE.c | */fuzz_X.c | */NAME.c | */NN-*.bats) continue ;;
		esac
		[ -e "$TESTS/../$f" ] || fail "HACKING.md names $f"
	done <files
}

@test "every function of HACKING's walk is in the file named beside it" {
	local f name
	grep -oE '^ +[a-z0-9]+/[a-z0-9_/-]+\.c +[a-z]+_[a-z_]+ ' \
		"$TESTS/../HACKING.md" >walk
	[ "$(wc -l <walk)" -gt 10 ]
	while read -r f name; do
		grep -q "^\(static \)\?[a-z].*\b$name(" "$TESTS/../$f" ||
			fail "$f has no $name()"
	done <walk
}
