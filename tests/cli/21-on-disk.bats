#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# Large images are committed before they are on the disk.  Whatever then
# happens, no byte is used that is not what was fetched.

load lib

setup_file() {
	load lib
	mkdir -p "$F/big/rootfs/bin" "$F/top/rootfs"
	cp /bin/busybox "$F/big/rootfs/bin/busybox"
	head -c 67200000 /dev/urandom >"$F/big/rootfs/data"
	sha256sum <"$F/big/rootfs/data" | cut -d' ' -f1 >"$F/sum"
	image_tree "$F/big" example.com/big 1.0.0 \
		'.app.exec=["/bin/busybox", "sha256sum", "/data"]'
	image_tree "$F/top" example.com/top 1.0.0 \
		'.app.exec=["/bin/busybox", "sha256sum", "/data"] |
		.dependencies=[{imageName:"example.com/big"}]'
	# Made, taken and looked at many times.
	gzip -dc "$F/big.aci" >"$F/big.tar"
	mv "$F/big.tar" "$F/big.aci"
	image_inside "$F/small.aci" . example.com/small 1.0.0
}

setup() {
	skip_without busybox
	skip_without mountable
	setup_test
	stopped=
	export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
}

teardown() {
	local disk
	[ -z "$stopped" ] || kill "$stopped" 2>/dev/null || true
	wait_for 60 nobody_seals
	pods_destroy "$D/data"
	for disk in "$D"/disk*.mounted; do
		[ -e "$disk" ] || continue
		rkt image gc --grace-period=0s >/dev/null 2>&1 || true
		umount "$D/data"
	done
	rkt image gc --grace-period=0s >/dev/null 2>&1 || true
	teardown_test
}

R() {
	"$RKT" --dir="$D/data" --insecure-options=image "$@"
}

nobody_seals() {
	! pgrep -x rkt-seal >/dev/null
}

# The tar of example.com/big, the largest.
blob() {
	find "$D/data/cas/blob" -name '*.tar' -size +60M
}

mode() {
	stat -c %a "$(blob)"
}

is_sealed() {
	[ "$(mode)" = 440 ] || return 1
	! host_has immutable || [[ $(lsattr "$(blob)") == ????i* ]]
}

# fetch_cut [WORDS...]: fetched, and whoever was to seal it is killed with the
# command, as all processes of a service are.
fetch_cut() {
	local i
	for ((i = 0; i < 20; i++)); do
		R image rm example.com/big >/dev/null 2>&1 || true
		unshare --pid --fork --kill-child "$RKT" --dir="$D/data" \
			--insecure-options=image fetch "$F/big.aci" "$@" \
			>"$D/out" 2>&1 || fail "$(cat "$D/out")"
		[ "$(mode)" != 640 ] || return 0
	done
	fail "it was always faster"
}

# The tar is not what it was: the first of its data, as if never written.
damage() {
	dd if=/dev/zero of="$(blob)" bs=4096 seek=1000 count=100 conv=notrunc \
		status=none
}

run_sum() {
	run_rkt run --net=none "$@"
}

expect_sum() {
	echo "$output"
	expect_status 0
	expect_output "$(cat "$F/sum")"
}

taken_away() {
	echo "$output"
	expect_status 254
	expect_output "is damaged: the host went down before it was on the disk (fetch it again)"
	[ -z "$(blob)" ]
	[ -z "$(ls /run/rkt/img 2>/dev/null)" ]
}

# It is fetched again, and well.
again() {
	run_sum "$F/big.aci"
	expect_sum
	wait_for 60 is_sealed
}

@test "what is large is sealed after the command, what is small before" {
	R fetch "$F/small.aci"
	[ "$(stat -c %a "$D"/data/cas/blob/*)" = 440 ]
	R fetch "$F/big.aci"
	wait_for 60 is_sealed
	wait_for 60 nobody_seals
	run_sum example.com/big
	expect_sum
	expect_no_output "checking image"
	run R image verify example.com/big
	expect_status 0
}

@test "--sync: sealed when the command ends, whoever does it" {
	R fetch --sync "$F/big.aci"
	is_sealed
	R fetch --sync "$F/big.aci"
	is_sealed
	R image rm example.com/big
	R image import --sync "$F/big.aci"
	is_sealed
	fetch_cut
	R fetch --sync --pull-policy=new example.com/big
	is_sealed
}

@test "a pod starts while nothing is sealed, and when nobody will" {
	fetch_cut
	run_sum example.com/big
	expect_sum
	expect_output "checking image sha512-"
	wait_for 60 is_sealed
	run_sum example.com/big
	expect_sum
	expect_no_output "checking image"
}

@test "gc, verify, an import and another image's use seal what nobody did" {
	local how
	R fetch "$F/small.aci"
	for how in gc verify fetch dependency export; do
		fetch_cut
		case $how in
		gc) R image gc && is_sealed ;;
		verify) R image verify example.com/big ;;
		fetch) R fetch "$F/big.aci" ;;
		dependency) R fetch --pull-policy=never "$F/top.aci" ;;
		export) R image export --overwrite example.com/big "$D/e.aci" ;;
		esac
		wait_for 60 is_sealed || fail "$how"
	done
	cmp "$D/e.aci" "$(blob)"
}

@test "a damaged tar that nobody sealed is taken away, wherever it is met" {
	local how image=example.com/big
	R fetch "$F/small.aci"
	for how in run id gc verify export fetch cut; do
		fetch_cut
		case $how in
		cut) truncate -s 30000000 "$(blob)" ;;
		*) damage ;;
		esac
		case $how in
		run | cut)
			run_sum --pull-policy=never $image
			taken_away
			expect_output "not in the store"
			;;
		id)
			run_sum "$(basename "$(blob)" .tar)"
			taken_away
			expect_output "no image IDs found"
			;;
		gc)
			run R image gc
			expect_status 0
			expect_output "is damaged"
			;;
		verify)
			run R image verify $image
			taken_away
			;;
		export)
			run R image export --overwrite $image "$D/e.aci"
			taken_away
			;;
		# An import needs nothing of it.
		fetch)
			run R fetch "$F/big.aci"
			expect_status 0
			expect_no_output "is damaged"
			;;
		esac
		again
		R image rm $image
	done
}

@test "an index over such a tar, and a prepared pod" {
	local uuid
	R fetch --sync "$F/big.aci"
	R image rm example.com/big
	fetch_cut
	R fetch --pull-policy=never "$F/top.aci"
	run_sum example.com/top
	expect_sum
	wait_for 60 is_sealed
	R image rm example.com/top
	fetch_cut
	# Nobody to seal it: the pod is prepared, and the host goes down.
	unshare --pid --fork --kill-child "$RKT" --dir="$D/data" \
		--insecure-options=image prepare example.com/big >"$D/out" 2>&1
	uuid=$(tail -1 "$D/out")
	wait_for 60 nobody_seals
	umount -l /run/rkt/img/*/* || true
	unseal "$D/data"
	chmod 640 "$(blob)"
	damage
	run_rkt run-prepared --net=none "$uuid"
	taken_away
	R rm "$uuid"
}

# disk NUMBER: the file $D/diskNUMBER on $D/data
disk() {
	mount -o loop "$D/disk$1" "$D/data"
	: >"$D/disk$1.mounted"
}

undisk() {
	umount -l /run/rkt/img/*/* 2>/dev/null || true
	umount "$D/data"
	rm "$D/disk$1.mounted"
}

@test "power is lost: what the disk has is used if it is right, or not at all" {
	local i damaged=0
	truncate -s 600M "$D/disk1"
	mkfs.ext4 -q -E lazy_itable_init=0 "$D/disk1"
	for i in 1 2; do
		disk 1
		fetch_cut "$F/small.aci"
		# What the disk has at this moment.
		cp --sparse=always "$D/disk1" "$D/disk2"
		unseal "$D/data"
		undisk 1
		disk 2
		[ "$(mode)" = 640 ]
		if [ "$(basename "$(blob)" .tar)" = \
			"sha512-$(sha512sum <"$(blob)" | cut -d' ' -f1)" ]; then
			run_sum example.com/big
			expect_sum
		else
			damaged=$((damaged + 1))
			run_sum --pull-policy=never example.com/big
			taken_away
			again
		fi
		run R image verify example.com/small
		expect_status 0
		expect_no_output "not found"
		wait_for 60 nobody_seals
		rkt gc --grace-period=0s
		R image gc --grace-period=0s
		undisk 2
	done
	echo "$damaged of 2 damaged"
}

@test "a disk that does not take it: the image is taken away, --sync says so" {
	skip_without strace
	local first second pid r=0
	R fetch --sync "$F/small.aci"
	# The first fetch does not end before the small image is let go.
	exec 8<"$(find "$D/data/cas/blob" -name '*.tar')"
	flock 8
	R fetch --pull-policy=new "$F/big.aci" "$F/small.aci" \
		>"$D/out" 2>&1 8<&- &
	first=$!
	wait_for 25 pgrep -x rkt-seal
	pid=$(pgrep -x rkt-seal)
	R fetch --sync --pull-policy=new example.com/big >"$D/out.sync" \
		2>&1 8<&- &
	second=$!
	wait_for 20 grep -q -- "-> OFDLCK.*:$(stat -c %i "$(blob)") " /proc/locks
	strace -o "$D/strace" -e trace=fsync -e inject=fsync:error=EIO \
		-p "$pid" 2>"$D/attached" 8<&- &
	stopped=$!
	wait_for 10 grep -q attached "$D/attached"
	exec 8<&-
	wait $first
	wait $second || r=$?
	[ "$r" = 254 ] || fail "$r: $(cat "$D/out.sync")"
	grep -q "could not be written to the disk" "$D/out.sync"
	grep -q INJECTED "$D/strace"
	wait_for 60 nobody_seals
	[ -z "$(blob)" ]
	again
}

@test "rm and gc while it is sealed, and fetches at once, leave nothing odd" {
	local i pids=
	for i in 1 2 3; do
		R fetch "$F/big.aci"
		R image rm example.com/big
		[ -z "$(blob)" ]
		R fetch "$F/big.aci"
		R image gc --grace-period=0s
		[ -z "$(blob)" ]
	done
	for i in 1 2 3; do
		R fetch "$F/big.aci" >"$D/out.$i" 2>&1 &
		pids="$pids $!"
	done
	for i in $pids; do wait "$i"; done
	wait_for 60 is_sealed
	wait_for 60 nobody_seals
	run_sum example.com/big
	expect_sum
	R gc --grace-period=0s
	R image gc --grace-period=0s
	[ -z "$(find "$D/data/cas" -mindepth 2)" ]
}

@test "killed at any moment of a fetch: seen whole, or not at all" {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		timeout -s KILL "0.$((i * 9))" unshare --pid --fork \
			--kill-child "$RKT" --dir="$D/data" \
			--insecure-options=image fetch "$F/big.aci" \
			>/dev/null 2>&1 || true
		if R image list --no-legend | grep -q example.com/big; then
			run_sum --pull-policy=never example.com/big
			expect_sum
		fi
		R gc --grace-period=0s
		wait_for 60 nobody_seals
		R image gc --grace-period=0s >/dev/null
		[ -z "$(find "$D/data/cas" -mindepth 2)" ]
	done
}
