#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Volumes in memory: their size, who shares them, how long they live.

# shellcheck disable=SC2030,SC2031 # tests set what helpers read

load lib

setup_file() {
	mkdir -p "$F"
	image_busybox "$F/one.aci"
	image_busybox "$F/two.aci" '.' example.com/busybox 2.0.0
}

MEMORY=--volume=m,kind=empty,size=1Mi,mode=1770,uid=5,gid=6

# in_app APP SCRIPT
in_app() {
	run rkt enter --app="$1" "$uuid" /bin/sh -c "$2"
}

@test "a volume in memory has its size, mode and owner, and no place on disk" {
	run_inside "$MEMORY" "$F/one.aci" --mount=volume=m,target=/m -- -c '
		stat -c "%a %u:%g" /m; grep " /m " /proc/mounts
		dd if=/dev/zero of=/m/full bs=64k count=100 2>&1; stat -c %s /m/full'
	expect_status 0
	expect_output '1770 5:6' 'none /m tmpfs rw,nosuid,nodev' size=1024k \
		'No space left on device' 1048576
	[ -z "$(find "$D"/data/pods/*/*/sharedVolumes -mindepth 1 2>/dev/null)" ]
	# Without a size, and read-only.
	run_inside --volume=m,kind=empty,medium=memory,readOnly=true \
		"$F/one.aci" --mount=volume=m,target=/m -- \
		-c '(echo >/m/x) 2>&1; grep " /m " /proc/mounts'
	expect_output 'none /m tmpfs ro,nosuid,nodev' 'Read-only file system'
}

@test "apps share it, an update keeps it, a new start does not" {
	detach_inside --net=none --pod-name=shared "$MEMORY" \
		--mount=volume=m,target=/m \
		"$F/one.aci" --name=a -- -c 'echo kept >/m/file; exec sleep 1000' --- \
		"$F/one.aci" --name=b -- -c 'exec sleep 1000'
	wait_for 10 rkt enter --app=b "$uuid" /bin/sh -c 'grep kept /m/file'
	jq -e '.annotations[] | select(.name == "rkt.io/volume/m") |
		.value == "medium=memory,size=1048576"' \
		"$D/data/pods/run/$uuid/pod" || fail "no annotation"
	jq -e '.volumes == [{name:"m",kind:"empty",mode:"1770",uid:5,gid:6}]' \
		"$D/data/pods/run/$uuid/pod" || fail "volumes"
	run_rkt update shared --app=b --image="$F/two.aci" --observe=0s
	expect_status 0
	in_app b 'cat /m/file; echo more >/m/more'
	expect_output kept
	in_app a 'cat /m/more'
	expect_output more
	run rkt update --runtime shared
	expect_status 0
	in_app a 'cat /m/more'
	expect_output more
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	run_rkt start --detach shared
	expect_status 0
	wait_for 10 rkt enter --app=b "$uuid" /bin/sh -c 'grep kept /m/file'
	in_app b 'ls /m'
	expect_no_output more
}

@test "users of their own own it as they should" {
	run_inside --private-users "$MEMORY" "$F/one.aci" \
		--mount=volume=m,target=/m -- -c '
		stat -c "%a %u:%g" /m; echo >/m/new; stat -c "%u:%g" /m/new'
	expect_status 0
	expect_output '1770 5:6' '0:0'
}

@test "what is wrong with a size or a medium is said before anything starts" {
	while IFS='|' read -r volume want; do
		run_rkt run --net=none --volume="$volume" "$F/one.aci" \
			--mount=volume=m,target=/m
		expect_status 254
		expect_output "$want"
	done <<-'EOF'
		m,kind=empty,size=0|size "0" is out of range
		m,kind=empty,size=-1|out of range
		m,kind=empty,size=9999999Ei|size "9999999Ei" is out of range
		m,kind=empty,size=lots|lots
		m,kind=empty,medium=disk|medium "disk" is not memory
		m,kind=host,source=/tmp,size=1Mi|which are for kind empty
		m,kind=empty,size=1Mi,size=2Mi|given twice
	EOF
}

@test "a pod file can ask for one by the annotation" {
	uuid=$(rkt --insecure-options=image prepare --quiet "$MEMORY" \
		"$F/one.aci" --mount=volume=m,target=/m -- \
		-c 'grep " /m " /proc/mounts')
	cp "$D/data/pods/prepared/$uuid/pod" manifest
	run_inside --pod-manifest=manifest
	expect_status 0
	expect_output 'none /m tmpfs' size=1024k
	sed -i 's/size=1048576/size=no/' manifest
	run_rkt run --net=none --pod-manifest=manifest
	expect_status 254
	expect_output 'annotation rkt.io/volume/m'
}

@test "secrets: files in memory, from a file and from a credential" {
	echo from-file >file
	mkdir creds
	echo from-credential >creds/token
	echo other >creds/other
	export CREDENTIALS_DIRECTORY=$PWD/creds
	detach_inside --net=none --pod-name=secret --secret=one,source=file \
		--secret=token --secret=third,credential=other,target=/etc/third,mode=0440,uid=7,gid=8 \
		"$F/one.aci" -- -c 'exec sleep 1000'
	in_app busybox 'cat /run/secrets/one /run/secrets/token /etc/third
		stat -c "%a %u:%g %n" /run/secrets/one /etc/third
		grep -E " /(run|etc)/.* ramfs " /proc/mounts; echo >>/run/secrets/one'
	expect_output from-file from-credential other '400 0:0 /run/secrets/one' \
		'440 7:8 /etc/third' 'none /run/secrets/one ramfs ro,nosuid,nodev,noexec' \
		'Read-only file system'
	# Nowhere on disk, nor in what processes were started with.
	! grep -rE 'from-(file|credential)' "$D/data" || fail "on disk"
	! grep -aE 'from-(file|credential)' /proc/[0-9]*/cmdline 2>/dev/null ||
		fail "in a command line"
	jq -e '.annotations[] | select(.name == "rkt.io/secret/token") |
		.value == "credential=token,target=/run/secrets/token,mode=0400,uid=0,gid=0"' \
		"$D/data/pods/run/$uuid/pod"
	run_rkt update secret --image="$F/two.aci" --observe=0s
	expect_status 0
	in_app busybox 'cat /run/secrets/one'
	expect_output from-file
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	rkt cp "$uuid:/run/secrets/one" left
	[ ! -s left ] || fail "$(cat left)"
	# Each start reads anew, and says what is missing.
	echo changed >file
	run_rkt start --detach secret
	expect_status 0
	in_app busybox 'cat /run/secrets/one'
	expect_output changed
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	rm creds/token
	run_rkt start --detach secret
	expect_status 254
	expect_output "secret token: open $PWD/creds/token: No such file"
	unset CREDENTIALS_DIRECTORY
	run_rkt start --detach secret
	expect_status 254
	expect_output 'secret token: there is no credential "token"'
}

@test "secrets of a pod with users of its own" {
	echo mine >file
	run_inside --private-users --secret=s,source=file,uid=9 "$F/one.aci" -- \
		-c 'cat /run/secrets/s; stat -c "%a %u:%g" /run/secrets/s'
	expect_status 0
	expect_output mine '400 9:0'
}

@test "the largest secret, an empty one, and one that is too large" {
	head -c 1048576 /dev/urandom >large
	: >empty
	run_inside --secret=large,source=large --secret=empty,source=empty \
		"$F/one.aci" -- -c 'sha256sum </run/secrets/large
			stat -c "size %s" /run/secrets/empty'
	expect_status 0
	expect_output "$(sha256sum <large)" 'size 0'
	echo >>large
	run_rkt run --net=none --secret=large,source=large "$F/one.aci"
	expect_status 254
	expect_output "secret large: $PWD/large: it is larger than 1048576 bytes"
}

@test "wrong secrets" {
	while IFS='|' read -r secret want; do
		run_rkt run --net=none --secret="$secret" "$F/one.aci" -- -c true
		expect_status 254
		expect_output "$want"
	done <<-'EOF'
		S|S
		s,source=/none|secret s: open /none: No such file or directory
		s,source=/dev/zero|secret s: /dev/zero is no regular file
		s,source=/etc/passwd,credential=x|exclude each other
		s,credential=../x|is no name of a file
		s,source=/etc/passwd,target=x|is not absolute
		s,source=/etc/passwd,mode=4755|is not in 0..0777
		s,source=/etc/passwd,uid=x|is no user or group id
		s,source=|source is empty
	EOF
	run_rkt run --net=none --secret=s,source=/etc/passwd \
		--secret=s,source=/etc/passwd "$F/one.aci"
	expect_status 254
	expect_output 'secret s given twice'
}
