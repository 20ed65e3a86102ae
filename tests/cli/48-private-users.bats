#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --private-users: pods in user namespaces, each with a range of its own.

# shellcheck disable=SC2030,SC2031,SC2034 # tests set what helpers read

load lib
load versions

setup_file() {
	mkdir -p "$F"
	image_busybox "$F/busybox.aci"
	image_inside "$F/inside.aci"
}

# sh_private [APP OPTION]... -- SCRIPT: in a pod of users of its own.
sh_private() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	run_inside --private-users "${RUN[@]}" "$F/busybox.aci" \
		"${options[@]}" -- -c "$2"
}

# shift_of UUID: the first user of its range, which has to be a good one.
shift_of() {
	local text
	text=$(cat "$D"/data/pods/*/"$1"/private-users-prepared)
	[[ $text =~ ^([0-9]+):65536$ ]] || fail "range $text" || return 1
	text=${BASH_REMATCH[1]}
	((text >= 0x80000 && text <= 0x6fff0000 && text % 65536 == 0)) ||
		fail "range $text" || return 1
	echo "$text"
}

# pid_of UUID APP: of its main process.
pid_of() {
	cat "$D/data/pods/run/$1/generations/$2/1/pid"
}

@test "root inside is somebody else outside" {
	detach_inside --net=none --private-users "$F/busybox.aci" -- \
		-c 'id; cat /proc/self/uid_map /proc/self/gid_map; echo ready; sleep 1000'
	wait_for 10 pod_logged "$uuid" busybox ready
	first=$(shift_of "$uuid")
	output=$(pod_log "$uuid" busybox | tr -s ' ')
	expect_output 'uid=0(root) gid=0(root)' " 0 $first 65536"
	[ "$(grep -c " 0 $first 65536" <<<"$output")" = 2 ]
	pid=$(pid_of "$uuid" busybox)
	grep -qx "Uid:	$first	$first	$first	$first" "/proc/$pid/status"
	grep -qx "Gid:	$first	$first	$first	$first" "/proc/$pid/status"
	init=$(cat "$D/data/pods/run/$uuid/pid")
	nobody=$((first + 65534))
	grep -qx "Uid:	$nobody	$nobody	$nobody	$nobody" "/proc/$init/status"
	grep -qx 'CapPrm:	0000000000000000' "/proc/$init/status"
	[ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]
	[ "$(readlink "/proc/$pid/ns/user")" = "$(readlink "/proc/$init/ns/user")" ]
}

@test "a user of the image, its groups, the owner of a file" {
	detach_inside --net=none --private-users "$F/inside.aci" --user=web \
		--group=log --supplementary-gids=7,65535 -- sleep 1000
	pid=$(pid_of "$uuid" inside)
	first=$(shift_of "$uuid")
	uid=$((first + 501)) gid=$((first + 600))
	grep -qx "Uid:	$uid	$uid	$uid	$uid" "/proc/$pid/status"
	grep -qx "Gid:	$gid	$gid	$gid	$gid" "/proc/$pid/status"
	grep -q "^Groups:	$((first + 7)) $((first + 65535))" \
		"/proc/$pid/status"
	run_inside --private-users "$F/inside.aci" --user=/etc/owned \
		--group=/etc/owned -- print-ids
	expect_status 0
	expect_output 700 701
}

@test "files: made and changed inside, as the image would have them on disk" {
	detach_inside --net=none --private-users \
		--volume=v,kind=empty,uid=12,gid=13,mode=0700 "$F/busybox.aci" \
		--mount=volume=v,target=/v -- -c '
		stat -c "%u:%g %n" / /etc/passwd /v /dev/null /tmp
		touch /new /v/new && chown 33:44 /new /v/new
		chown 5 /etc/passwd && rm /etc/group
		stat -c "%u:%g %n" /new /v/new /etc/passwd
		: >/dev/null && : >/dev/shm/x && echo ready; sleep 1000'
	wait_for 10 pod_logged "$uuid" busybox ready
	output=$(pod_log "$uuid" busybox)
	expect_output '0:0 /' '0:0 /etc/passwd' '12:13 /v' '0:0 /dev/null' \
		'0:0 /tmp' '33:44 /new' '33:44 /v/new' '5:0 /etc/passwd'
	upper=$D/data/pods/run/$uuid/generations/busybox/1/upper
	run stat -c '%u:%g %n' "$upper/new" "$upper/etc/passwd" "$upper/etc/hosts" \
		"$D/data/pods/run/$uuid/sharedVolumes/v/new"
	expect_output '33:44 ' '5:0 ' '0:0 '
	[ "$(stat -c %u:%g "$D/data/pods/run/$uuid/sharedVolumes/v/new")" = 33:44 ]
	# As those see it who look into the pod from outside.
	first=$(shift_of "$uuid")
	root=/proc/$(pid_of "$uuid" busybox)/root
	[ "$(stat -c %u:%g "$root/new")" = $((first + 33)):$((first + 44)) ]
	[ "$(stat -c %u:%g "$root/bin/busybox")" = "$first:$first" ]
}

@test "export: the owners the image would have, not those of the host" {
	run_rkt run --net=none --private-users --uuid-file-save="$D/uuid" \
		"$F/busybox.aci" -- -c 'touch /new && chown 33:44 /new'
	expect_status 0
	if rkt help export >/dev/null 2>&1; then
		run rkt export "$(cat "$D/uuid")" "$D/out.aci"
		expect_status 0
		run tar --numeric-owner -tvf "$D/out.aci"
		expect_output 33/44
	fi
	run find "$D/data/pods" -uid +65535 -o -gid +65535
	expect_status 0
	[ -z "$output" ]
}

@test "a set-user-id program of the image makes nobody root of the host" {
	mkdir -p "$D/i/rootfs"
	cp "$INSIDE" "$D/i/rootfs/inside"
	chmod 4755 "$D/i/rootfs/inside"
	image_tree "$D/i" example.com/suid 1.0.0 \
		'.app.user="200" | .app.group="300"'
	# Without that it has no_new_privs.
	detach_inside --net=none --private-users "$D/i.aci" \
		--seccomp=mode=retain,@appc.io/all -- sleep 1000
	first=$(shift_of "$uuid")
	pid=$(pid_of "$uuid" suid)
	uid=$((first + 200))
	wait_for 10 grep -qx "Uid:	$uid	$first	$first	$first" "/proc/$pid/status"
}

@test "host volumes are not shifted: their owners are nobody inside" {
	mkdir -p "$D/vol/sub"
	echo text >"$D/vol/file"
	chmod 1777 "$D/vol"
	RUN=("--volume=v,kind=host,source=$D/vol")
	sh_private --mount=volume=v,target=/v -- \
		'stat -c %u:%g /v/file; cat /v/file; touch /v/mine; rm /v/file; chown 0 /v/sub; true'
	expect_output 65534:65534 text 'not permitted'
	[ -e "$D/vol/file" ]
	first=$(stat -c %u "$D/vol/mine")
	[ "$first" -ge $((0x80000)) ]
}

@test "capabilities are of the namespace: its network, not its mounts" {
	sh_private --caps-retain=CAP_SYS_ADMIN,CAP_NET_ADMIN,CAP_MKNOD -- '
		mount -t tmpfs t /tmp && echo mount=ok
		hostname after && hostname
		ip link set lo down && echo lo=ok
		umount /proc/kallsyms || echo cover=kept
		mount -o remount,rw /proc/sys || echo sys=kept
		mknod /disk b 254 0 || echo mknod=no'
	expect_output mount=ok after lo=ok cover=kept sys=kept mknod=no
	# shellcheck disable=SC2016 # the pod's shell
	sh_private -- 'grep Cap /proc/self/status; readlink /proc/self/ns/cgroup
		nc -l -p 80 &
		i=0
		until netstat -ltn | grep :80 || [ $((i += 1)) = 200 ]; do
			sleep 0.05
		done
		kill %1'
	expect_output 'CapEff:	00000000a80425fb' 'CapBnd:	00000000a80425fb' \
		':80 '
	sh_private --user=200 --group=200 -- 'grep Cap /proc/self/status'
	expect_output 'CapEff:	0000000000000000' 'CapPrm:	0000000000000000'
}

@test "system calls are still filtered" {
	sh_private -- 'grep Seccomp: /proc/self/status; unshare -U true; echo $?'
	expect_output 'Seccomp:	2' 'not permitted'
}

@test "sysctls of the pod's network, and --net=host" {
	run_inside --private-users "$F/busybox.aci" -- -c \
		'cat /proc/sys/net/ipv4/tcp_migrate_req'
	expect_status 0
	expect_output 1
	run_rkt run --net=host --private-users "$F/busybox.aci" -- -c \
		'readlink /proc/self/ns/net; nc -l -p 81 || echo no'
	expect_status 0
	expect_output "$(readlink /proc/self/ns/net)" 'Permission denied'
	run_rkt run --net=none --ipc=parent --private-users "$F/busybox.aci" -- \
		-c 'readlink /proc/self/ns/ipc'
	expect_status 0
	expect_output "$(readlink /proc/self/ns/ipc)"
}

@test "one image in two pods with different ranges and one without" {
	uuids=() mounts=()
	for private in --private-users --private-users ''; do
		# shellcheck disable=SC2086 # nothing, where it is empty
		detach_inside --net=none $private "$F/busybox.aci" -- -c \
			'stat -c %u /bin/busybox; sleep 1000'
		wait_for 10 pod_logged "$uuid" busybox 0
		uuids+=("$uuid")
		mounts+=("$(grep -c ' - erofs ' /proc/self/mountinfo || true)")
	done
	one=$(shift_of "${uuids[0]}")
	two=$(shift_of "${uuids[1]}")
	[ "$one" != "$two" ]
	[ ! -e "$D/data/pods/run/${uuids[2]}/private-users-prepared" ]
	[ "$(stat -c %u "/proc/$(pid_of "${uuids[0]}" busybox)/root/bin/busybox")" = "$one" ]
	[ "$(stat -c %u "/proc/$(pid_of "${uuids[1]}" busybox)/root/bin/busybox")" = "$two" ]
	[ "$(stat -c %u "/proc/$(pid_of "${uuids[2]}" busybox)/root/bin/busybox")" = 0 ]
	# It is mounted once.
	[ "${mounts[0]}" = "${mounts[2]}" ]
	! host_has mountable || [ "${mounts[0]}" -gt 0 ]
}

@test "each image driver, and copies" {
	for driver in erofs loop tree; do
		use_driver $driver
		RUN=()
		run_inside "$F/busybox.aci" -- -c true
		# Some need a younger kernel or other file system.
		[ "$status" = 0 ] || [ $driver = tree ] || continue
		for copy in '' --no-overlay; do
			# shellcheck disable=SC2206 # nothing, where it is empty
			RUN=($copy)
			sh_private -- 'stat -c %u:%g /bin/busybox
				touch /f; chown 3:4 /f /etc/passwd
				stat -c %u:%g-%n /f /etc/passwd'
			expect_status 0
			expect_output 0:0 3:4-/f 3:4-/etc/passwd
		done
	done
}

@test "enter: with a terminal and without" {
	detach_inside --net=none --private-users "$F/busybox.aci" -- \
		-c 'sleep 1000'
	first=$(shift_of "$uuid")
	run rkt enter "$uuid" /bin/sh -c 'id -u; cat /proc/self/uid_map
		grep CapEff /proc/self/status; touch /entered; stat -c %u /entered
		readlink /proc/self/ns/user'
	expect_status 0
	expect_output "$first" 'CapEff:	00000000a80425fb' \
		"$(readlink "/proc/$(pid_of "$uuid" busybox)/ns/user")"
	[ "$(sed -n 1p <<<"$output")" = 0 ]
	[ "$(stat -c %u "$D/data/pods/run/$uuid/generations/busybox/1/upper/entered")" = 0 ]
	run script -qec "$RKT --dir=$D/data enter $uuid /bin/sh -c 'tty; stat -c own=%u:%g /dev/pts/0; : >/dev/pts/0 && : >/dev/tty && echo open=ok'" \
		"$D/typescript" </dev/null
	expect_output /dev/pts/0 own=0: open=ok
}

@test "a pod with a terminal" {
	run script -qec "$RKT --dir=$D/data --insecure-options=image run --net=none --private-users --interactive $F/busybox.aci -- -c 'tty; stat -c own=%u:%g /dev/console; : >/dev/tty && echo open=ok'" \
		"$D/typescript" </dev/null
	expect_output own=0:0 open=ok
}

@test "prepare, run-prepared, start: the same range each time" {
	run_rkt prepare --quiet --private-users "$F/busybox.aci" -- \
		-c 'cat /proc/self/uid_map'
	expect_status 0
	uuid=$(tail -1 <<<"$output")
	first=$(shift_of "$uuid")
	run rkt run-prepared --net=none "$uuid"
	expect_status 0
	output=$(tr -s ' ' <<<"$output")
	expect_output " 0 $first 65536"
	run rkt start "$uuid"
	expect_status 0
	output=$(tr -s ' ' <<<"$output")
	expect_output " 0 $first 65536"
	[ "$(shift_of "$uuid")" = "$first" ]
	run_rkt run --net=none --private-users --pod-name=web \
		--uuid-file-save="$D/uuid" "$F/busybox.aci" -- \
		-c 'cat /proc/self/uid_map'
	first=$(shift_of "$(cat "$D/uuid")")
	# Named pods keep theirs, asked for again or not.
	for private in '' --private-users; do
		# shellcheck disable=SC2086 # nothing, where it is empty
		run_rkt run --net=none $private --pod-name=web \
			"$F/busybox.aci" -- -c 'cat /proc/self/uid_map'
		expect_status 0
		output=$(tr -s ' ' <<<"$output")
		expect_output " 0 $first 65536"
	done
	rkt rm web
}

@test "a user that has no number inside is refused before a pod is made" {
	for bad in --user=65536 --group=70000 --supplementary-gids=65536; do
		run_rkt run --net=none --private-users "$F/inside.aci" $bad \
			-- exit-code 0
		expect_status 254
		expect_output "${bad#*=} is not below 65536"
	done
	run_rkt prepare --private-users --volume=v,kind=empty,uid=65536 \
		"$F/inside.aci" --mount=volume=v,target=/v
	expect_status 254
	expect_output 'volume v: --private-users: owner 65536 is not below'
	[ -z "$(find "$D/data/pods" -mindepth 2 2>/dev/null)" ]
	# What only the image knows.
	mkdir -p "$D/i/rootfs/etc"
	cp "$INSIDE" "$D/i/rootfs/inside"
	echo 'big:x:70000:0::/:/bin/sh' >"$D/i/rootfs/etc/passwd"
	echo >"$D/i/rootfs/etc/mine"
	chown 70001 "$D/i/rootfs/etc/mine"
	image_tree "$D/i" example.com/big 1.0.0 '.app.user="big"'
	run_rkt run --net=none --private-users "$D/i.aci" -- exit-code 0
	expect_status 254
	expect_output 'user 70000 or group 0'
	run_rkt run --net=none --private-users "$D/i.aci" --user=/etc/mine -- \
		exit-code 0
	expect_status 254
	expect_output '/etc/mine has no number'
	run_rkt run --net=none "$D/i.aci" -- exit-code 3
	expect_status 3
}

@test "no range is free: refused, and nothing is left" {
	echo 'somebody:0:4294967295' >"$D/subuid"
	mount --bind "$D/subuid" /etc/subuid
	run_rkt run --net=none --private-users "$F/inside.aci" -- exit-code 0
	umount /etc/subuid
	expect_status 254
	expect_output 'choose private users' /etc/subuid
	[ -z "$(find "$D/data/pods" -mindepth 2)" ]
	# One range is, but a pod has it already.
	echo 'somebody:0:524288
other:589824:4294000000' >"$D/subuid"
	mount --bind "$D/subuid" /etc/subuid
	run_rkt prepare --quiet --private-users "$F/inside.aci"
	uuid=$(tail -1 <<<"$output")
	run_rkt prepare --quiet --private-users "$F/inside.aci"
	expect_output 'choose private users'
	rkt rm "$uuid"
	run_rkt prepare --quiet --private-users "$F/inside.aci"
	umount /etc/subuid
	expect_status 0
	[ "$(shift_of "$(tail -1 <<<"$output")")" = 524288 ]
}

@test "many at once have different ranges" {
	for i in 1 2 3 4 5 6 7 8; do
		rkt --insecure-options=image prepare --quiet --private-users \
			"$F/inside.aci" >"$D/uuid.$i" 2>/dev/null &
	done
	wait
	[ "$(cat "$D"/data/pods/prepared/*/private-users-prepared | tr ' ' '\n' |
		sed 's/:65536/:65536\n/g' | sort -u | grep -c :)" = 8 ]
}

# claims: FIRST of each range that a pod on this host has claimed, sorted
claims() {
	ls /run/rkt/users 2>/dev/null || true
}

@test "pods of other data directories have other ranges" {
	# Two are free.
	echo 'somebody:0:524288
other:655360:4294000000' >"$D/subuid"
	mount --bind "$D/subuid" /etc/subuid
	run_rkt prepare --quiet --private-users "$F/inside.aci" -- exit-code 3
	expect_status 0
	uuid=$(tail -1 <<<"$output")
	first=$(shift_of "$uuid")
	run "$RKT" --dir="$D/other" --insecure-options=image prepare --quiet \
		--private-users "$F/inside.aci" -- exit-code 4
	expect_status 0
	other=$(tail -1 <<<"$output")
	second=$(sed 's/:.*//' "$D/other/pods/prepared/$other/private-users-prepared")
	[ "$((first + second))" = "$((524288 + 589824))" ]
	[ "$(claims)" = "524288
589824" ]
	run "$RKT" --dir="$D/third" --insecure-options=image prepare --quiet \
		--private-users "$F/inside.aci"
	expect_status 254
	expect_output 'choose private users'
	# As after a boot, another pod took the range of one that waits.
	rm "/run/rkt/users/$first"
	run "$RKT" --dir="$D/third" --insecure-options=image prepare --quiet \
		--private-users "$F/inside.aci"
	expect_status 0
	third=$(tail -1 <<<"$output")
	run rkt run-prepared --net=none "$uuid"
	expect_status 254
	expect_output "the users of pod $uuid, $first to $((first + 65535)), are now those of pod $third in $D/third: remove one of the two"
	run "$RKT" --dir="$D/third" rm "$third"
	expect_status 0
	[ "$(claims)" = "$second" ]
	run rkt run-prepared --net=none "$uuid"
	expect_status 3
	# So does one that is started again.
	rm "/run/rkt/users/$first"
	run "$RKT" --dir="$D/third" --insecure-options=image prepare --quiet \
		--private-users "$F/inside.aci"
	expect_status 0
	run rkt start "$uuid"
	expect_status 254
	expect_output 'are now those of pod'
	# What a removed directory had is free.
	rm -rf "$D/third"
	run rkt start "$uuid"
	expect_status 3
	umount /etc/subuid
	rkt rm "$uuid"
	"$RKT" --dir="$D/other" rm "$other"
	[ -z "$(claims)" ]
}

@test "a file system that cannot map owners: refused before a pod is made" {
	mkdir "$D/ram"
	# File systems of user space cannot, nor ramfs.
	mount -t ramfs ramfs "$D/ram"
	run "$RKT" --dir="$D/ram/data" --insecure-options=image run --net=none \
		--private-users "$F/inside.aci" -- exit-code 0
	found=$(find "$D/ram/data/" -path '*/pods/*/*')
	umount -l "$D/ram"
	expect_status 254
	expect_output '--private-users: the file system of' 'cannot map owners'
	[ -z "$found" ]
}

nothing_runs() {
	! pgrep -f '^(pod-init|stage1 run)'
}

@test "kill -9 at any time of a start: nothing goes on" {
	for n in $(seq 0 11); do
		"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
			--private-users --uuid-file-save="$D/uuid" \
			"$F/inside.aci" -- sleep 1000 >"$D/out" 2>&1 &
		pid=$!
		wait_for 30 test -s "$D/uuid"
		sleep "0.0$(printf %02d "$n")"
		kill -9 "$pid"
		wait "$pid" || true
		wait_for 30 nothing_runs
		rm "$D/uuid"
	done
	run rkt gc --grace-period=0s --expire-prepared=0s
	expect_status 0
	[ -z "$(find "$D/data/pods" -mindepth 2)" ]
}

# --- updates -----------------------------------------------------------------

# Connections the pod's listeners have got so far.
opened() {
	awk '$1 == "Tcp:" { n = $7 } END { print n }' "/proc/$pid/net/snmp"
}

opened_after() {
	[ "$(opened)" -gt $(($1 + 20)) ]
}

# Until who serves now has answered.
under_load() {
	wait_for 20 opened_after "$(opened)"
}

# Nobody refused or left waiting; nothing but a restart cuts one off.
nobody_refused() {
	local key
	load_end
	for key in refused timeout; do
		[ "$(load_value load $key)" = 0 ] ||
			fail "$(cat "$D/load.load")" || return 1
	done
	for key in "$@"; do
		[ "$(load_value load "body.$key")" -gt 0 ] ||
			fail "$(cat "$D/load.load")" || return 1
	done
}

# Of every process of the pod, and each is the pod's.
same_range() {
	[ "$(shift_of "$uuid")" = "$first" ]
	for p in $(pgrep --ns "$pid" --nslist pid); do
		uid=$(awk '/^Uid:/ { print $2 }' "/proc/$p/status")
		((uid >= first && uid < first + 65536)) ||
			fail "process $p is user $uid"
	done
}

@test "update and rollback under load, both tiers: the same range" {
	for tier in handover restart; do
		RUN=(--private-users)
		serve tcp4:80
		first=$(shift_of "$uuid")
		version 2
		load_begin load 127.0.0.1 80 /
		under_load
		run_rkt update --strategy=$tier --observe=200ms \
			--image="$D/2.aci" web
		expect_status 0
		expect_output "$tier" COMMITTED
		same_range
		under_load
		run_rkt rollback --strategy=$tier --observe=200ms web
		expect_status 0
		same_range
		under_load
		nobody_refused 1 2
		run rkt stop --force web
		wait_for 10 pod_is web exited
		rkt rm web
		rm -f "$D/load.load"
	done
}

@test "update: a socket in an empty volume, an exec probe, another user" {
	RUN=(--private-users "--volume=v,kind=empty,mode=0777")
	JQ='.app.mountPoints=[{name:"v",path:"/v"}]'
	serve tcp4:8080 unix:/v/socket
	first=$(shift_of "$uuid")
	version 2 "$JQ"'|.app.user="web" | .app.group="web"'
	load_begin load 127.0.0.1 8080 /
	under_load
	run_rkt update --strategy=restart --probe=exec:'/inside exit-code 0' \
		--observe=200ms --image="$D/2.aci" web
	expect_status 0
	same_range
	[ -S "$D/data/pods/run/$uuid/sharedVolumes/v/socket" ]
	under_load
	nobody_refused 1 2
}

@test "update to a user that has no number inside: the old one goes on" {
	RUN=(--private-users)
	serve tcp4:80
	version 2 '.app.user="70000"'
	load_begin load 127.0.0.1 80 /
	under_load
	run_rkt update --observe=200ms --image="$D/2.aci" web
	[ "$status" != 0 ]
	expect_output 'user 70000 is not below 65536'
	run_rkt update --plan --image="$D/2.aci" web
	expect_status 11
	expect_output 'user 70000 is not below 65536'
	under_load
	nobody_refused 1
	run rkt status web
	expect_output state=running generation-inside=1
}
