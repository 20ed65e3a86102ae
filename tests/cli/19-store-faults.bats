#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2030,SC2031,SC2154 # bats sets status, output, stderr
# The image store where things go wrong: kills at any time, full disks, odd
# file systems, damaged bytes at each stage.  After each, what is there is
# right, the next command works, and gc leaves nothing.

load lib

setup_file() {
	load lib
	mkdir -p "$F/a/rootfs/etc" "$F/b/rootfs/etc" "$F/top/rootfs/etc"
	head -c 60000 /dev/urandom >"$F/a/rootfs/etc/data"
	cp "$INSIDE" "$F/a/rootfs/inside"
	head -c 20000 /dev/urandom >"$F/b/rootfs/etc/data"
	echo top >"$F/top/rootfs/etc/top"
	image_tree "$F/a" example.com/a 1.0.0
	image_tree "$F/b" example.com/b 1.0.0
	image_tree "$F/top" example.com/top 1.0.0 \
		'.dependencies=[{imageName:"example.com/a"}]'
	mkdir -p "$F/dep/rootfs"
	image_tree "$F/dep" example.com/dep 1.0.0 \
		'.dependencies=[{imageName:"example.com/b"}]'
}

setup() {
	setup_test
	on_disk=
	export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
}

teardown() {
	pods_destroy "$D/data"
	if [ -n "$on_disk" ]; then
		unseal "$on_disk"
		rkt image gc --grace-period=0s >/dev/null 2>&1
		umount -R "$on_disk"
	fi
	teardown_test
}

# R ARGS: rkt without signatures, by whatever driver
R() {
	"$RKT" --dir="$D/data" --insecure-options=image "$@"
}

blobs() {
	find "$D/data/cas/blob" -name '*.tar' -printf '%f\n' 2>/dev/null |
		sed 's/\.tar$//' | sort
}

files_in() {
	find "$D/data/cas/$1" -type f 2>/dev/null
}

# What holds at every moment.
sound() {
	local id
	R image list >"$D/list" 2>&1 || fail "$1: $(cat "$D/list")"
	for id in $(blobs); do
		[ -s "$D/data/cas/manifest/$id" ] || fail "$1: no manifest of $id"
		[ "sha512-$(sha512sum <"$D/data/cas/blob/$id.tar" |
			cut -d' ' -f1)" = "$id" ] || fail "$1: bad $id"
	done
}

# What holds after gc; it is to take no image with it.
mended() {
	local blob
	R image gc >"$D/gc" 2>&1 || fail "$1: $(cat "$D/gc")"
	[ -z "$(ls -A "$D/data/cas/tmp")" ] || fail "$1: $(ls "$D/data/cas/tmp")"
	[ "$(blobs)" = "$(ls "$D/data/cas/manifest")" ] || fail "$1: manifests"
	[ "$(blobs | cut -c1-71)" = "$(R image list --full --no-legend \
		--fields=id 2>/dev/null | sort)" ] || fail "$1: rows"
	! host_has immutable || for blob in $(files_in blob); do
		[[ $(lsattr "$blob") == ????i* ]] || fail "$1: $(lsattr "$blob")"
	done
}

# emptied [WHEN]: of all that was stored, nothing is left but the table (and
# that no row of it lacks its blob).
emptied() {
	R image gc --grace-period=0s >"$D/gc" 2>&1 || fail "$1: $(cat "$D/gc")"
	[ "$(files_in . | grep -v /complete)" = "$D/data/cas/./images.sqlite" ] ||
		fail "$1: $(files_in .)"
}

# one_error TEXT...: the last command failed, and says one thing
one_error() {
	expect_status 254
	expect_no_output "ended without an answer" "forbidden system call" \
		"false answer" "malformed answer"
	[ "$(grep -vc 'image signature verification has been' <<<"$output")" = 1 ] ||
		fail "not one error: $output"
	[ $# = 0 ] || expect_output "$@"
}

# --- kills ---------------------------------------------------------------------

@test "200 kills spread over fetch, rm and gc" {
	skip_without not-sanitized # what is killed reports nothing
	local i step words
	R fetch "$F/b.aci" >/dev/null 2>&1
	for ((i = 0; i < 200; i++)); do
		case $((i % 4)) in
		0 | 1) words=(fetch "$F/a.aci") ;;
		2) words=(image rm example.com/a example.com/b) ;;
		3) words=(image gc --grace-period=0s) ;;
		esac
		# Up to where it would have ended, and a little more.
		step=$(printf '0.%03d' $((i + 1)))
		timeout --foreground -s KILL "$step" "$RKT" --dir="$D/data" \
			--insecure-options=image "${words[@]}" >/dev/null 2>&1 ||
			true
		[ $((i % 5)) != 4 ] || sound "$i ${words[*]}"
		[ $((i % 20)) != 19 ] || mended "$i ${words[*]}"
		[ $((i % 10)) != 9 ] || {
			run R fetch "$F/a.aci" "$F/b.aci"
			expect_status 0
		}
	done
	emptied
}

# Each process has its own count: some kills meet rkt, others rkt-fetch.
@test "rkt-fetch killed at each of its calls: one error, nothing left" {
	skip_without strace
	skip_without not-sanitized
	local n=1 changes=pwrite64,ftruncate,sendto,futex,recvmsg,clone3,clone
	mkdir -p "$D/bin" "$D/libexec/rkt"
	ln -s "$BUILD"/libexec/rkt/* "$D/libexec/rkt/"
	cp "$BUILD/bin/rkt" "$D/bin/rkt"
	rm "$D/libexec/rkt/rkt-fetch"
	cat >"$D/libexec/rkt/rkt-fetch" <<-END
		#!/bin/sh
		exec strace -f -o /dev/null -e trace=$changes \
			-e inject=$changes:signal=SIGKILL:when=\$(cat $D/n) \
			-- $BUILD/libexec/rkt/rkt-fetch "\$@"
	END
	chmod +x "$D/libexec/rkt/rkt-fetch"
	echo 1 >"$D/n"
	until "$D/bin/rkt" --dir="$D/data" --insecure-options=image fetch \
		"$F/a.aci" >"$D/out" 2>&1; do
		[ "$(grep -c ^fetch: "$D/out")" = 1 ] || fail "$n: $(cat "$D/out")"
		grep -q 'rkt-fetch ended without an answer: signal 9' "$D/out" ||
			fail "$n: $(cat "$D/out")"
		[ -z "$(files_in .)" ] || fail "$n: $(files_in .)"
		n=$((n + 1))
		echo $n >"$D/n"
		[ "$n" -lt 100 ]
	done
	[ "$n" -gt 3 ] || fail "only $n: $(cat "$D/out")"
	sound end
	emptied
}

@test "a kill between a blob's name and its flag is mended" {
	skip_without immutable
	local how blob
	for how in fetch verify gc; do
		R fetch "$F/a.aci" >/dev/null 2>&1
		blob=$(files_in blob)
		chattr -i "$blob"
		case $how in
		fetch) R fetch "$F/a.aci" ;;
		verify) R image verify example.com/a ;;
		gc) R image gc ;;
		esac
		[[ $(lsattr "$blob") == ????i* ]] || fail "$how: $(lsattr "$blob")"
	done
	emptied
}

# --- full disks ------------------------------------------------------------------

# small KIB: the store on a file system of its own
small() {
	[ -z "$on_disk" ] || umount "$on_disk"
	mkdir -p "$D/data"
	mount -t tmpfs -o "size=${1}k" tmpfs "$D/data"
	on_disk=$D/data
}

# fills DRIVER FIRST STEP WORDS...: from where nothing fits to where it does
fills() {
	local driver=$1 size=$2 step=$3 n=0
	shift 3
	small "$size"
	while :; do
		run "$RKT" --dir="$D/data" --image-driver="$driver" \
			--insecure-options=image "$@"
		[ "$status" != 0 ] || break
		expect_status 254
		expect_no_output "ended without an answer" \
			"forbidden system call" "false answer"
		case $output in
		*"No space left on device"* | *" bytes free"* | *"disk is full"*) ;;
		*) fail "$driver, $size KiB: $output" ;;
		esac
		# What was stored is whole; what was not left nothing.
		[ -z "$(ls -A "$D/data/cas/tmp" 2>/dev/null)" ] ||
			fail "$driver, $size KiB: $(files_in tmp)"
		sound "$driver, $size KiB"
		# With room it works at once.
		if [ $((n % 3)) = 0 ]; then
			mount -o remount,size=64m "$D/data"
			run "$RKT" --dir="$D/data" --image-driver="$driver" \
				--insecure-options=image "$@"
			expect_status 0
			sound "$driver, $size KiB"
		fi
		mount -o remount,size=64m "$D/data"
		emptied "$driver, $size KiB"
		size=$((size + step))
		n=$((n + 1))
		[ "$n" -lt 200 ] || fail "$driver: still $output"
		small "$size"
	done
	[ "$n" -gt 3 ] || fail "$driver: only $n"
	sound "$driver"
	emptied
}

@test "a disk that is full at any step: an image, unpacked" {
	fills tree 20 76 fetch "$F/a.aci"
}

@test "a disk that is full at any step: an image, with its index" {
	fills loop 20 52 fetch "$F/a.aci"
}

@test "a disk that is full at any step: layers" {
	host_has python3 || skip "needs python3: not on this host"
	python3 "$BATS_TEST_DIRNAME/oci.py" layout "$D/layout" busybox one
	fills tree 200 300 fetch "oci:$D/layout:v1"
	fills loop 200 300 fetch "oci:$D/layout:v1"
}

@test "a disk without any room is freed by rm and by gc" {
	skip_without mountable
	local driver words
	truncate -s 12M "$D/disk"
	mkfs.ext4 -q -m 0 "$D/disk"
	mount -o loop "$D/disk" "$D/data"
	on_disk=$D/data
	for driver in tree erofs; do
		for words in "image rm example.com/a" \
			"image gc --grace-period=0s"; do
			R --image-driver=$driver fetch "$F/a.aci" >/dev/null 2>&1
			! cat /dev/zero >"$D/data/fill" 2>/dev/null
			run R fetch "$F/b.aci"
			expect_status 254
			# shellcheck disable=SC2086
			run R $words
			expect_status 0
			expect_output "successfully removed"
			rm "$D/data/fill"
			emptied "$driver"
		done
	done
}

# --- several at once ---------------------------------------------------------------

@test "image rm and gc while pods are prepared: all or nothing" {
	skip_without overlay
	local i jobs=()
	R fetch "$F/a.aci" >/dev/null 2>&1
	for i in 1 2 3 4 5 6 7 8; do
		R prepare --quiet "$F/a.aci" -- exit-code 3 >"$D/uuid.$i" \
			2>"$D/err.$i" &
		jobs+=($!)
		R image rm example.com/a >>"$D/rm" 2>&1 &
		jobs+=($!)
		R image gc --grace-period=0s >>"$D/gc" 2>&1 &
		jobs+=($!)
	done
	for i in "${jobs[@]}"; do
		wait "$i" || fail "$(cat "$D"/err.* "$D/rm" "$D/gc")"
	done
	R image gc --grace-period=0s
	for i in 1 2 3 4 5 6 7 8; do
		run R run-prepared --net=none "$(tail -1 "$D/uuid.$i")"
		expect_status 3
	done
	pods_destroy "$D/data"
	emptied
}

# --- file systems --------------------------------------------------------------------

# works: fetched, run, verified, removed there
works() {
	run R fetch "$F/a.aci"
	expect_status 0
	run R run --net=none example.com/a -- exit-code 3
	expect_status 3
	run R image verify example.com/a
	expect_status 0
	pods_destroy "$D/data"
	run R image rm example.com/a
	expect_status 0
	emptied
}

@test "a store on tmpfs" {
	small 65536
	works
}

@test "a store on overlayfs" {
	skip_without overlay
	mkdir "$D"/{lower,upper,work}
	mount -t overlay -o "lowerdir=$D/lower,upperdir=$D/upper,workdir=$D/work" \
		overlay "$D/data"
	on_disk=$D/data
	works
}

@test "a read-only file system: what is there is shown, nothing is stored" {
	small 65536
	R fetch "$F/a.aci" >/dev/null 2>&1
	mount -o remount,ro "$D/data"
	run R image list --no-legend --fields=name
	expect_status 0
	[ "$output" = example.com/a:1.0.0 ] || fail "$output"
	run R image cat-manifest example.com/a
	expect_status 0
	run R image export example.com/a "$D/out.aci"
	expect_status 0
	run R image verify example.com/a
	for words in "fetch $F/b.aci" "image rm example.com/a" "image gc --grace-period=0s" \
		"run --net=none example.com/a"; do
		# shellcheck disable=SC2086
		run R $words
		expect_status 254
		expect_output "ead-only file system"
	done
	mount -o remount,rw "$D/data"
	sound end
}

# --- damaged bytes -------------------------------------------------------------------

# flips FILE N DIR: N copies, each with another bit changed, from its first
# byte to its last
flips() {
	mkdir -p "$3"
	python3 - "$@" <<-'END'
		import sys
		name, n, dir = sys.argv[1], int(sys.argv[2]), sys.argv[3]
		good = open(name, 'rb').read()
		for i in range(n):
		    at = i * (len(good) - 1) // (n - 1)
		    bad = bytearray(good)
		    bad[at] ^= 1 << i % 8
		    open('%s/%03d' % (dir, i), 'wb').write(bad)
	END
}

@test "300 flipped bits in compressed images: refused, or the same image" {
	host_has python3 || skip "needs python3: not on this host"
	local how bad want
	R fetch "$F/b.aci" >/dev/null 2>&1
	want=$(blobs)
	R image rm example.com/b
	gzip -dc "$F/b.aci" >"$D/b.tar"
	for how in "gzip -n" bzip2 xz zstd; do
		$how <"$D/b.tar" >"$D/b" 2>/dev/null
		flips "$D/b" 75 "$D/flips"
		for bad in "$D"/flips/*; do
			run R fetch "$bad"
			[ "$status" = 0 ] || one_error
			[ -z "$(blobs)" ] || [ "$(blobs)" = "$want" ] ||
				fail "$how, $bad: $(blobs)"
			[ "$status" != 0 ] || R image rm example.com/b
		done
		rm -rf "$D/flips"
	done
	emptied
}

@test "streams cut anywhere are refused" {
	local how n size
	gzip -dc "$F/b.aci" >"$D/b.tar"
	for how in cat "gzip -n" bzip2 xz zstd; do
		$how <"$D/b.tar" >"$D/b" 2>/dev/null
		size=$(stat -c %s "$D/b")
		# A tar without its end is one byte short of what is needed, or more.
		[ "$how" != cat ] || size=$((size - 9216))
		for n in {1..20}; do
			head -c $((size * n / 21)) "$D/b" >"$D/cut"
			run R fetch "$D/cut"
			one_error
		done
	done
	[ -z "$(blobs)$(files_in tmp)" ]
}

@test "flipped bits of signatures and keys vouch for nothing" {
	host_has gpg || skip "needs gpg: not on this host"
	host_has python3 || skip "needs python3: not on this host"
	local bad
	export GNUPGHOME=$D/gnupg
	mkdir -m 0700 "$GNUPGHOME"
	gpg --batch --quiet --passphrase '' --quick-gen-key \
		"good <good@example.com>" ed25519 sign never
	gpg --export good@example.com >"$D/key"
	gpg --batch --quiet --passphrase '' --pinentry-mode loopback \
		--output "$D/sig" --detach-sign "$F/b.aci"
	gpgconf --kill all
	rkt trust --prefix=example.com --skip-fingerprint-review "$D/key"
	cp "$F/b.aci" "$D/other.aci"
	printf X >>"$D/other.aci"
	flips "$D/sig" 60 "$D/flips"
	for bad in "$D"/flips/*; do
		run rkt fetch "$F/b.aci" --signature="$bad"
		# Some bits of a signature are not signed.
		[ "$status" = 0 ] || one_error
		[ "$status" != 0 ] || rkt image rm example.com/b
		run rkt fetch "$D/other.aci" --signature="$bad"
		expect_status 254
	done
	flips "$D/key" 40 "$D/keys"
	rm -rf "$D/local/trustedkeys"
	for bad in "$D"/keys/*; do
		run rkt trust --prefix=example.com --skip-fingerprint-review "$bad"
		[ "$status" = 0 ] || expect_status 254
		expect_no_output "ended without an answer" "forbidden"
		[ "$status" = 0 ] || continue
		# Under whatever fingerprint, it is not the key that signed; or
		# what was flipped says nothing of the key itself.
		run rkt fetch "$F/b.aci" --signature="$D/sig"
		[ "$status" = 0 ] || expect_status 254
		[ "$status" != 0 ] || rkt image rm example.com/b
		rm -rf "$D/local/trustedkeys"
	done
}

@test "flipped bits of a stored tar: found by verify, and not run" {
	skip_without mountable
	local blob bad id
	R fetch "$F/b.aci" >/dev/null 2>&1
	id=$(blobs)
	blob=$(files_in blob)
	flips "$blob" 60 "$D/flips"
	for bad in "$D"/flips/*; do
		chattr -f -i "$blob" || true
		cp "$bad" "$blob"
		run R image verify "$id"
		one_error "fetch ${id:0:71} again"
		[ ! -e "$blob" ] || fail "$bad: still there"
		R fetch "$F/b.aci" >/dev/null 2>&1
		sound "$bad"
	done
	emptied
}

@test "flipped bits of a stored manifest: found and mended by verify" {
	local file bad
	R fetch "$F/b.aci" >/dev/null 2>&1
	file=$(files_in manifest)
	cp "$file" "$D/good"
	flips "$file" 60 "$D/flips"
	for bad in "$D"/flips/*; do
		cp "$bad" "$file"
		run R image cat-manifest "$(blobs)"
		[ "$status" = 0 ] || one_error
		run R image verify "$(blobs)"
		expect_status 0
		expect_output "manifest"
		cmp "$file" "$D/good" || fail "$bad"
	done
	emptied
}

@test "flipped bits of an index: made again, or the image is refused" {
	skip_without mountable
	local file bad
	R fetch "$F/b.aci" >/dev/null 2>&1
	file=$(files_in index)
	cp "$file" "$D/good"
	flips "$file" 60 "$D/flips"
	for bad in "$D"/flips/*; do
		cp "$bad" "$file"
		run R prepare --quiet --no-overlay example.com/b --exec=/x
		expect_status 0
		cmp "$file" "$D/good" || fail "$bad"
		cmp "$F/b/rootfs/etc/data" \
			"$D"/data/pods/prepared/*/generations/*/1/rootfs/etc/data
		pods_destroy "$D/data"
		R image gc # unmounts
	done
	emptied
}

@test "a damaged index is not made again from a damaged tar" {
	skip_without mountable
	local blob index driver
	R fetch "$F/b.aci" >/dev/null 2>&1
	blob=$(files_in blob)
	cp "$blob" "$D/good"
	R fetch --pull-policy=new "$F/dep.aci" >/dev/null 2>&1
	index=$D/data/cas/index/$(R image list --full --no-legend \
		--fields=id,name | awk '/dep/ { print $1 }')
	index=$(ls "$index"*)
	unseal "$D/data"
	printf X | dd of="$blob" bs=1 seek=5000 conv=notrunc 2>/dev/null
	printf X | dd of="$index" bs=1 seek=2000 conv=notrunc 2>/dev/null
	for driver in auto erofs loop; do
		run R --image-driver=$driver prepare --quiet --no-overlay \
			example.com/dep --exec=/x
		expect_status 254
		expect_output "$(basename "$blob" | cut -c1-71) holds other bytes"
	done
	run R image verify example.com/dep
	expect_status 254
	expect_output "$(basename "$blob" | cut -c1-71) holds other bytes"
	[ -z "$(ls "$D/data/cas/tree")" ]
	cat "$D/good" >"$blob"
	run R image verify example.com/dep
	expect_status 0
	expect_output "rebuilding"
	run R prepare --quiet --no-overlay example.com/dep --exec=/x
	expect_status 0
	pods_destroy "$D/data"
	emptied
}

@test "a damaged table: an error or an answer, and a way out" {
	host_has python3 || skip "needs python3: not on this host"
	local db=$D/data/cas/images.sqlite bad
	R fetch "$F/b.aci" "$F/a.aci" >/dev/null 2>&1
	cp "$db" "$D/good"
	flips "$db" 100 "$D/flips"
	: >"$D/flips/empty"
	for bad in 1 50 100 511 4096 5000 8192; do
		head -c $bad "$D/good" >"$D/flips/cut-$bad"
	done
	for bad in "$D"/flips/*; do
		cp "$bad" "$db"
		run R image list
		[ "$status" = 0 ] || one_error "image table"
		run R fetch "$F/b.aci"
		[ "$status" = 0 ] || expect_status 254
		cp "$bad" "$db"
		run R image gc
		[ "$status" = 0 ] || one_error "image table"
		rm -f "$db" "$db"-*
	done
	sqlite_version 99
	for words in "image list" "fetch $F/b.aci" "image gc"; do
		# shellcheck disable=SC2086
		run R $words
		expect_status 254
		expect_output "version 99, this rkt knows up to"
	done
	rm -f "$db" "$db"-*
	mended end
	[ "$(R image list --no-legend | wc -l)" = 2 ]
	emptied
}

# sqlite_version N: the good table, as if a later rkt had made it
sqlite_version() {
	cp "$D/good" "$D/data/cas/images.sqlite"
	python3 -c "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('PRAGMA user_version = $1')
db.commit()" "$D/data/cas/images.sqlite"
}

# unreadable DIRECTORY COMMAND...: as on a disk that cannot read it
unreadable() {
	local dir=$D/data/$1
	shift
	run strace -o "$D/strace" -P "$dir" -e trace=getdents64 \
		-e inject=getdents64:error=EIO \
		"$RKT" --dir="$D/data" --insecure-options=image "$@"
	expect_status 254
	expect_output "Input/output error"
	grep -q INJECTED "$D/strace"
}

@test "directories that cannot be read: nothing they name is removed" {
	skip_without strace
	R fetch "$F/a.aci" >/dev/null 2>&1
	R prepare --quiet --no-overlay example.com/a --exec=/x
	unreadable pods/prepared image gc --grace-period=0s
	[ "$(blobs | wc -l)" = 1 ]
	command rm -f "$D/data/cas/complete"
	unreadable cas/blob image list
	pods_destroy "$D/data"
	emptied
}

# --- memory ------------------------------------------------------------------------

# peak COMMAND: the most memory it or a process below it had, KiB
peak() {
	python3 -c '
import resource, subprocess, sys
r = subprocess.call(sys.argv[2:], stdout=open(sys.argv[1], "w"), stderr=subprocess.STDOUT)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(r)' "$D/out" "$@"
}

# Threads come, take and give back much memory, inside the cage.
@test "xz in many blocks that do not compress" {
	skip_without xz
	mkdir -p "$D/big/rootfs"
	head -c 24M /dev/urandom >"$D/big/rootfs/big"
	cp "$F/b/manifest" "$D/big/manifest"
	tar -C "$D/big" -c manifest rootfs |
		xz -T2 --block-size=3MiB --lzma2=preset=0,dict=1MiB >"$D/big.aci"
	run R fetch "$D/big.aci"
	expect_status 0
	sound end
	emptied
}

@test "no compression takes more than 64 MiB, but xz -9" {
	skip_without not-sanitized
	host_has python3 || skip "needs python3: not on this host"
	local how kib
	mkdir -p "$D/big/rootfs"
	# More than the longest window.
	yes "$(head -c 3000 /dev/urandom | base64 -w 70)" | head -c 48M \
		>"$D/big/rootfs/big"
	cp "$F/b/manifest" "$D/big/manifest"
	tar -C "$D/big" -cf "$D/big.tar" manifest rootfs
	while read -r how; do
		$how <"$D/big.tar" >"$D/big.aci"
		kib=$(peak "$RKT" --dir="$D/data" --insecure-options=image \
			fetch "$D/big.aci") || fail "$how: $(cat "$D/out")"
		[ "$kib" -lt 65536 ] || fail "$how: $kib KiB"
		R image rm example.com/b >/dev/null 2>&1
	done <<-'END'
		gzip -1
		xz -T1 --lzma2=preset=0,dict=8MiB
		xz -T1 --lzma2=preset=0,dict=32MiB
		xz -T2 --block-size=2MiB --lzma2=preset=0,dict=1MiB
		xz -T2 --block-size=24MiB --lzma2=preset=0,dict=8MiB
		zstd -q -1
		zstd -q -1 --long=25
	END
	# What it looks back, and no more than the others besides.
	xz -T1 --lzma2=preset=0,dict=64MiB <"$D/big.tar" >"$D/big.aci"
	kib=$(peak "$RKT" --dir="$D/data" --insecure-options=image fetch \
		"$D/big.aci") || fail "xz -9: $(cat "$D/out")"
	[ "$kib" -lt 98304 ] || fail "xz -9: $kib KiB"
	R image rm example.com/b >/dev/null 2>&1
	while IFS=: read -r how says; do
		$how <"$D/big.tar" >"$D/big.aci"
		kib=$(peak "$RKT" --dir="$D/data" --insecure-options=image \
			fetch "$D/big.aci") && fail "$how: accepted"
		[ "$kib" -lt 65536 ] || fail "$how: $kib KiB"
		output=$(cat "$D/out")
		status=254
		one_error "$says"
	done <<-'END'
		xz -T1 --lzma2=preset=0,dict=96MiB:more than 80 MiB of memory
		zstd -q -1 --long=26:a window of more than 32 MiB
		zstd -q -1 --ultra --long=27:a window of more than 32 MiB
	END
	emptied
}
