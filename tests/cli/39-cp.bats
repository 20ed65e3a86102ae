#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt cp: files between a pod and the host, whatever the pod does meanwhile.

# shellcheck disable=SC2030,SC2031 # tests set what helpers read

load lib

setup_file() {
	local t=$F/t applet
	mkdir -p "$t/rootfs"/{bin,etc,tmp,srv/dir/sub,run}
	cp /bin/busybox "$t/rootfs/bin/busybox"
	cp "$INSIDE" "$t/rootfs/bin/inside"
	for applet in sh sleep cat mkfifo mknod ln echo chmod chown id rm mkdir \
		mv stat ls touch; do
		ln -s busybox "$t/rootfs/bin/$applet"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$t/rootfs/etc/passwd"
	echo one >"$t/rootfs/srv/dir/one"
	ln "$t/rootfs/srv/dir/one" "$t/rootfs/srv/dir/hard"
	echo two >"$t/rootfs/srv/dir/sub/two"
	ln -s /etc/passwd "$t/rootfs/srv/dir/link"
	ln -s dir "$t/rootfs/srv/to-dir"
	ln -s dir/one "$t/rootfs/srv/to-one"
	ln -s /srv/nothing "$t/rootfs/srv/dangling"
	mkfifo "$t/rootfs/srv/dir/fifo"
	truncate -s 20M "$t/rootfs/srv/dir/sparse"
	echo end >>"$t/rootfs/srv/dir/sparse"
	chown 5:6 "$t/rootfs/srv/dir/one" "$t/rootfs/srv/dir/sub"
	chmod 4755 "$t/rootfs/srv/dir/sub/two"
	setfattr -n user.colour -v blue "$t/rootfs/srv/dir/one"
	touch -d '2001-02-03 04:05:06 UTC' "$t/rootfs/srv/dir/one"
	image_tree "$t" example.com/box 1.0.0 '.app.exec=["/bin/sh"]'
}

# start OPTION... -- SCRIPT: a pod that says "ready" when SCRIPT has begun.
start() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	detach_inside --net=none "${options[@]}" "$F/t.aci" --name=box \
		"${APP[@]}" -- -c "echo ready; $2"
	wait_for 10 pod_logged "$uuid" box ready
}

# in_pod COMMAND...: its output is in $output.
in_pod() {
	run rkt enter "$uuid" "$@"
	expect_status 0
}

# The files of the image at DIR, with owners OWNER for those of 5:6.
is_dir_copy() {
	[ "$(cat "$1/one")" = one ] || fail "one: $(ls -l "$1")"
	[ "$1/one" -ef "$1/hard" ] || fail "no hard link"
	[ "$(cat "$1/sub/two")" = two ] || fail "no sub/two"
	[ "$(readlink "$1/link")" = /etc/passwd ] || fail "link"
	[ -p "$1/fifo" ] || fail "no FIFO"
	[ "$(stat -c %s "$1/sparse")" = $((20 * 1024 * 1024 + 4)) ] ||
		fail "sparse: $(stat -c %s "$1/sparse")"
	[ "$(stat -c %b "$1/sparse")" -lt 1000 ] || fail "not sparse any more"
	[ "$(stat -c %u:%g "$1/one")" = "$2" ] || fail "$(ls -ln "$1")"
	[ "$(date -u -r "$1/one" +%F)" = 2001-02-03 ] || fail "mtime"
	[ "$(getfattr --only-values -n user.colour "$1/one")" = blue ]
}

@test "a directory out of a running pod, and what it is called" {
	start -- 'sleep 1000'
	run rkt cp "$uuid:/srv/dir" new
	expect_status 0
	[ -z "$output" ] || fail "$output"
	is_dir_copy new 0:0
	[ "$(stat -c %a new/sub/two)" = 755 ] || fail "set-user-ID is kept"
	mkdir there
	rkt cp "$uuid:/srv/dir" there
	is_dir_copy there/dir 0:0
	mkdir content
	rkt cp "$uuid:srv/dir/." content
	is_dir_copy content 0:0
	rkt cp "$uuid:/srv/dir/." content
	is_dir_copy content 0:0
	rkt cp --archive "$uuid:/srv/dir" kept
	is_dir_copy kept 5:6
	[ "$(stat -c '%a %u:%g' kept/sub)" = '755 5:6' ]
	[ "$(stat -c %a kept/sub/two)" = 4755 ] || fail "set-user-ID is lost"
	[ -z "$(find . -name '.rkt-cp-*')" ] || fail "left over"
}

@test "a file out of a running pod: names, links, and what is there already" {
	start -- 'sleep 1000'
	rkt cp "$uuid:/srv/dir/one" .
	[ "$(cat one)" = one ]
	rkt cp "$uuid:/srv/dir/sub/two" one
	[ "$(cat one)" = two ]
	rkt cp "$uuid:/srv/to-one" link
	[ "$(readlink link)" = dir/one ]
	rkt cp -L "$uuid:/srv/to-one" file
	[ ! -L file ] && [ "$(cat file)" = one ]
	# A link that is there is followed, as by docker.
	echo before >behind
	rm link
	ln -s behind link
	rkt cp "$uuid:/srv/dir/one" link
	[ -L link ] && [ "$(cat behind)" = one ]
	local want
	while read -r from to want; do
		run rkt cp "$uuid:$from" "$to"
		expect_status 254
		expect_output "$want"
	done <<-'EOF'
		/srv/none new open /srv/none: No such file or directory
		/srv/dir/one new/ there is no such directory
		/srv/dir/one none/new No such file or directory
		/srv/dir file is no directory: a directory cannot be copied to it
		/dev/null new is a socket or a device node
		/proc/1/root/etc new open /proc/1/root/etc
	EOF
	[ ! -e new ]
}

@test "into a running pod: files, directories, through its links" {
	start -- 'sleep 1000'
	mkdir -p dir/sub
	echo host >dir/file
	echo deep >dir/sub/file
	ln -s /etc/shadow dir/link
	chown -R 7:8 dir
	chmod 4755 dir/file
	rkt cp dir "$uuid:/tmp"
	in_pod /bin/stat -c '%n %u:%g %a' /tmp/dir/file /tmp/dir/sub
	expect_output '/tmp/dir/file 0:0 755' '/tmp/dir/sub 0:0'
	in_pod /bin/cat /tmp/dir/file /tmp/dir/sub/file
	expect_output host deep
	rkt cp -a dir/. "$uuid:/tmp"
	in_pod /bin/stat -c '%n %u:%g %a' /tmp/file
	expect_output '/tmp/file 7:8 4755'
	# The links lead where they do in the pod.
	rkt cp dir/file "$uuid:/srv/to-dir"
	in_pod /bin/cat /srv/dir/file
	expect_output host
	rkt cp dir/file "$uuid:/srv/to-one"
	in_pod /bin/cat /srv/dir/one
	expect_output host
	rkt cp dir/file "$uuid:/srv/dangling"
	in_pod /bin/cat /srv/nothing
	expect_output host
	run rkt cp dir "$uuid:/srv/dir/one"
	expect_status 254
	expect_output 'is no directory'
	run rkt cp dir/file "$uuid:/none/file"
	expect_status 254
	# Nothing takes the place of something of another kind.
	in_pod /bin/mkdir -p /tmp/x/file
	run rkt cp dir/. "$uuid:/tmp/x"
	expect_status 254
	expect_output 'there is a directory, which only a directory'
	# Read-only is read-only, and /proc and /sys are no places.
	run rkt cp dir/file "$uuid:/sys/new"
	expect_status 254
	expect_output 'Read-only file system'
}

@test "tars on standard input and output" {
	start -- 'sleep 1000'
	rkt cp "$uuid:/srv/dir" - >out.tar
	output=$(tar -tvf out.tar)
	expect_output 'dir/' 'dir/sub/two' 'dir/link -> /etc/passwd' \
		'-rwsr-xr-x'
	expect_output '5/6'
	mkdir x
	tar -C x -xpf out.tar
	[ "$(stat -c %u x/dir/one)" = 5 ]
	for pack in cat 'gzip -1' 'xz -0' bzip2; do
		in_pod /bin/rm -rf /tmp/dir
		$pack <out.tar | rkt cp - "$uuid:/tmp"
		in_pod /bin/stat -c '%n %u:%g' /tmp/dir/one /tmp/dir/sub/two
		expect_output '/tmp/dir/one 0:0' '/tmp/dir/sub/two 0:0'
	done
	rkt cp -a - "$uuid:/tmp" <out.tar
	in_pod /bin/stat -c '%n %u:%g' /tmp/dir/one
	expect_output '/tmp/dir/one 5:6'
	run rkt cp - "$uuid:/tmp/new" <out.tar
	expect_status 254
	expect_output 'a tar is unpacked in one'
	run rkt cp - "$uuid:/tmp" <"$RKT"
	expect_status 254
	expect_output 'read the archive'
	# Half a tar is an error.
	head -c 30000 out.tar >half.tar
	run rkt cp - "$uuid:/tmp" <half.tar
	expect_status 254
}

@test "tars that mean harm stay in the directory" {
	start -- 'sleep 1000'
	python3 - <<-'EOF'
		import io, tarfile
		def tar(name, *entries):
		    with tarfile.open(name, "w") as t:
		        for path, kind, link in entries:
		            e = tarfile.TarInfo(path)
		            e.type, e.linkname = kind, link
		            data = b"evil" if kind == tarfile.REGTYPE else b""
		            e.size = len(data)
		            t.addfile(e, io.BytesIO(data))
		F, L, H, D, C = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
		                 tarfile.DIRTYPE, tarfile.CHRTYPE)
		tar("dotdot.tar", ("../evil", F, ""))
		tar("absolute.tar", ("/evil", F, ""))
		tar("link.tar", ("l", L, "/srv"), ("l/evil", F, ""))
		tar("hard.tar", ("h", H, "../../etc/passwd"))
		tar("device.tar", ("d", C, ""))
	EOF
	for tar in *.tar; do
		run rkt cp - "$uuid:/tmp" <"$tar"
		expect_status 254
	done
	in_pod /bin/ls -R /tmp /srv /etc
	expect_no_output evil
}

@test "an exited pod: what its app left, and nothing goes in" {
	run_rkt run --net=none --uuid-file-save="$D/uuid" "$F/t.aci" -- \
		-c 'rm -r /srv/dir/sub; echo left >/srv/dir/new; chmod 600 /srv/dir/new'
	expect_status 0
	uuid=$(cat "$D/uuid")
	rkt cp "$uuid:/srv/dir" got
	[ "$(cat got/new)" = left ] && [ ! -e got/sub ]
	is_link=$(readlink got/link)
	[ "$is_link" = /etc/passwd ]
	run rkt cp got "$uuid:/srv"
	expect_status 254
	expect_output 'is exited: its apps get new root file systems'
	uuid2=$(rkt --insecure-options=image prepare --quiet "$F/t.aci")
	run rkt cp "$uuid2:/srv/dir" got2
	expect_status 254
	expect_output 'only running and exited pods have files'
}

@test "volumes are there, read-only where they are" {
	mkdir rw ro
	echo volume >rw/in
	start --volume="rw,kind=host,source=$PWD/rw" \
		--volume="ro,kind=host,source=$PWD/ro,readOnly=true" \
		--mount=volume=rw,target=/srv/rw \
		--mount=volume=ro,target=/srv/ro -- 'sleep 1000'
	rkt cp "$uuid:/srv" out
	[ "$(cat out/rw/in)" = volume ]
	rkt cp out/rw/in "$uuid:/srv/rw/new"
	[ "$(cat rw/new)" = volume ]
	run rkt cp out/rw/in "$uuid:/srv/ro/new"
	expect_status 254
	expect_output 'Read-only file system'
	[ -z "$(ls ro)" ]
}

@test "between pods, with users of their own" {
	start --private-users -- 'echo secret >/tmp/own; chown 12:13 /tmp/own;
		chmod 600 /tmp/own; echo made; sleep 1000'
	one=$uuid
	wait_for 10 pod_logged "$one" box made
	rkt cp -a "$one:/tmp/own" kept
	[ "$(stat -c '%u:%g %a' kept)" = '12:13 600' ] || fail "$(ls -ln kept)"
	rkt cp -a kept "$one:/tmp/back"
	in_pod /bin/stat -c '%u:%g %a' /tmp/back
	expect_output '12:13 600'
	rkt cp kept "$one:/tmp/roots"
	in_pod /bin/stat -c '%u:%g' /tmp/roots
	expect_output '0:0'
	start --private-users -- 'sleep 1000'
	rkt cp -a "$one:/tmp/own" "$uuid:/srv"
	in_pod /bin/stat -c '%u:%g %a' /srv/own
	expect_output '12:13 600'
}

@test "sockets and devices are left out" {
	skip_without mknod
	start -- 'mknod /srv/dir/null c 1 3; echo made; sleep 1000'
	wait_for 10 pod_logged "$uuid" box made
	run rkt cp "$uuid:/srv/dir" got
	expect_status 0
	expect_output '1 sockets and device nodes were left out'
	is_dir_copy got 0:0
	[ ! -e got/null ]
}

@test "an app that swaps its files for links: nothing leaves it" {
	local host=$D/host ok=0 rounds=20
	mkdir -p "$host/etc"
	echo host-secret >"$host/etc/secret"
	before=$(find "$host" -printf '%p %s %T@\n')
	# /d is now a directory, now a link to what is a file of the host.
	start -- "mkdir -p /d $host/etc; echo pod >/d/f; echo pod >$host/etc/f
		ln -s $host/etc /l; echo go; exec inside swap /d /l 1000"
	wait_for 10 pod_logged "$uuid" box go
	mkdir in out
	echo into >in/f
	host_has not-sanitized && rounds=60
	for _ in $(seq $rounds); do
		# Either is a good end; what is seen of the host is none.
		run rkt cp "$uuid:/d/." out
		[ "$status" = 0 ] || [ "$status" = 254 ]
		[ "$status" != 0 ] || ok=$((ok + 1))
		run rkt cp in/. "$uuid:/d"
		[ "$status" = 0 ] || [ "$status" = 254 ]
		[ "$status" != 0 ] || ok=$((ok + 1))
	done
	[ "$ok" -gt 0 ] || fail "only $ok copies were made: $output"
	! grep -r host-secret out || fail "a file of the host came out"
	[ "$(find "$host" -printf '%p %s %T@\n')" = "$before" ] ||
		fail "files of the host changed: $(find "$host" -ls)"
}

@test "a copy that is killed leaves no half file under its name" {
	start -- 'sleep 1000'
	mkfifo pipe
	rkt cp "$uuid:/srv/dir/sparse" whole
	tar -cf whole.tar whole
	"$RKT" --dir="$D/data" cp - "$uuid:/tmp" <pipe &
	pid=$!
	# Its end does not come.
	exec 8>pipe
	head -c 300000 whole.tar >&8
	wait_for 10 rkt enter "$uuid" /bin/sh -c 'stat /tmp/.rkt-cp-*'
	kill -9 "$pid"
	wait "$pid" || true
	exec 8>&-
	run rkt enter "$uuid" /bin/ls /tmp/whole
	[ "$status" != 0 ] || fail "half a file is there"
}

@test "errors name the side they are of" {
	start -- 'sleep 1000'
	run rkt cp /sys/class/net/lo/speed "$uuid:/tmp/new"
	expect_status 254
	expect_output 'copy from /sys/class/net/lo/speed: read new: Invalid argument'
	run rkt cp "$uuid:/sys/class/net/lo/speed" other
	expect_status 254
	expect_output 'copy from /sys/class/net/lo/speed: read other:'
	run rkt cp /etc/passwd "$uuid:/proc/new"
	expect_status 254
	expect_output 'copy to /proc/new:'
}

@test "wrong words" {
	start -- 'sleep 1000'
	while IFS='|' read -r words want; do
		# shellcheck disable=SC2086 # words
		run rkt cp ${words//UUID/$uuid}
		expect_status 254
		expect_output "$want"
	done <<-'EOF'
		UUID:/srv|must provide SRC and DST
		a b|one of SRC and DST must be POD:PATH
		UUID:/srv/dir x y|must provide SRC and DST
		:/srv x|:/srv names no pod
		00000000-0000-0000-0000-000000000000:/x y|no matches found
		--app=none UUID:/srv x|app "none" not found
	EOF
	# What begins with a dot or a slash is of the host.
	echo colon >a:b
	rkt cp ./a:b "$uuid:/tmp/colon"
	in_pod /bin/cat /tmp/colon
	expect_output colon
}
