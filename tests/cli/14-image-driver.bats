#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats sets status, output, stderr
# The ways an image becomes a root file system: mounted from its files or
# through loop devices, or unpacked.  All give the same one.

load lib

setup_file() {
	load lib
	mkdir -p "$F"
	image_inside "$F/a.aci" '.' example.com/a 1.0.0
	image_inside "$F/b.aci" '.' example.com/b 1.0.0
}

setup() {
	setup_test
	skip_without mountable
	mkdir "$D/tmpfs"
	mount -t tmpfs tmpfs "$D/tmpfs"
}

teardown() {
	pods_destroy "$D/tmpfs/data"
	unmount_images
	! mountpoint -q "$D/tmpfs" || umount "$D/tmpfs"
	teardown_test
}

# As a restart of the host does.
unmount_images() {
	local m
	for m in /run/rkt/img/*/*; do
		[ ! -d "$m" ] || umount -l "$m"
	done
	rm -rf /run/rkt/img
}

# on DIR DRIVER ARGS: rkt with that data directory and driver.
on() {
	local dir=$1 driver=$2
	shift 2
	"$RKT" --dir="$dir" --image-driver="$driver" \
		--insecure-options=image "$@"
}

run_a() {
	run on "$1" "$2" run --net=none "$F/a.aci" -- exit-code 3
}

# How the images below /run/rkt/img are mounted, "file" or "loop" each.
mounted_from() {
	local m
	for m in /run/rkt/img/*/*; do
		mountpoint -q "$m" || continue
		case $(findmnt -rn -o SOURCE -M "$m") in
		/dev/loop*) echo loop ;;
		*) echo file ;;
		esac
	done
}

count() {
	find "$1" -mindepth 1 -maxdepth 1 | wc -l
}

rootfs_of() {
	case $2 in
	tree) echo "$1"/cas/tree/*/rootfs ;;
	*) echo /run/rkt/img/*/*/rootfs ;;
	esac
}

@test "auto mounts from files, where that does not work through loop devices" {
	run_a "$D/data" auto
	expect_status 3
	[ "$(mounted_from)" = file ]
	[ -z "$(ls "$D/data/cas/tree")" ]
	unmount_images
	run_a "$D/tmpfs/data" auto
	expect_status 3
	[ "$(mounted_from)" = loop ]
	[ -z "$(ls "$D/tmpfs/data/cas/tree")" ]
	[ "$(stat -c '%a %U' "$D/tmpfs/data/cas/index")" = "700 root" ]
	[ "$(stat -c %a "$D"/data/cas/index/*.erofs)" = 400 ]
	[ "$(stat -c %a /run/rkt/img)" = 700 ]
	grep -q ' /run/rkt/img/.* ro,nosuid,nodev' /proc/self/mountinfo
}

@test "image list: the size of the tar, and of a tree where there is one" {
	local driver tar
	for driver in erofs tree; do
		on "$D/$driver" "$driver" fetch "$F/a.aci"
		tar=$(stat -c %s "$D/$driver"/cas/blob/*.tar)
		run on "$D/$driver" "$driver" image list --full --no-legend \
			--fields=size
		expect_status 0
		if [ "$driver" = tree ]; then
			[ "$output" -gt "$tar" ] || fail "$output"
		else
			[ "$output" = "$tar" ] || fail "$output, not $tar"
		fi
	done
}

@test "auto unpacks where nothing can be mounted" {
	skip_without overlay
	# No loop devices, and a file system that cannot be mounted from.
	run unshare -m sh -c 'mount -t tmpfs tmpfs /dev && mknod /dev/null c 1 3 &&
		"$@"' sh "$RKT" --dir="$D/tmpfs/data" --insecure-options=image \
		fetch "$F/a.aci"
	expect_status 0
	[ -x "$(rootfs_of "$D/tmpfs/data" tree)/inside" ]
	run_a "$D/tmpfs/data" auto
	expect_status 3
	[ -z "$(mounted_from)" ]
}

@test "--image-driver forces one, says why it cannot" {
	run_a "$D/tmpfs/data" erofs
	expect_status 254
	expect_output "mount the image"
	[ -z "$(ls "$D/tmpfs/data/cas/tree")" ]
	for driver in loop tree; do
		run_a "$D/tmpfs/data" "$driver"
		expect_status 3
	done
	run rkt --image-driver=zfs image list
	expect_status 254
	expect_output 'image driver "zfs" is none of erofs, loop, tree'
}

@test "one mount for all pods of an image, in each life of the host" {
	on "$D/data" erofs fetch "$F/a.aci" "$F/b.aci"
	[ -z "$(mounted_from)" ]
	for _ in 1 2 3; do
		run on "$D/data" erofs run --net=none example.com/a -- exit-code 3
		expect_status 3
	done
	[ "$(mounted_from)" = file ]
	unmount_images
	for _ in {1..8}; do
		on "$D/data" erofs run --net=none example.com/a -- exit-code 3 &
	done
	for job in $(jobs -p); do
		code=0
		wait "$job" || code=$?
		[ "$code" = 3 ]
	done
	[ "$(mounted_from)" = file ]
}

@test "a warm start opens one mount: no table, no walk, no sync" {
	skip_without strace
	# Its libraries have such names, too.
	skip_without not-sanitized
	on "$D/data" erofs fetch --full "$F/a.aci" >"$D/id" 2>/dev/null
	id=$(grep -o 'sha512-[0-9a-f]*' "$D/id")
	on "$D/data" erofs run --net=none "$id" -- exit-code 0
	strace -f -o "$D/log" -e trace='%file,fsync,fdatasync,syncfs,fsopen,fsconfig' \
		"$RKT" --dir="$D/data" --insecure-options=image \
		run --net=none "$id" -- exit-code 0
	# Up to where rkt becomes stage1.
	sed '/execveat/q' "$D/log" >"$D/before"
	# Is it there (so that no dependency is asked for), and the descriptor.
	[ "$(grep -c '/run/rkt/img' "$D/before")" = 2 ]
	[ "$(grep -cE 'sqlite|cas/index|sync\(|fsopen|fsconfig' "$D/before")" = 0 ]
}

@test "every odd image is the same, however it is unpacked or mounted" {
	host_has python3 || skip "needs python3: not on this host"
	mkdir "$D/odd"
	python3 "$TESTS/images/make-odd.py" "$D/odd"
	for image in "$D"/odd/*.aci; do
		# All on one file system: times are as fine on all of them.
		for driver in tree erofs loop; do
			on "$D/$driver" "$driver" prepare --no-overlay \
				"$image" --exec=/x >"$D/uuid"
			[ "$driver" = tree ] || python3 \
				"$TESTS/cli/compare.py" \
				"$(rootfs_of "$D/tree" tree)" \
				"$(rootfs_of "$D/$driver" "$driver")" ||
				fail "$image by $driver"
			# What --no-overlay copied from there.
			[ "$driver" != erofs ] || python3 \
				"$TESTS/cli/compare.py" \
				"$(rootfs_of "$D/tree" tree)" \
				"$D/erofs/pods/prepared/$(cat "$D/uuid")"/generations/*/1/rootfs ||
				fail "$image copied"
			unmount_images
		done
		rm -rf "$D/tree" "$D/erofs" "$D/loop"
	done
}

@test "dependencies and path whitelists, in one index over three tars" {
	for i in base middle top; do mkdir -p "$D/$i/rootfs/etc"; done
	echo base | tee "$D/base/rootfs/etc/"{a,b,c,hidden} >/dev/null
	ln "$D/base/rootfs/etc/a" "$D/base/rootfs/etc/linked"
	ln -s etc "$D/base/rootfs/dir"
	chmod 0711 "$D/base/rootfs/etc"
	cp "$INSIDE" "$D/base/rootfs/inside"
	echo middle >"$D/middle/rootfs/etc/b"
	mkdir "$D/middle/rootfs/dir"
	echo middle >"$D/middle/rootfs/dir/file"
	echo top >"$D/top/rootfs/etc/c"
	image_tree "$D/base" example.com/base 1.0.0
	image_tree "$D/middle" example.com/middle 1.0.0 \
		'.dependencies=[{"imageName":"example.com/base"}]'
	image_tree "$D/top" example.com/top 1.0.0 \
		'.dependencies=[{"imageName":"example.com/middle"}]
		| .pathWhitelist=["/etc/a","/etc/linked","/etc/b","/etc/c","/dir/file","/inside"]'
	for driver in tree erofs; do
		on "$D/$driver" "$driver" fetch --pull-policy=new \
			"$D/base.aci" "$D/middle.aci" "$D/top.aci"
		on "$D/$driver" "$driver" prepare --no-overlay \
			example.com/top --exec=/inside
	done
	tree=$(ls -d "$D"/tree/pods/prepared/*/generations/*/1/rootfs)
	copy=$(ls -d "$D"/erofs/pods/prepared/*/generations/*/1/rootfs)
	# The time of a directory that only leads to kept files is nobody's.
	find "$tree" "$copy" -type d -exec touch -d @0 {} +
	python3 "$TESTS/cli/compare.py" "$tree" "$copy"
	[ "$(cat "$copy/etc/a" "$copy/etc/b" "$copy/etc/c" "$copy/dir/file")" = \
		"$(printf 'base\nmiddle\ntop\nmiddle')" ]
	[ ! -e "$copy/etc/hidden" ]
	# A removed dependency stays as far as the index needs it.
	on "$D/erofs" erofs image rm example.com/base example.com/middle
	unmount_images
	run on "$D/erofs" erofs run --pull-policy=never --net=none \
		example.com/top --exec=/inside -- \
		read /etc/a
	expect_output "base"
	[ "$(compgen -G "$D/erofs/cas/index/*.tar" | wc -l)" = 2 ]
	pods_destroy "$D/erofs"
	on "$D/erofs" erofs image rm example.com/top
	[ -z "$(ls "$D/erofs/cas/index")" ]
	[ -z "$(mounted_from)" ]
}

@test "an index that is missing, damaged, cut or not root's is made again" {
	on "$D/data" erofs fetch "$F/a.aci"
	index=$(ls "$D"/data/cas/index/*.erofs)
	cp "$index" "$D/good"
	damage() {
		case $1 in
		missing) rm "$index" ;;
		flipped) printf X | dd of="$index" bs=1 seek=2000 conv=notrunc ;;
		cut) truncate -s -512 "$index" ;;
		empty) : >"$index" ;;
		foreign) chown 65534 "$index" ;;
		esac
	}
	for how in missing flipped cut empty foreign; do
		damage "$how"
		run on "$D/data" erofs run --net=none example.com/a \
			-- exit-code 3
		expect_status 3
		[ "$(mounted_from)" = file ] || fail "$how: $output"
		cmp "$index" "$D/good" || fail "$how"
		[ "$(stat -c %U "$index")" = root ]
		unmount_images
	done
}

@test "image verify finds an index that shows another tree, and mends it" {
	on "$D/data" erofs fetch "$F/a.aci"
	index=$(ls "$D"/data/cas/index/*.erofs)
	cp "$index" "$D/good"
	run on "$D/data" erofs image verify example.com/a
	expect_status 0
	expect_output "successfully verified checksum"
	# With the right digest at its end, as a forger would have it.
	python3 - "$index" <<-X
		import hashlib, sys
		p = sys.argv[1]
		b = bytearray(open(p, "rb").read())
		b[1152 + 128 + 4] ^= 1
		b[-512 + 16:-512 + 80] = hashlib.sha512(b[:-512]).digest()
		open(p, "wb").write(b)
	X
	run on "$D/data" erofs image verify example.com/a
	expect_status 0
	expect_output "its index is not what the image makes;  rebuilding..."
	cmp "$index" "$D/good"
}

@test "a tar that was cut or is gone: refused with its name" {
	on "$D/data" erofs fetch "$F/a.aci"
	unseal "$D/data"
	truncate -s -512 "$D"/data/cas/blob/*.tar
	run on "$D/data" erofs run --net=none example.com/a -- exit-code 3
	expect_status 254
	expect_output "holds other bytes"
	[ -z "$(mounted_from)" ]
}

@test "image rm and image gc unmount; pods that run keep their files" {
	on "$D/data" erofs run --net=none --uuid-file-save="$D/uuid" \
		"$F/a.aci" -- sleep 100 >/dev/null 2>&1 &
	wait_for 10 compgen -G "$D/data/pods/run/*/supervisor-status"
	[ "$(mounted_from)" = file ]
	on "$D/data" erofs image gc
	[ "$(mounted_from)" = file ]
	on "$D/data" erofs image rm example.com/a
	[ "$(mounted_from)" = file ]
	# The image is gone, the pod's tar and index are not: it starts again.
	on "$D/data" erofs stop --force "$(cat "$D/uuid")"
	wait
	[ "$(count "$D/data/cas/index")" = 2 ]
	on "$D/data" erofs rm "$(cat "$D/uuid")"
	on "$D/data" erofs image gc
	[ -z "$(mounted_from)" ]
	[ -z "$(ls "$D/data/cas/index")" ]
}

@test "a mount that is taken away before it is opened is made again" {
	local at id
	skip_without strace
	rkt --insecure-options=image fetch "$F/a.aci" "$F/b.aci" >/dev/null
	id=$(basename "$(find "$D/data/cas/blob" -name '*.tar' | sort |
		head -n 1)" .tar)
	at=$(stat -c "0x%D %i" "$D/data/cas")
	at=$(printf "/run/rkt/img/%x-%x/$id/rootfs" $at)
	# Before it is mounted, under the lock, and behind it.
	run strace -f -o "$D/log" -P "$at" -e trace=open,openat \
		-e inject=openat:error=ENOENT:when=3 \
		"$RKT" --dir="$D/data" image diff example.com/a example.com/b
	cat "$D/log"
	grep -q INJECTED "$D/log"
	expect_status 0
}

@test "a store on a read-only file system" {
	on "$D/data" erofs fetch "$F/a.aci"
	uuid=$(on "$D/data" erofs prepare "$F/a.aci" -- exit-code 3)
	[ -n "$uuid" ]
	mount --bind "$D/data/cas" "$D/data/cas"
	mount -o remount,ro,bind "$D/data/cas"
	run on "$D/data" erofs run-prepared --net=none "$uuid"
	[ "$(mounted_from)" = file ]
	unmount_images
	umount "$D/data/cas"
	expect_status 3
}

@test "fetch with an index, killed at each of its changes" {
	skip_without strace
	local n=1 changes='/(linkat|fsync|unlinkat|renameat2|mkdir|mkdirat|fchmod|fsmount)$'
	until strace -o /dev/null -e trace="$changes" \
		-e inject="$changes":signal=SIGKILL:when="$n" \
		"$RKT" --dir="$D/data" --image-driver=erofs \
		--insecure-options=image fetch "$F/a.aci" >"$D/out" 2>&1; do
		for index in "$D"/data/cas/index/*.erofs; do
			[ ! -e "$index" ] || [ "$(tail -c 512 "$index" |
				head -c 11)" = "rkt index 1" ] || fail "$n"
		done
		on "$D/data" erofs image gc
		[ "$(count "$D/data/cas/index")" -le \
			"$(count "$D/data/cas/blob")" ] || fail "$n: lone"
		run on "$D/data" erofs run --net=none "$F/a.aci" -- exit-code 3
		expect_status 3
		pods_destroy "$D/data"
		on "$D/data" erofs image rm example.com/a
		n=$((n + 1))
		[ "$n" -lt 200 ]
	done
	[ "$n" -gt 5 ] || fail "only $n: $(cat "$D/out")"
}
