#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a mount says of its volume: a part of it, only to read, what propagates.

# shellcheck disable=SC2030,SC2031 # tests set what helpers read

load lib
load app

setup_file() {
	mkdir -p "$F"
	image_busybox "$F/one.aci" '.app.mountPoints=[
		{"name":"conf","path":"/conf","readOnly":true}]'
	image_busybox "$F/two.aci" '.app.mountPoints=[
		{"name":"conf","path":"/conf","readOnly":true}]' \
		example.com/busybox 2.0.0
	image_inside "$F/inside.aci"
}

setup() {
	setup_test
	mkdir -p "$D/v/sub/deep" "$D/outside" "$D/conf"
	echo part >"$D/v/sub/file"
	echo all >"$D/v/file"
	echo secret >"$D/outside/file"
	CONF=--volume=conf,kind=host,source=$D/conf
	V=--volume=v,kind=host,source=$D/v
}

# sh_mount OPTIONS SCRIPT [ARG...]: in an app with the volume v at /m
sh_mount() {
	local options=$1 script=$2
	shift 2
	run_inside "$@" "$V" "$CONF" "$F/one.aci" \
		"--mount=volume=v,target=/m$options" -- -c "exec 2>&1; $script"
}

# What apps of $output printed, without time and name.
printed() {
	sed 's/^[^]]*\] [^:]*: //' <<<"$output"
}

# in_app APP SCRIPT
in_app() {
	run rkt enter --app="$1" "$uuid" /bin/sh -c "$2"
}

# --- subPath -----------------------------------------------------------------

@test "subPath: a directory or a file of a volume" {
	sh_mount ,subPath=sub 'cat /m/file; ls -a /m/..; echo new >/m/made'
	expect_status 0
	expect_output part
	[ "$(cat "$D/v/sub/made")" = new ]
	uuid=$(ls "$D/data/pods/run")
	run_rkt app status "$uuid" --app=busybox
	expect_output "mounts=$D/v/sub:/m:(read_only:false),$D/conf:/conf:(read_only:true)"
	sh_mount ,subPath=./sub//deep/../file 'cat /m'
	expect_status 0
	expect_output part
	# Links that stay inside are what they are on the host.
	ln -s sub/deep/.. "$D/v/link"
	sh_mount ,subPath=link 'cat /m/file'
	expect_status 0
	expect_output part
}

@test "subPath: private users see the same" {
	sh_mount ,subPath=sub 'cat /m/file' --private-users
	expect_status 0
	expect_output part
}

@test "subPath: nothing leads out of the volume" {
	ln -s "$D/outside" "$D/v/absolute"
	ln -s ../outside "$D/v/relative"
	ln -s absolute/file "$D/v/second"
	ln -s /proc/self/root "$D/v/magic"
	for path in absolute relative absolute/file relative/file second \
		magic magic/etc sub/deep/../../relative; do
		sh_mount ",subPath=$path" 'cat /m /m/file'
		expect_status 254
		[[ $stderr == *"subPath "*" leads out of the volume"* ]] ||
			fail "$path: $stderr"
		expect_no_output secret
	done
	for path in .. ../outside /sub sub/../.. . ''; do
		sh_mount ",subPath=$path" true
		expect_status 254
		[[ $stderr == *"is no relative path below the volume"* ]] ||
			fail "$path: $stderr"
	done
	sh_mount ,subPath=missing true
	expect_status 254
	[[ $stderr == *"mount volume v at /m: open subPath missing: No such file or directory"* ]] ||
		fail "$stderr"
	sh_mount ,subPath=file/x true
	expect_status 254
	[[ $stderr == *"open subPath file/x: Not a directory"* ]] ||
		fail "$stderr"
	[ ! -e "$D/v/missing" ]
}

@test "subPath: a link that an app swaps for the directory meanwhile" {
	mkdir "$D/v/real"
	echo mine >"$D/v/real/file"
	detach_inside --net=none "$V" "$CONF" "$F/one.aci" \
		--mount=volume=v,target=/m -- -c "cd /m; while :; do
			ln -sfn $D/outside swap; rm swap
			mv real swap; mv swap real; done"
	seen=
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sh_mount ,subPath=swap 'cat /m/file'
		expect_no_output secret
		if [ "$status" = 0 ]; then
			expect_output mine
		else
			[[ $stderr == *"subPath swap"* ]] || fail "$stderr"
		fi
		seen+="$status "
	done
	echo "$seen"
}

@test "subPath: in an empty volume it is made as the volume is" {
	for kind in kind=empty kind=empty,medium=memory; do
		for users in --no-overlay=false --private-users; do
			run_inside "$users" "$CONF" \
				"--volume=e,$kind,mode=2770,uid=5,gid=6" \
				"$F/one.aci" --mount=volume=e,target=/all \
				--mount=volume=e,target=/m,subPath=a/b -- -c '
				echo x >/m/file; cat /all/a/b/file; ls -A /all /all/a
				stat -c "%a %u:%g" /m /all/a'
			expect_status 0
			[ "$(printed)" = "x
/all:
a

/all/a:
b
2770 5:6
2770 5:6" ] || fail "$kind $users: $output"
		done
	done
}

@test "subPath: apps that start at once find one directory" {
	run_inside "$CONF" --volume=e,kind=empty,medium=memory,mode=1777 \
		--mount=volume=e,target=/m,subPath=a/b \
		"$F/one.aci" --name=a -- -c 'echo >/m/a' --- \
		"$F/one.aci" --name=b -- -c 'echo >/m/b' --- \
		"$F/one.aci" --name=c -- -c '
			until [ -e /m/a ] && [ -e /m/b ]; do usleep 1000; done
			ls -A /m'
	expect_status 0
	expect_output a b
}

@test "subPath: a device that an app made is none" {
	skip_without mknod
	mknod "$D/v/disk" b 7 200
	sh_mount ,subPath=disk true
	expect_status 254
	[[ $stderr == *"subPath disk is a device, which must be a volume itself"* ]] ||
		fail "$stderr"
}

@test "subPath: what is mounted below a volume that is not recursive" {
	mount -t tmpfs tmpfs "$D/v/sub/deep"
	echo below >"$D/v/sub/deep/file"
	sh_mount ,subPath=sub/deep 'cat /m/file'
	expect_status 0
	expect_output below
	V+=,recursive=false
	sh_mount ,subPath=sub/deep 'cat /m/file'
	umount "$D/v/sub/deep"
	expect_status 254
	[[ $stderr == *"subPath sub/deep leads out of the volume"* ]] ||
		fail "$stderr"
}

# --- readOnly ------------------------------------------------------------------

@test "readOnly of a mount: one app writes, the other does not" {
	detach_inside --net=none "$V" "$CONF" \
		"$F/one.aci" --name=a --mount=volume=v,target=/m -- \
		-c 'echo by-a >/m/file; exec sleep 1000' --- \
		"$F/one.aci" --name=b --mount=volume=v,target=/m,readOnly=true \
		-- -c 'exec sleep 1000'
	wait_for 10 grep -q by-a "$D/v/file"
	in_app b 'cat /m/file; echo x >/m/file'
	expect_output by-a 'Read-only file system'
	in_app a 'echo again >/m/file; cat /m/file'
	expect_output again
	run_rkt app status "$uuid" --app=b
	expect_output "$D/v:/m:(read_only:true)"
	run_rkt app status "$uuid" --app=a
	expect_output "$D/v:/m:(read_only:false)"
}

@test "readOnly of volume, mount and mount point" {
	# place, mount, volume: what counts
	while read -r target mount volume want; do
		mount=${mount#-} volume=${volume#-}
		run_inside "$V$volume" "$CONF" "$F/one.aci" \
			"--mount=volume=v,target=$target$mount" -- \
			-c "(echo x >$target/new) 2>/dev/null && echo rw || echo ro"
		expect_status 0
		[ "$(printed)" = "$want" ] ||
			fail "$target $mount $volume: $output"
	done <<-'EOF2'
		/m - - rw
		/m ,readOnly=true - ro
		/m ,readOnly=true ,readOnly=false ro
		/m ,readOnly=false ,readOnly=false rw
		/conf - - ro
		/conf ,readOnly=false - rw
		/conf - ,readOnly=false rw
		/conf ,readOnly=true ,readOnly=false ro
	EOF2
	V+=,readOnly=true
	sh_mount ,readOnly=false true
	expect_status 254
	[[ $stderr == *"mount at /m cannot be writable: volume v is read-only"* ]] ||
		fail "$stderr"
	sh_mount ,readOnly=perhaps true
	expect_status 254
	[[ $stderr == *'"perhaps" is no boolean'* ]] || fail "$stderr"
}

@test "readOnly of a mount: volumes in memory, files, all below" {
	run_inside "$CONF" --volume=e,kind=empty,size=1Mi "$F/one.aci" \
		--mount=volume=e,target=/m,readOnly=true -- \
		-c '(echo >/m/x) 2>&1'
	expect_output 'Read-only file system'
	mount -t tmpfs tmpfs "$D/v/sub"
	sh_mount ,readOnly=true 'echo >/m/sub/x'
	expect_output 'Read-only file system'
	umount "$D/v/sub"
}

# --- propagation ---------------------------------------------------------------

# The volume is a mount, which the host shares (as all of it here).
share() {
	mount --bind "$D/v" "$D/v"
	mount "--make-${1:-shared}" "$D/v"
}

# propagating [OPTIONS [ARG...]]: a pod with it
propagating() {
	local options=$1
	shift
	detach_inside --net=none "$@" "$V" "$CONF" "$F/one.aci" \
		"--mount=volume=v,target=/m$options" -- -c 'exec sleep 1000'
}

host_mounts() {
	mount -t tmpfs tmpfs "$D/v/sub"
	echo later >"$D/v/sub/file"
}

@test "propagation: private, also without a word: nothing comes" {
	share
	for options in '' ,propagation=private; do
		propagating "$options"
		host_mounts
		in_app busybox 'cat /m/sub/file'
		expect_output part
		umount "$D/v/sub"
		rkt stop --force "$uuid"
		wait_for 10 pod_is "$uuid" exited
	done
	umount "$D/v"
}

@test "propagation: rslave: what the host mounts comes and goes" {
	share
	for users in --no-overlay=false --private-users; do
		propagating ,propagation=rslave "$users"
		host_mounts
		in_app busybox 'cat /m/sub/file'
		expect_output later
		# Not held: the host can unmount it, and it is gone.
		umount "$D/v/sub"
		in_app busybox 'cat /m/sub/file'
		expect_output part
		rkt stop --force "$uuid"
		wait_for 10 pod_is "$uuid" exited
	done
	umount "$D/v"
}

@test "propagation: rslave: nothing of the app's goes to the host" {
	share
	detach_inside --net=none "$V" "$CONF" "$F/one.aci" \
		--caps-retain=CAP_SYS_ADMIN,CAP_DAC_OVERRIDE,CAP_KILL \
		--mount=volume=v,target=/m,propagation=rslave -- -c '
		mount -t tmpfs tmpfs /m/sub/deep && echo mounted; exec sleep 1000'
	wait_for 10 pod_logged "$uuid" busybox mounted
	run ! mountpoint -q "$D/v/sub/deep"
	umount "$D/v"
}

@test "propagation: rshared: what the app mounts, the host sees" {
	share
	detach_inside --net=none "$V" "$CONF" "$F/one.aci" \
		--caps-retain=CAP_SYS_ADMIN,CAP_DAC_OVERRIDE,CAP_KILL \
		--mount=volume=v,target=/m,propagation=rshared -- -c '
		mount -t tmpfs tmpfs /m/sub/deep && echo mounted; exec sleep 1000'
	wait_for 10 pod_logged "$uuid" busybox mounted
	mountpoint -q "$D/v/sub/deep"
	host_mounts
	in_app busybox 'cat /m/sub/file'
	expect_output later
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	umount "$D/v/sub" "$D/v/sub/deep" "$D/v"
}

@test "propagation: of a part of a volume, and of a slave of the host's" {
	share
	mkdir "$D/again"
	mount --bind "$D/v" "$D/again"
	mount --make-slave "$D/again"
	V=--volume=v,kind=host,source=$D/again
	propagating ,propagation=rslave,subPath=sub
	mount -t tmpfs tmpfs "$D/v/sub/deep"
	echo later >"$D/v/sub/deep/file"
	in_app busybox 'cat /m/deep/file'
	expect_output later
	umount "$D/v/sub/deep"
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	sh_mount ,propagation=rshared true
	umount "$D/again" "$D/v"
	expect_status 254
	[[ $stderr == *"is on a private mount"* ]] || fail "$stderr"
}

@test "propagation: what cannot be is refused" {
	share private
	for p in rslave rshared; do
		sh_mount ",propagation=$p" true
		expect_status 254
		[[ $stderr == *"source $D/v is on a private mount, from which nothing propagates"* ]] ||
			fail "$stderr"
	done
	umount "$D/v"
	sh_mount ,propagation=slave true
	expect_status 254
	[[ $stderr == *'propagation "slave" is none of private, rslave, rshared'* ]] ||
		fail "$stderr"
	sh_mount ,propagation=rshared true --private-users
	expect_status 254
	[[ $stderr == *"--private-users: what is mounted there stays in the pod"* ]] ||
		fail "$stderr"
	run_inside --volume=e,kind=empty "$CONF" "$F/one.aci" \
		--mount=volume=e,target=/m,propagation=rslave -- -c true
	expect_status 254
	[[ $stderr == *"propagation=rslave is for volumes of kind host"* ]] ||
		fail "$stderr"
	for options in subPath=a,subPath=b readOnly=true,readOnly=true \
		subpath=a recursive=true; do
		sh_mount ",$options" true
		expect_status 254
	done
}

# --- files, sockets, devices -----------------------------------------------------

# kinds [ARG...]: a pod with one of each
kinds() {
	echo text >"$D/conf.txt"
	rm -f ready "$D/sock"
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("ready", flush=True)
while True:
    c = s.accept()[0]
    c.send(b"from-the-host\n")
    c.close()' "$D/sock" >ready &
	server=$!
	wait_for 10 grep -q ready ready
	chmod 0666 "$D/sock" "$D/conf.txt"
	run_inside "$@" --volume=f,kind=host,source="$D/conf.txt" \
		--volume=s,kind=host,source="$D/sock" \
		--volume=c,kind=host,source=/dev/full \
		"$F/inside.aci" --mount=volume=f,target=/etc/deep/conf.txt \
		--mount=volume=f,target=/etc/again,readOnly=true \
		--mount=volume=s,target=/run/host.sock \
		--mount=volume=c,target=/dev/mine \
		--mount=volume=c,target=/opt/mine -- \
		read /etc/deep/conf.txt and open-write /etc/again and \
		connect-unix /run/host.sock and stat /dev/mine and \
		open-write /dev/mine and open-write /opt/mine
	kill "$server"
}

# A device that apps do not have otherwise.
kmsg() {
	[ -e "$D/node" ] || mknod "$D/node" c 1 11
	run_inside "$users" --volume=c,kind=host,source="$D/node" \
		"$F/inside.aci" "--mount=volume=c,target=/mine$1" -- \
		open-write /mine
}

@test "a volume is a file, a socket, a device, and one at two places" {
	skip_without mknod
	for users in --no-overlay=false --private-users; do
		kinds "$users"
		expect_status 0
		expect_output text connect=ok received=from-the-host type=char
		[ "$(printed | grep '^open-write')" = "open-write.error=EROFS
open-write=ok
open-write=ok" ] || fail "$output"
		kmsg ''
		expect_output open-write=ok
		kmsg ,readOnly=true
		expect_output open-write.error=EPERM
	done
}

# --- what lasts ------------------------------------------------------------------

@test "the pod file has it as annotations of the app" {
	uuid=$(rkt --insecure-options=image prepare --quiet "$V" "$CONF" \
		--mount=volume=v,target=/all,readOnly=true \
		"$F/one.aci" --mount=volume=v,target=/m//,subPath=sub -- \
		-c 'cat /m/file; ls /all; (echo >/all/x) 2>&1; true')
	pod=$D/data/pods/prepared/$uuid/pod
	jq -e '[.apps[0].annotations[] | select(.name | startswith("rkt.io/mount/")).value] | sort ==
		["target=/all,readOnly=true", "target=/m,subPath=sub"]' "$pod" ||
		fail "$(cat "$pod")"
	jq -e '.apps[0].mounts | map(keys) | flatten | unique == ["path", "volume"]' "$pod"
	cp "$pod" manifest
	run_inside --pod-manifest=manifest
	expect_status 0
	expect_output part file sub 'Read-only file system'
	sed -i 's/subPath=sub/subPath=..\/sub/' manifest
	run_rkt run --net=none --pod-manifest=manifest
	expect_status 254
	expect_output 'annotation rkt.io/mount/' 'is no relative path'
	sed -i 's/target=\/m,/target=\/none,/; s/\.\.\/sub/sub/' manifest
	run_rkt run --net=none --pod-manifest=manifest
	expect_status 254
	expect_output 'the app has no mount at /none'
}

@test "an update, a new start and a new stage1 keep it" {
	share
	detach_inside --net=none --pod-name=kept "$V" "$CONF" \
		--volume=d,kind=host,source=/dev/full "$F/one.aci" \
		--mount=volume=v,target=/part,subPath=sub \
		--mount=volume=v,target=/ro,readOnly=true \
		--mount=volume=d,target=/dev/mine \
		--mount=volume=v,target=/m,propagation=rslave -- \
		-c 'exec sleep 1000'
	look() {
		host_mounts
		in_app busybox 'cat /part/file; echo x >/ro/file; cat /m/sub/file
			[ -c /dev/mine ] && head -c 1 /dev/mine | wc -c'
		umount "$D/v/sub"
		[ "${lines[*]}" = "part /bin/sh: can't create /ro/file: Read-only file system later 1" ] ||
			fail "$output"
	}
	look
	run_rkt update kept --image="$F/two.aci" --observe=0s
	expect_status 0
	look
	run rkt update --runtime kept
	expect_status 0
	look
	run_rkt rollback kept
	expect_status 0
	look
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	run_rkt start --detach kept
	expect_status 0
	look
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	umount "$D/v"
}

@test "an update follows links in the source of an app's volume no more" {
	mkdir "$D/other"
	ln -s v "$D/link"
	detach_inside --net=none --pod-name=linked "$CONF" "$F/one.aci" \
		--mnt-volume="target=/m,name=l,kind=host,source=$D/link,subPath=sub" \
		-- -c 'exec sleep 1000'
	ln -sfn other "$D/link"
	in_app busybox 'cat /m/file'
	expect_output part
	run_rkt update linked --image="$F/two.aci" --observe=0s
	expect_status 0
	in_app busybox 'cat /m/file'
	expect_output part
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
}

@test "a volume that an update's app only reads does not hinder a handover" {
	detach_inside --net=none --pod-name=reader "$V" "$CONF" "$F/one.aci" \
		--mount=volume=v,target=/m,readOnly=true -- -c 'exec sleep 1000'
	run_rkt update reader --image="$F/two.aci" --dry-run
	expect_no_output 'it can write to the volume at /m'
}

@test "rkt app add: a part of a volume of its own, and of the pod's" {
	share
	rkt --insecure-options=image fetch "$F/one.aci"
	sandbox
	did add example.com/busybox --name=one \
		--mnt-volume="target=/w,name=w,kind=host,source=$D/v,subPath=sub,propagation=rslave" \
		-- -c 'echo x >/w/made; exec sleep 1000'
	did start --app=one
	mount -t tmpfs tmpfs "$D/v/sub/deep"
	echo later >"$D/v/sub/deep/file"
	in_app one 'cat /w/file /w/deep/file; ls /w'
	umount "$D/v/sub/deep"
	expect_output part later made
	# The pod has got it for the first app's mount point.
	did add example.com/busybox --name=two \
		--mount=volume=one-conf,target=/m,subPath=a/b \
		--mount=volume=one-conf,target=/ro,readOnly=true -- \
		-c 'echo x >/m/made; exec sleep 1000'
	did start --app=two
	in_app two 'ls /ro/a/b; echo x >/ro/x'
	expect_output made 'Read-only file system'
	refused 'is no relative path' add example.com/busybox --name=three \
		--mount=volume=one-conf,target=/m,subPath=../x
	did add example.com/busybox --name=three \
		--mnt-volume="target=/w,name=x,kind=host,source=$D/v,subPath=missing"
	app start --app=three
	expect_status 254
	expect_output 'open subPath missing'
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	umount "$D/v"
}
