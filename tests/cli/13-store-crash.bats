#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# The image store survives kill -9 at any call that changes it: strace
# delivers the signal in place of the N-th call of one kind, for each kind and
# for calls from the first to the last.  After each, what is there is
# consistent, the next command works, and `rkt image gc` leaves nothing half
# done.

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
	skip_without not-sanitized # what is killed reports nothing
	setup_test
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

# changes_of SAMPLES COMMAND...: of the changes it makes, in their order, the
# first of each kind and SAMPLES others, evenly: CALL:N each.
changes_of() {
	local samples=$1
	shift
	strace -qq -e signal=none -o "$D/calls" -e trace="$CHANGES" \
		"$RKT" --dir="$D/data" --insecure-options=image "$@" \
		>"$D/out" 2>&1 || {
		cat "$D/out" >&2
		return 1
	}
	sed -n 's/^\([a-z0-9]*\)(.*/\1/p' "$D/calls" |
		awk -v samples="$samples" '
		{ at[NR] = $1 ":" ++n[$1]; is_new[NR] = n[$1] == 1 }
		END {
			step = int((NR + samples - 1) / samples)
			for (i = 1; i <= NR; i++)
				if (is_new[i] || i % step == 0)
					print at[i]
		}'
}

# kill_at CALL[,CALL...]:N COMMAND...: 0 if the command ended before its N-th
# CALL, of which strace counts each kind by itself.
kill_at() {
	local at=$1
	shift
	strace -o /dev/null -e trace="${at%:*}" \
		-e inject="${at%:*}":signal=SIGKILL:when="${at#*:}" \
		"$RKT" --dir="$D/data" --insecure-options=image "$@" \
		>"$D/out" 2>&1
}

# The same, and counts those killed: a call more or less there may be.
try_at() {
	local r=0
	kill_at "$@" || r=$?
	[ "$r" = 0 ] || [ "$r" = 137 ] ||
		fail "call $1: status $r: $(cat "$D/out")"
	[ "$r" = 0 ] || killed=$((killed + 1))
}

@test "rkt fetch, killed at each kind of change" {
	local at i=0 changes killed=0
	R fetch "$F/b.aci"
	changes=$(changes_of 30 fetch "$F/a.aci")
	R image rm example.com/a
	for at in $changes; do
		try_at "$at" fetch "$F/a.aci"
		i=$((i + 1))
		consistent "$at"
		[ $((i % 3)) = 0 ] || mended "$at"
		run R fetch "$F/a.aci"
		expect_status 0
		consistent "$at"
		R image rm example.com/a
		mended "$at"
	done
	[ "$killed" -gt 20 ] || fail "only $killed of: $changes"
}

@test "rendering an image with dependencies, killed at each kind of change" {
	local at changes killed=0
	R fetch "$F/a.aci" >/dev/null
	changes=$(changes_of 25 fetch --pull-policy=new "$F/top.aci")
	R image rm example.com/top
	for at in $changes; do
		try_at "$at" fetch --pull-policy=new "$F/top.aci"
		consistent "$at"
		mended "$at"
		run R fetch --pull-policy=new "$F/top.aci"
		expect_status 0
		R image rm example.com/top
	done
	[ "$killed" -gt 20 ] || fail "only $killed of: $changes"
}

@test "rkt image import of a file and of stdin, killed at each kind of change" {
	local at i changes killed from
	R fetch "$F/b.aci"
	for from in "$F/a.aci" -; do
		i=0 killed=0
		changes=$(changes_of 15 image import "$from" <"$F/a.aci")
		R image rm example.com/a
		for at in $changes; do
			try_at "$at" image import "$from" <"$F/a.aci"
			i=$((i + 1))
			consistent "$at"
			[ $((i % 3)) != 0 ] || mended "$at"
			run R image import "$from" <"$F/a.aci"
			expect_status 0
			consistent "$at"
			R image rm example.com/a
			mended "$at"
		done
		[ "$killed" -gt 15 ] || fail "only $killed of: $changes"
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
	until kill_at "$CALLS:$n" image "$@" example.com/a "$D/made"; do
		[ $# = 1 ] || [ -e "$D/made" ] ||
			fail "$CALLS $n: the old one is gone"
		[ ! -e "$D/made" ] || same "$1" "$D/good" ||
			same "$1" "$D/old" || fail "$CALLS $n: half of it"
		consistent "$CALLS $n"
		rm -rf "$D/made"
		[ $# = 1 ] || cp -r "$D/old" "$D/made"
		n=$((n + 1))
		[ "$n" -lt 200 ]
	done
	# What those that were killed left, too.
	[ -z "$(compgen -G "$D/made.*.tmp")$(compgen -G "$D/.rkt-*")" ]
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

@test "rkt image rm, killed at each kind of change" {
	local at changes killed=0
	R fetch "$F/a.aci" "$F/b.aci" >/dev/null
	changes=$(changes_of 12 image rm example.com/a)
	[ "$(names_in blob | wc -l)" = 1 ]
	for at in $changes; do
		R fetch "$F/a.aci" "$F/b.aci" >/dev/null
		try_at "$at" image rm example.com/a
		consistent "$at"
		mended "$at"
	done
	[ "$killed" -gt 8 ] || fail "only $killed of: $changes"
}

# Two images, and what was killed; the table is gone.
something_to_collect() {
	R fetch "$F/a.aci" "$F/b.aci" >/dev/null
	mkdir -p "$D/data/cas/tmp/tree-1/rootfs"
	: >"$D/data/cas/tmp/import-1"
	rm -f "$D/data/cas/images.sqlite"
}

@test "rkt image gc, killed at each kind of change" {
	local at changes killed=0
	something_to_collect
	changes=$(changes_of 20 image gc --grace-period=0s)
	[ -z "$(find "$D/data/cas" -mindepth 2)" ]
	for at in $changes; do
		something_to_collect
		try_at "$at" image gc --grace-period=0s
		consistent "$at"
		mended "$at"
	done
	[ "$killed" -gt 15 ] || fail "only $killed of: $changes"
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
