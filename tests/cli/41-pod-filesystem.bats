#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What an app finds below "/": its root, volumes, /dev, /proc and /sys.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
	image_inside "$F/mounts.aci" '.app.mountPoints=[
		{name:"data",path:"/data"},
		{name:"conf",path:"/etc/conf",readOnly:true}]'
}

@test "the root is writable and clean for every pod" {
	run_inside "$F/inside.aci" -- write /new text and read /new and \
		write /etc/greeting changed
	expect_status 0
	expect_value read text
	run_inside "$F/inside.aci" -- read /new and read /etc/greeting
	expect_value read.error ENOENT
	expect_value read hello
}

@test "--no-overlay gives a copy, with the same result" {
	run_inside --no-overlay "$F/inside.aci" -- write /etc/greeting changed \
		and read /etc/greeting and print-mounts
	expect_status 0
	expect_value read changed
	expect_no_output 'mount./=overlay'
	run_inside "$F/inside.aci" -- read /etc/greeting and print-mounts
	expect_value read hello
	expect_output 'mount./=overlay'
}

@test "owner and mode of the image's files are kept" {
	run_inside "$F/inside.aci" -- stat /etc/owned
	expect_value owner 700:701
	run_inside "$F/inside.aci" -- stat /tmp
	expect_value mode 1777
}

@test "--readonly-rootfs=true: nothing but volumes is writable" {
	mkdir "$D/vol"
	run_inside --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--readonly-rootfs=true --mount=volume=v,target=/vol -- \
		write /new x and write /vol/new y
	expect_value write.error EROFS
	expect_value write ok
	[ "$(cat "$D/vol/new")" = y ]
}

@test "host volume: reads and writes go to the host directory" {
	mkdir "$D/vol"
	echo from-host >"$D/vol/in"
	run_inside --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--mount=volume=v,target=/vol -- read /vol/in and \
		write /vol/out from-pod
	expect_status 0
	expect_value read from-host
	[ "$(cat "$D/vol/out")" = from-pod ]
}

@test "host volume: readOnly of the volume and of the mount point" {
	mkdir "$D/vol"
	touch "$D/vol/f"
	run_inside --volume=v,kind=host,source="$D/vol",readOnly=true \
		"$F/inside.aci" --mount=volume=v,target=/vol -- \
		open-write /vol/f
	expect_value open-write.error EROFS
	run_inside --volume=data,kind=empty \
		--volume=conf,kind=host,source="$D/vol" "$F/mounts.aci" -- \
		open-write /etc/conf/f
	expect_value open-write.error EROFS
	# The volume's word counts more than the mount point's.
	run_inside --volume=data,kind=empty \
		--volume=conf,kind=host,source="$D/vol",readOnly=false \
		"$F/mounts.aci" -- open-write /etc/conf/f
	expect_value open-write ok
}

@test "host volume: mounts below it come along, or not" {
	mkdir -p "$D/vol/sub"
	mount -t tmpfs tmpfs "$D/vol/sub"
	echo deep >"$D/vol/sub/f"
	run_inside --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--mount=volume=v,target=/vol -- read /vol/sub/f
	expect_value read deep
	# Read-only holds for the mounts below as well.
	run_inside --volume=v,kind=host,source="$D/vol",readOnly=true \
		"$F/inside.aci" --mount=volume=v,target=/vol -- \
		open-write /vol/sub/f
	expect_value open-write.error EROFS
	run_inside --volume=v,kind=host,source="$D/vol",recursive=false \
		"$F/inside.aci" --mount=volume=v,target=/vol -- read /vol/sub/f
	expect_value read.error ENOENT
	umount "$D/vol/sub"
}

@test "host volume: a single file" {
	echo single >"$D/file"
	run_inside --volume=v,kind=host,source="$D/file" "$F/inside.aci" \
		--mount=volume=v,target=/etc/app/one.conf -- \
		read /etc/app/one.conf and append /etc/app/one.conf more
	expect_status 0
	expect_value read single
	[ "$(tail -1 "$D/file")" = more ]
}

@test "host volume: a missing source is an error" {
	run_inside --volume=v,kind=host,source="$D/missing" "$F/inside.aci" \
		--mount=volume=v,target=/vol -- ls /vol
	expect_status 254
	case $stderr in *"$D/missing"*) ;; *) fail "$stderr" ;; esac
}

@test "host volume: links in the source are followed once, at prepare" {
	mkdir -p "$D/real/sub" "$D/outside" /run/rkt-test
	echo right >"$D/real/sub/f"
	echo right >/run/rkt-test/f
	echo wrong >"$D/outside/f"
	ln -s real "$D/link"
	ln -s ../real/sub "$D/real/last"
	ln -s /dev/null "$D/null"
	for source in "$D/link/sub" "$D/link/last" /var/run/rkt-test; do
		run_inside --volume=v,kind=host,source="$source" \
			"$F/inside.aci" --mount=volume=v,target=/vol -- \
			read /vol/f
		expect_value read right
	done
	run_inside --volume=v,kind=host,source="$D/null" "$F/inside.aci" \
		--mount=volume=v,target=/vol -- stat /vol
	expect_status 0
	run_inside --volume=v,kind=host,source=/proc/self/cwd \
		"$F/inside.aci" --mount=volume=v,target=/vol -- ls /vol
	expect_status 254
	case $stderr in *'resolve source /proc/self/cwd of volume v'*) ;;
	*) fail "$stderr" ;; esac

	# The volume of a mount of its own, in a pod manifest.
	id=$(rkt --insecure-options=image fetch --full "$F/inside.aci")
	jq -n --arg id "$id" --arg source "$D/link/sub" '{acKind: "PodManifest",
		acVersion: "0.8.11", apps: [{name: "a", image: {id: $id},
		app: {exec: ["/inside","read","/vol/f"], user: "0",
		group: "0"}, mounts: [{volume: "v", path: "/vol", appVolume:
		{name: "v", kind: "host", source: $source}}]}]}' >"$D/manifest"
	run --separate-stderr rkt run --net=none --pod-manifest="$D/manifest"
	expect_value read right

	# What was resolved is what is mounted, whatever becomes of the link.
	uuid=$(rkt --insecure-options=image prepare --quiet \
		--volume=v,kind=host,source="$D/link/sub" "$F/inside.aci" \
		--mount=volume=v,target=/vol -- read /vol/f)
	rkt cat-manifest "$uuid" |
		jq -e --arg p "$D/real/sub" '.volumes[0].source == $p'
	ln -sfn outside "$D/link"
	run --separate-stderr rkt run-prepared --net=none "$uuid"
	expect_value read right
	# A link that comes later leads nowhere.
	mv "$D/real" "$D/moved"
	ln -s outside "$D/real"
	mkdir "$D/outside/sub"
	run rkt start "$uuid"
	expect_status 254
	expect_output 'was not there when the pod was prepared'
	rm -r /run/rkt-test
}

@test "empty volume: mode, uid and gid, shared by two apps" {
	image_inside "$D/b.aci" . example.com/other
	run_inside --volume=e,kind=empty,mode=0710,uid=1000,gid=1001 \
		"$F/inside.aci" --mount=volume=e,target=/e -- stat /e and \
		write /e/f shared --- \
		"$D/b.aci" --mount=volume=e,target=/other -- sleep 1 and \
		read /other/f
	expect_status 0
	expect_value type directory
	expect_value mode 0710
	expect_value owner 1000:1001
	expect_value read shared
}

@test "empty volume: the default is 0755 root" {
	run_inside --volume=e,kind=empty "$F/inside.aci" \
		--mount=volume=e,target=/e -- stat /e
	expect_value mode 0755
	expect_value owner 0:0
}

@test "a mount point without volume becomes an empty one, with a warning" {
	run_inside "$F/mounts.aci" -- write /data/f x and ls /data
	expect_status 0
	expect_value ls f
	case $stderr in
	*'no volume specified for mount point "data"'*) ;;
	*) fail "$stderr" ;;
	esac
}

@test "a mount without volume is refused" {
	run_inside "$F/inside.aci" --mount=volume=nope,target=/x -- ls /x
	expect_status 254
	case $stderr in *'dangling mount point'*) ;; *) fail "$stderr" ;; esac
}

@test "volume syntax: unknown and missing keys are named" {
	run_inside --volume=v,kind=host,source=/tmp,colour=red "$F/inside.aci"
	expect_status 254
	case $stderr in
	*'unknown volume parameter "colour"'*) ;;
	*) fail "$stderr" ;;
	esac
	run_inside --volume=v,kind=host "$F/inside.aci"
	expect_status 254
}

@test "device volume: the app may open it" {
	skip_without loop
	run_inside "$F/inside.aci" -- open /dev/loop-control
	expect_value open.error ENOENT
	run_inside --volume=d,kind=host,source=/dev/loop-control \
		"$F/inside.aci" --mount=volume=d,target=/dev/loop-control -- \
		stat /dev/loop-control and open /dev/loop-control
	expect_status 0
	expect_value type char
	expect_value open ok
}

@test "/dev holds the usual nodes, a pts and a shm of its own" {
	run_inside "$F/inside.aci" -- check-dev and print-mounts
	expect_status 0
	expect_value dev ok
	expect_output 'mount./dev/pts=devpts' 'mount./dev/shm=tmpfs'
}

@test "/dev of a non-root app is as usable" {
	run_inside "$F/inside.aci" --user=200 --group=300 -- check-dev
	expect_status 0
	expect_value dev ok
}

@test "no other device can be made or opened" {
	run_inside "$F/inside.aci" -- mknod /tmp/disk b 254 0 and \
		mknod /tmp/mem c 1 1 and mknod /tmp/kmsg c 1 11
	expect_status 0
	expect_no_output open=ok
}

@test "/proc and /sys show the pod and cannot be written" {
	run_inside "$F/inside.aci" -- print-mounts and \
		open-write /proc/sysrq-trigger and \
		open-write /proc/sys/kernel/core_pattern and \
		open-write /proc/sys/kernel/modprobe and \
		open-write /proc/sys/vm/panic_on_oom and \
		open-write /sys/kernel/profiling and \
		open-write /sys/kernel/uevent_helper
	expect_status 0
	expect_no_output open-write=ok
	expect_output 'mount./proc=proc' 'mount./sys=sysfs'
}

@test "what tells about the host's kernel is masked" {
	run_inside "$F/inside.aci" -- masked /proc/kcore /proc/kallsyms \
		/proc/config.gz /proc/sched_debug /proc/scsi /proc/acpi \
		/proc/timer_list /proc/keys /sys/firmware /sys/fs \
		/sys/hypervisor /sys/module /sys/power
	expect_status 0
	expect_no_output '=no'
	expect_output masked./proc/kcore masked./sys/power
}

@test "masked paths cannot be uncovered by unmounting" {
	run_inside "$F/inside.aci" -- try umount mount
	expect_status 0
	expect_no_output '=ok'
}

@test "--insecure-options=paths leaves them open" {
	run --separate-stderr "$RKT" --dir="$D/data" \
		--insecure-options=image,paths run --net=none "$F/inside.aci" \
		-- masked /sys/module and \
		open-write /proc/sys/kernel/core_pattern
	expect_status 0
	expect_output masked./sys/module=no open-write=ok
}

@test "a volume may replace /sys or lie below /dev" {
	mkdir "$D/vol"
	echo mine >"$D/vol/f"
	run_inside --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--mount=volume=v,target=/sys -- read /sys/f
	expect_value read mine
}

@test "mtab, hosts and hostname" {
	run_inside "$F/inside.aci" -- readlink /etc/mtab and read /etc/hosts
	expect_status 0
	expect_value readlink ../proc/self/mounts
	expect_output 127.0.0.1
}

# mounts_image JQ: an image with links, a file and directories to mount at.
mounts_image() {
	local root=$D/m/rootfs
	mkdir -p "$root"/{etc,tmp,real,z}
	cp "$INSIDE" "$root/inside"
	ln -sfn loop2 "$root/loop1"
	ln -sfn loop1 "$root/loop2"
	ln -sfn /real "$root/absolute"
	ln -sfn ../../../../real "$root/up"
	ln -sfn z "$root/b"
	ln -sfn /nowhere "$root/dangling"
	echo f >"$root/file"
	image_tree "$D/m" example.com/inside 1.0.0 "$1"
}

# run_mounts SOURCE@TARGET... -- ARGS: volumes 1, 2... of $D/SOURCE (read-only
# with a "!"), mount points in this order.
run_mounts() {
	local n=0 flags=() points='' ro
	while [ "$1" != -- ]; do
		n=$((n + 1))
		ro=false
		case $1 in *!@*) ro=true ;; esac
		flags+=("--volume=v$n,kind=host,source=$D/$(tr -d ! <<<"${1%%@*}"),readOnly=$ro")
		points+="{name:\"v$n\",path:\"${1#*@}\"},"
		shift
	done
	mounts_image ".app.mountPoints=[${points%,}]"
	run "$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		"${flags[@]}" "$D/m.aci" "$@"
}

@test "mounts that cannot be: one line with app, volume, path and reason" {
	mkdir "$D/dir" "$D/other" "$D/ro"
	echo x >"$D/a-file"
	local cases=(
		'dir@/dev' "v1: at /dev it would take the app's devices away"
		'dir@/loop1' 'v1 at /loop1: a symbolic link of the image leads in a circle'
		'dir@/loop1/x' 'v1 at /loop1/x: a symbolic link of the image leads in a circle'
		'a-file@/loop1' 'v1 at /loop1: a symbolic link of the image leads in a circle'
		'dir@/dangling' 'v1 at /dangling: a symbolic link of the image leads in a circle or nowhere'
		'a-file@/dangling' 'v1 at /dangling: a symbolic link of the image leads in a circle or nowhere'
		'dir@/file' 'v1 at /file: the image has something there or on the way that is no directory'
		'dir@/file/x' 'v1 at /file/x: the image has something there or on the way that is no directory'
		'a-file@/real' 'v1 at /real: the volume is a file, the image has a directory there'
		'a-file@/proc' 'v1 at /proc: the volume is a file'
		'a-file@/sys' 'v1 at /sys: the volume is a file'
		'dir@/proc/x' 'v1 at /proc/x: there is nothing, and nothing can be made there'
		'ro!@/a other@/a/b' 'v2 at /a/b: there is nothing, and the volume it would be made in is read-only'
		'a-file@/f other@/f/x' 'v2 at /f/x: the image has something there or on the way'
		'dir@/b/x other@/z' 'v1 at /b/x: another volume lies over it'
		'other@/b dir@/z' 'v1 at /b: another volume lies over it'
		'dir@/z other@/b' 'v2 at /b: another volume lies over it'
		'dir@/. other@/z' 'v1: /. is no path inside the app'
	)
	for ((n = 0; n < ${#cases[@]}; n += 2)); do
		echo "case ${cases[n]}"
		# shellcheck disable=SC2086 # words
		run_mounts ${cases[n]} -- exit-code 0
		expect_status 254
		expect_output 'mount volume' "${cases[n + 1]}"
		[ "$(grep -c stage1: <<<"$output")" = 1 ] || fail "$output"
	done
	[ -z "$(ls -A "$D/dir")$(ls -A "$D/ro")" ] || fail "$(ls "$D/dir")"
}

@test "mounts in one another, in either order" {
	for order in 'dir@/a other@/a/b' 'other@/a/b dir@/a'; do
		mkdir -p "$D/dir" "$D/other"
		echo deep >"$D/other/f"
		# shellcheck disable=SC2086 # words
		run_mounts $order -- read /a/b/f and write /a/g 1
		expect_status 0
		expect_value read deep
		[ -e "$D/dir/g" ]
		[ ! -e "$D/dir/b/f" ]
		rm -r "$D/dir" "$D/other"
	done
}

@test "mounts below a link of the image stay in its root" {
	mkdir "$D/dir"
	echo v >"$D/dir/f"
	for link in absolute up; do
		run_mounts "dir@/$link/x" -- read /real/x/f
		expect_status 0
		expect_value read v
		run_mounts "dir@/$link" -- read /real/f
		expect_status 0
		expect_value read v
		[ ! -e /real ]
	done
	# A volume below a link into another volume.
	mkdir "$D/other"
	run_mounts other@/b/x dir@/real -- read /real/f and write /z/x/new 1
	expect_status 0
	[ -e "$D/other/new" ]
}

@test "a volume on a file, on what rkt puts there, and in /dev" {
	mkdir "$D/dir"
	echo mine >"$D/a-file"
	run_mounts a-file@/file -- read /file
	expect_value read mine
	run_mounts a-file@/etc/hosts -- read /etc/hosts
	expect_value read mine
	run_mounts a-file@/new/deep/file -- read /new/deep/file
	expect_value read mine
	echo v >"$D/dir/f"
	run_mounts dir@/dev/x a-file@/dev/y -- read /dev/x/f and read /dev/y
	expect_status 0
	expect_output read=v read=mine
}
