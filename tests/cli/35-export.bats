#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt export: what an app left of its files, as an image.

load lib

# What is removed, replaced, linked and hidden behind whiteouts.
CHANGE='set -e
rm /etc/old; rm -r /etc/dir; mkdir /etc/dir; echo new >/etc/dir/b
rm -r /etc/gone
echo changed >/etc/file; chmod 4711 /etc/file
echo one >/one; ln /one /two; ln -s /nowhere /dangling
mkfifo /fifo; chown 3:4 /etc/file2 /one; mkdir -m 1777 /sticky
mv /etc/moved /etc/renamed
echo sparse | dd of=/sparse seek=1000 2>/dev/null
touch -d "2001-02-03 04:05:06" /one'

setup_file() {
	local t=$F/t
	mkdir -p "$t/rootfs"/{bin,etc/dir,etc/gone/deep,etc/moved/deep,tmp}
	cp /bin/busybox "$t/rootfs/bin/busybox"
	for applet in sh rm mkdir ln chmod chown mv dd touch mkfifo cat find \
		stat sort md5sum readlink sleep; do
		ln -s busybox "$t/rootfs/bin/$applet"
	done
	echo a >"$t/rootfs/etc/dir/a"
	echo old >"$t/rootfs/etc/old"
	echo file >"$t/rootfs/etc/file"
	echo file2 >"$t/rootfs/etc/file2"
	echo x >"$t/rootfs/etc/gone/deep/x"
	echo m >"$t/rootfs/etc/moved/deep/m"
	ln "$t/rootfs/etc/dir/a" "$t/rootfs/etc/hard"
	chown 5:6 "$t/rootfs/etc/file2" "$t/rootfs/etc/moved/deep/m"
	setfattr -n user.colour -v blue "$t/rootfs/etc/file2"
	image_tree "$t" example.com/box 1.0.0 '.app.exec=["/bin/sh"] |
		.app.environment=[{name:"COLOUR",value:"blue"}]'
}

# changed ARGS: an exited pod that has changed its files.
changed() {
	rm -f "$D/uuid"
	run_rkt run --net=none --uuid-file-save="$D/uuid" "$@" "$F/t.aci" -- \
		-c "$CHANGE"
	expect_status 0
	uuid=$(cat "$D/uuid")
}

# What there is below the rootfs of image FILE, but for what every pod has.
listing() {
	rm -rf "$D/x"
	mkdir "$D/x"
	tar -C "$D/x" --xattrs --xattrs-include='*' -xpf "$1"
	(cd "$D/x/rootfs" && find . -mindepth 1 \( -path ./proc -o \
		-path ./sys -o -path ./dev -o -path ./bin \) -prune -o \
		! -type d -printf '%p %y %m %U:%G %s %n %l\n' -o \
		-printf '%p %y %m %U:%G\n' | sort
		find etc one -type f ! -name 'host*' -exec md5sum {} + | sort
		getfattr -d etc/file2)
}

is_exported() {
	output=$(listing "$1")
	expect_output './etc/file f 4711 0:0 8 1' './etc/file2 f 644 3:4' \
		'./one f 644 3:4 4 2' './two f 644 3:4 4 2' \
		'./dangling l 777 0:0 8 1 /nowhere' './fifo p' \
		'./sticky d 1777' './etc/dir/b f' './sparse f 644 0:0 512007' \
		'./etc/renamed/deep/m f 644 5:6' './etc/hard f 644 0:0 2 1'
	expect_output 'user.colour="blue"'
	expect_no_output ./etc/old ./etc/gone ./etc/dir/a ./etc/moved
	[ "$D/x/rootfs/one" -ef "$D/x/rootfs/two" ] || fail "no hard link"
	[ "$(date -u -r "$D/x/rootfs/one" +%F)" = 2001-02-03 ] || fail "mtime"
	jq -e '.name == "example.com/box" and (.dependencies | not) and
		.app.environment[0].value == "blue"' "$D/x/manifest" ||
		fail "$(cat "$D/x/manifest")"
}

@test "what an app changed is in the image, what it removed is not" {
	changed
	run rkt export "$uuid" "$D/out.aci"
	expect_status 0
	expect_no_output out.aci
	is_exported "$D/out.aci"
	[ "$(head -c 2 "$D/out.aci" | od -An -tx1 | tr -d ' ')" = 1f8b ]
	pod_is "$uuid" exited || fail "the pod is $(pod_state "$uuid")"
	# Equal trees give equal bytes.
	rkt export "$uuid" "$D/again.aci"
	cmp "$D/out.aci" "$D/again.aci"
	# A copy and private users are no difference.
	listing "$D/out.aci" >"$D/listing"
	for how in --no-overlay --private-users; do
		changed "$how"
		rkt export "$uuid" "$D/$how.aci"
		is_exported "$D/$how.aci"
		listing "$D/$how.aci" >"$D/listing2"
		run diff "$D/listing" "$D/listing2"
		expect_status 0
	done
}

@test "an exported image runs, and its pod can be exported again" {
	changed
	rkt export "$uuid" "$D/out.aci"
	run_rkt run --net=none --uuid-file-save="$D/uuid2" "$D/out.aci" -- -c \
		'cat /etc/dir/b /etc/file; ls /etc/dir; echo $COLOUR; cat /one'
	expect_status 0
	expect_output new changed blue one
	rkt export "$(cat "$D/uuid2")" "$D/second.aci"
	[ "$(listing "$D/out.aci")" = "$(listing "$D/second.aci")" ]
}

@test "an app of several, and the file that is there" {
	run_rkt run --net=none --uuid-file-save="$D/uuid" "$F/t.aci" \
		--name=one -- -c 'echo 1 >/mine' --- "$F/t.aci" --name=two -- \
		-c 'echo 2 >/mine'
	expect_status 0
	uuid=$(cat "$D/uuid")
	run rkt export "$uuid" "$D/out.aci"
	expect_status 254
	expect_output 'specify app using "rkt export --app= ..."'
	run rkt export --app=three "$uuid" "$D/out.aci"
	expect_status 254
	expect_output 'app "three" not found'
	[ ! -e "$D/out.aci" ]
	rkt export --app=two "$uuid" "$D/out.aci"
	[ "$(tar -xOf "$D/out.aci" rootfs/mine)" = 2 ]
	run rkt export --app=one "$uuid" "$D/out.aci"
	expect_status 254
	expect_output 'target file exists (try --overwrite)'
	[ "$(tar -xOf "$D/out.aci" rootfs/mine)" = 2 ]
	rkt export --app=one --overwrite "$uuid" "$D/out.aci"
	[ "$(tar -xOf "$D/out.aci" rootfs/mine)" = 1 ]
	run rkt export --app=one "$uuid" "$D/missing/out.aci"
	expect_status 254
	expect_output "$D/missing" 'No such file or directory'
	[ -z "$(find "$D" -maxdepth 1 -name '.rkt-*')" ] || fail "$(ls -A "$D")"
}

@test "only exited pods, only .aci" {
	detach_inside --net=none "$F/t.aci" -- -c 'sleep 1000'
	run rkt export "$uuid" "$D/out.aci"
	expect_status 254
	expect_output "is running: only exited pods can be exported"
	rkt stop --force "$uuid"
	wait_for 10 pod_is "$uuid" exited
	run rkt export "$uuid" "$D/out.tar"
	expect_status 254
	expect_output 'extension must be .aci (given '
	run rkt export "$uuid"
	expect_status 254
	expect_output 'must provide one pod and the file to write'
	run_rkt prepare --quiet "$F/t.aci"
	run rkt export "$(tail -1 <<<"$output")" "$D/out.aci"
	expect_status 254
	expect_output "is prepared: only exited pods can be exported"
	[ ! -e "$D/out.aci" ]
}
