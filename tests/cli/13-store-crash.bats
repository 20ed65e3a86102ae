#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# The image store survives kill -9 at any call that changes it: strace
# delivers the signal in place of the N-th one, for N = 1, 2, 3 ...  After
# each, what is there is consistent, the next command works, and
# `rkt image gc` leaves nothing half done.

load lib
use_driver tree

CHANGES=renameat2,renameat,linkat,mkdirat,mkdir,unlinkat,openat,write,pwrite64
CHANGES=$CHANGES,fsync,fdatasync,syncfs,ftruncate,fchmod,utimensat,flock,sendmsg
CHANGES=$CHANGES,recvmsg,execve

setup_file() {
	load lib
	mkdir -p "$F"
	image_inside "$F/a.aci" '.' example.com/a 1.0.0
	image_inside "$F/b.aci" '.' example.com/b 1.0.0
	mkdir -p "$F/top/rootfs/etc"
	echo top >"$F/top/rootfs/etc/greeting"
	image_tree "$F/top" example.com/top 1.0.0 \
		'.dependencies=[{imageName:"example.com/a"}]'
}

setup() {
	skip_without strace
	setup_test
	# LeakSanitizer does not work under ptrace.
	export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
}

R() {
	"$RKT" --dir="$D/data" --insecure-options=image "$@"
}

names_in() {
	find "$D/data/cas/$1" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null |
		sed 's/\.tar$//' | sort
}

# What holds at every moment: a blob has its manifest and its own digest, a
# tree that has a name is complete.
consistent() {
	local id
	for id in $(names_in blob); do
		[ -s "$D/data/cas/manifest/$id" ] ||
			fail "call $1: no manifest of $id"
		[ "sha512-$(sha512sum <"$D/data/cas/blob/$id.tar" |
			cut -d' ' -f1)" = "$id" ] || fail "call $1: bad $id"
	done
	for id in $(names_in tree); do
		[ -s "$D/data/cas/tree/$id/rootfs/etc/greeting" ] ||
			fail "call $1: half a tree of $id"
	done
}

# After gc: blobs, manifests and rows are the same set, trees are among them.
mended() {
	R image gc >"$D/gc" 2>&1 || fail "call $1: $(cat "$D/gc")"
	[ -z "$(names_in tmp)" ] || fail "call $1: tmp has $(names_in tmp)"
	local blobs
	blobs=$(names_in blob)
	[ "$blobs" = "$(names_in manifest)" ] || fail "call $1: manifests"
	[ "$(cut -c1-71 <<<"$blobs")" = "$(R image list --full --no-legend \
		--fields=id | sort)" ] || fail "call $1: rows"
	[ -z "$(comm -13 <(echo "$blobs") <(names_in tree))" ] ||
		fail "call $1: trees"
}

# kill_at N COMMAND...: 0 if the command ended before its N-th change (strace
# counts each of $CALLS by itself).
kill_at() {
	local n=$1
	shift
	strace -o /dev/null -e trace="${CALLS:-$CHANGES}" \
		-e inject="${CALLS:-$CHANGES}":signal=SIGKILL:when="$n" \
		"$RKT" --dir="$D/data" --insecure-options=image "$@" \
		>"$D/out" 2>&1
}

@test "rkt fetch, killed at each of its changes" {
	local n=1
	R fetch "$F/b.aci"
	until kill_at "$n" fetch "$F/a.aci"; do
		consistent "$n"
		[ $((n % 3)) = 0 ] || mended "$n"
		run R fetch "$F/a.aci"
		expect_status 0
		consistent "$n"
		R image rm example.com/a
		mended "$n"
		n=$((n + 1))
		[ "$n" -lt 500 ]
	done
	[ "$n" -gt 20 ] || fail "only $n: $(cat "$D/out")"
}

@test "rendering an image with dependencies, killed at each change" {
	local n=1
	R fetch "$F/a.aci" >/dev/null
	until kill_at "$n" fetch --pull-policy=new "$F/top.aci"; do
		consistent "$n"
		mended "$n"
		run R fetch --pull-policy=new "$F/top.aci"
		expect_status 0
		R image rm example.com/top
		n=$((n + 2))
		[ "$n" -lt 500 ]
	done
	[ "$n" -gt 20 ] || fail "only $n: $(cat "$D/out")"
}

@test "rkt image import of a file and of stdin, killed at each change" {
	local n=1 from
	R fetch "$F/b.aci"
	for from in "$F/a.aci" -; do
		n=1
		until kill_at "$n" image import "$from" <"$F/a.aci"; do
			consistent "$n"
			[ $((n % 3)) != 0 ] || mended "$n"
			run R image import "$from" <"$F/a.aci"
			expect_status 0
			consistent "$n"
			R image rm example.com/a
			mended "$n"
			n=$((n + 2))
			[ "$n" -lt 500 ]
		done
		[ "$n" -gt 20 ] || fail "only $n: $(cat "$D/out")"
		R image rm example.com/a
	done
}

# same COMMAND AS: what it made is as AS
same() {
	if [ "$1" = export ]; then
		cmp -s "$D/made" "$2"
	else
		diff -rq --no-dereference "$D/made" "$2" >/dev/null
	fi
}

# all_or_nothing COMMAND [--overwrite]
all_or_nothing() {
	local n=1
	rm -rf "$D/made"
	[ $# = 1 ] || cp -r "$D/old" "$D/made"
	until kill_at "$n" image "$@" example.com/a "$D/made"; do
		[ $# = 1 ] || [ -e "$D/made" ] ||
			fail "$CALLS $n: the old one is gone"
		[ ! -e "$D/made" ] || same "$1" "$D/good" ||
			same "$1" "$D/old" || fail "$CALLS $n: half of it"
		consistent "$CALLS $n"
		rm -rf "$D/made" "$D"/made.*.tmp
		[ $# = 1 ] || cp -r "$D/old" "$D/made"
		n=$((n + 1))
		[ "$n" -lt 200 ]
	done
	[ -z "$(compgen -G "$D/made.*.tmp")" ]
	same "$1" "$D/good" || fail "$CALLS: $(cat "$D/out")"
}

@test "extract, render and export, killed at each change: all or nothing" {
	local command CALLS
	R fetch "$F/a.aci" >/dev/null
	for command in extract render export; do
		R image "$command" example.com/a "$D/good"
		if [ "$command" = export ]; then
			echo old >"$D/old"
		else
			mkdir -p "$D/old/of"
		fi
		for CALLS in openat mkdir,rename,renameat2 unlinkat write; do
			all_or_nothing "$command"
			all_or_nothing "$command" --overwrite
		done
		rm -rf "$D/good" "$D/old" "$D/made"
	done
	mended end
}

@test "rkt image rm, killed at each of its changes" {
	local n=1
	while :; do
		R fetch "$F/a.aci" "$F/b.aci" >/dev/null
		! kill_at "$n" image rm example.com/a || break
		consistent "$n"
		mended "$n"
		n=$((n + 2))
		[ "$n" -lt 200 ]
	done
	[ "$n" -gt 8 ] || fail "only $n: $(cat "$D/out")"
	[ "$(names_in blob | wc -l)" = 1 ]
}

@test "rkt image gc, killed at each of its changes" {
	local n=1
	while :; do
		R fetch "$F/a.aci" "$F/b.aci" >/dev/null
		mkdir -p "$D/data/cas/tmp/tree-1/rootfs"
		: >"$D/data/cas/tmp/import-1"
		rm -f "$D/data/cas/images.sqlite"
		! kill_at "$n" image gc --grace-period=0s || break
		consistent "$n"
		mended "$n"
		n=$((n + 4))
		[ "$n" -lt 300 ]
	done
	[ "$n" -gt 15 ] || fail "only $n: $(cat "$D/out")"
	[ -z "$(find "$D/data/cas" -mindepth 2)" ]
}

@test "fetch, run lookups and gc at the same time" {
	local end=$((SECONDS + 4)) i jobs=
	R fetch "$F/a.aci" >/dev/null
	for i in 1 2; do
		(while [ "$SECONDS" -lt "$end" ]; do
			R fetch "$F/a.aci" "$F/b.aci" || exit 1
		done) >"$D/fetch.$i" 2>&1 &
		jobs="$jobs $!"
	done
	(while [ "$SECONDS" -lt "$end" ]; do
		R image gc --grace-period=0s || exit 1
		R image list || exit 1
	done) >"$D/gc.log" 2>&1 &
	jobs="$jobs $!"
	for i in $jobs; do
		wait "$i" || fail "$(tail -3 "$D"/fetch.* "$D/gc.log")"
	done
	consistent end
	mended end
}
