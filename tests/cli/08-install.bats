#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# make install, and what its groups may do: members of rkt and of rkt-admin,
# and who is neither.
# shellcheck disable=SC2154 # status, output, stderr come from bats

load lib

# Numbers nobody has: this file's groups need no names.
RKT_GID=64001
ADMIN_GID=64002
ROOT=/run/installed
MEMBER=$ROOT/usr/bin/rkt

# make_target TARGET DIRECTORY [PREFIX]: what is built is not built again.
make_target() {
	make -s -C "$TESTS/.." -o all -o man "$1" DESTDIR="$2" \
		PREFIX="${3-/usr}" B="$BUILD" \
		>"$D/make.log" 2>&1 || fail "$(cat "$D/make.log")"
}

# apply_tmpfiles: what systemd-tmpfiles does with the installed file.
apply_tmpfiles() {
	local type path mode user group
	while read -r type path mode user group _; do
		[ "$type" = d ] || continue
		group=${group/#rkt-admin/$ADMIN_GID}
		group=${group/#rkt/$RKT_GID}
		mkdir -p "$path"
		chown "$user:$group" "$path"
		chmod "0$mode" "$path"
	done <"$ROOT/usr/lib/tmpfiles.d/rkt.conf"
}

# as GID COMMAND...: a user that has no other group.
as() {
	local gid=$1
	shift
	run setpriv --reuid=65001 --regid="$gid" --clear-groups "$@"
}

# Programs and images where others than root may go; the real directories,
# which are this file's own.
setup() {
	mountpoint -q /var/lib/rkt || fail "run me through make check-cli"
	setup_test
	mkdir "$D/etc-upper" "$D/etc-work"
	mount -t overlay -o "lowerdir=/etc,upperdir=$D/etc-upper,workdir=$D/etc-work" \
		overlay /etc
	if [ ! -d "$ROOT" ]; then
		make_target install "$ROOT"
		mkdir -p /run/images
		install -d -m 1777 /run/images/drop
		image_inside /run/images/inside.aci
		image_inside /run/images/other.aci . example.com/other
	fi
	apply_tmpfiles
}

teardown() {
	pods_destroy /var/lib/rkt
	"$RKT" image gc --grace-period=0s >/dev/null 2>&1 || true
	umount /etc
	unseal /var/lib/rkt/cas
	find /var/lib/rkt -mindepth 1 -delete
	teardown_test
}

teardown_file() {
	rm -rf "$ROOT" /run/images
}

# root_runs ARGS: rkt as root, in the real directories.
root_runs() {
	run "$MEMBER" --insecure-options=image "$@"
}

@test "install puts everything in its place, uninstall takes it away" {
	[ -x "$ROOT/usr/bin/actool" ]
	for file in libexec/rkt/stage1 libexec/rkt/rkt-fetch \
		share/man/man1/rkt-run.1 share/man/man5/rkt.conf.5 \
		share/man/man7/rkt-update.7 \
		share/bash-completion/completions/rkt \
		share/zsh/site-functions/_rkt \
		share/fish/vendor_completions.d/rkt.fish \
		lib/systemd/system/rkt-gc.timer \
		lib/systemd/system/rkt-auto-update.timer \
		lib/systemd/system/rkt-api-tcp.socket \
		lib/systemd/system/rkt-api.service libexec/rkt/rkt-api \
		libexec/rkt/rkt-forward \
		share/doc/rkt/api.proto \
		share/doc/rkt/differences-from-rkt.md lib/sysusers.d/rkt.conf \
		lib/tmpfiles.d/rkt.conf share/doc/rkt/LICENSE; do
		[ -s "$ROOT/usr/$file" ] || fail "no $file"
	done
	make_target install "$D/root"
	mkdir -p "$D/root/usr/bin" && : >"$D/root/usr/bin/other"
	make_target uninstall "$D/root"
	run find "$D/root" ! -type d
	[ "$output" = "$D/root/usr/bin/other" ]
	[ ! -e "$D/root/usr/libexec/rkt" ]
}

@test "units name the programs where they are" {
	make_target install "$D/root" /opt/rkt
	run cat "$D"/root/opt/rkt/lib/systemd/system/rkt-gc.service
	expect_output 'ExecStart=/opt/rkt/bin/rkt gc'
	expect_no_output /usr/bin/rkt
}

@test "members of rkt read pods and images" {
	root_runs run --net=none --uuid-file-save="$D/uuid" \
		/run/images/inside.aci -- print-env
	expect_status 0
	uuid=$(cat "$D/uuid")
	"$MEMBER" --insecure-options=image run --net=none --detach \
		--pod-name=sleeper /run/images/other.aci --exec=/inside -- \
		sleep 600 >/dev/null
	for args in list 'list --format=json' "status $uuid" 'status sleeper' \
		"cat-manifest $uuid" 'image list' "logs $uuid" \
		'image cat-manifest example.com/inside' 'history sleeper' \
		config version; do
		# shellcheck disable=SC2086 # words
		as "$RKT_GID" "$MEMBER" $args
		[ "$status" = 0 ] || fail "rkt $args: $output"
	done
	as "$RKT_GID" "$MEMBER" list
	expect_output running exited "${uuid:0:8}"
	as "$RKT_GID" "$MEMBER" status "$uuid"
	expect_output state=exited app-inside=0
	as "$RKT_GID" "$MEMBER" image list
	expect_output example.com/inside example.com/other
	as "$RKT_GID" "$MEMBER" image export example.com/inside \
		/run/images/drop/out.aci
	expect_status 0
	# That is all.
	for args in 'stop sleeper' "rm $uuid" gc 'enter sleeper /inside' \
		'run /run/images/inside.aci' 'image rm example.com/inside'; do
		# shellcheck disable=SC2086 # words
		as "$RKT_GID" "$MEMBER" $args
		expect_status 254
	done
	as "$RKT_GID" "$MEMBER" status sleeper
	expect_output state=running
}

@test "who is in no group reads nothing" {
	root_runs run --net=none /run/images/inside.aci -- print-env
	expect_status 0
	for args in list 'image list' 'fetch /run/images/inside.aci'; do
		# shellcheck disable=SC2086 # words
		as 65001 "$MEMBER" --insecure-options=image $args
		expect_status 254
		expect_output 'Permission denied'
	done
	as 65001 "$MEMBER" version
	expect_status 0
}

@test "members of rkt fetch, and root runs it" {
	as "$RKT_GID" "$MEMBER" --insecure-options=image fetch \
		/run/images/inside.aci
	expect_status 0
	expect_output sha512-
	as "$RKT_GID" "$MEMBER" image list
	expect_output example.com/inside
	root_runs run --net=none example.com/inside -- print-env
	expect_status 0
}

@test "members of rkt fetch into a store that root made" {
	root_runs fetch /run/images/inside.aci
	expect_status 0
	as "$RKT_GID" "$MEMBER" --insecure-options=image fetch \
		/run/images/other.aci
	expect_status 0
	as "$RKT_GID" "$MEMBER" image list
	expect_output example.com/inside example.com/other
	root_runs image verify example.com/inside example.com/other
	expect_status 0
	root_runs image rm example.com/inside
	expect_status 0
}

@test "trees and indexes are root's alone, and nothing is for others" {
	as "$RKT_GID" "$MEMBER" --insecure-options=image fetch \
		/run/images/inside.aci
	expect_status 0
	# There are programs of every mode.
	for dir in tree index; do
		[ "$(stat -c %a:%u:%g "/var/lib/rkt/cas/$dir")" = 700:0:0 ]
		as "$RKT_GID" ls "/var/lib/rkt/cas/$dir"
		[ "$status" != 0 ]
	done
	run find /var/lib/rkt/cas -perm /007 -not -type l
	[ -z "$output" ] || fail "others can read or write $output"
	as 65001 cat /var/lib/rkt/cas/images.sqlite
	[ "$status" != 0 ]
}

@test "the modes of the data directory do not show in pods" {
	root_runs run --net=none --volume=v,kind=empty \
		--mount=volume=v,target=/v /run/images/inside.aci -- \
		stat / and stat /v and mkdir /v/made and \
		stat /v/made and mkdir /made and stat /made
	[ "$status" = 0 ] || fail "$output"
	[ "$(grep -c 'mode=0755$' <<<"$output")" = 4 ] || fail "$output"
	[ "$(grep -c 'owner=0:0$' <<<"$output")" = 4 ] || fail "$output"
}

@test "members of rkt-admin trust keys, members of rkt do not" {
	"$ROOT/usr/bin/actool" genkey --name=Ann --output="$D/ann.key"
	install -m 0644 "$D/ann.key.pub" /run/images/ann.pub
	as "$RKT_GID" "$MEMBER" trust --skip-fingerprint-review \
		--prefix=example.com /run/images/ann.pub
	expect_status 254
	expect_output 'Permission denied'
	as "$ADMIN_GID" "$MEMBER" trust --skip-fingerprint-review \
		--prefix=example.com /run/images/ann.pub
	[ "$status" = 0 ] || fail "$output"
	run find /etc/rkt/trustedkeys/prefix.d/example.com -type f
	[ -n "$output" ]
}
