#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rkt of an ordinary user: a user `ann` of this file's world, with a range of
# users in /etc/subuid (package uidmap) where a test says so.

load lib

UID_OF_ANN=1500

# Where she may go, whoever may enter the directories above the real ones.
HERS=/run/hers
PROGRAMS=/run/programs

setup_file() {
	mkdir "$HERS" "$PROGRAMS"
	mount --bind "$RKT_TEST_DIR" "$HERS"
	mount --bind "$BUILD" "$PROGRAMS"
	chmod 0755 "$HERS"
}

teardown_file() {
	umount -l "$HERS" "$PROGRAMS"
	rmdir "$HERS" "$PROGRAMS"
}

# The user is in an /etc laid over the host's, and owns her home.
setup() {
	D=$HERS/${BATS_TEST_NUMBER:-0}
	F=$HERS/file
	RKT=$PROGRAMS/bin/rkt
	setup_test
	chmod 0755 "$D"
	mkdir "$D/etc-upper" "$D/etc-work" "$D/home"
	mount -t overlay -o "lowerdir=/etc,upperdir=$D/etc-upper,workdir=$D/etc-work" \
		overlay /etc
	echo "ann:x:$UID_OF_ANN:$UID_OF_ANN::$D/home:/bin/sh" >>/etc/passwd
	echo "ann:x:$UID_OF_ANN:" >>/etc/group
	: >/etc/subuid
	: >/etc/subgid
	rm -rf /etc/rkt
	[ -e "$F/inside.aci" ] || image_inside "$F/inside.aci"
	chmod 0755 "$F"
	chmod 0644 "$F"/*.aci
	chown "$UID_OF_ANN:$UID_OF_ANN" "$D/home" "$D/tmp"
	STORE=$D/home/.local/share/rkt
}

teardown() {
	ann "$RKT" gc --grace-period=0s --expire-prepared=0s >/dev/null 2>&1 ||
		true
	pods_destroy "$STORE"
	# Who held the namespace ends by itself, when all others have.
	wait_for 10 no_holder
	umount /etc
	teardown_test
}

no_holder() {
	! pgrep -u "$UID_OF_ANN" -x rkt-users --runstates DRS
}

with_range() {
	host_has newuidmap || skip "needs newuidmap: not on this host"
	echo "ann:300000:65536" >/etc/subuid
	echo "ann:300000:65536" >/etc/subgid
}

# ann COMMAND...: as she does it, without any capability.
ann() {
	env -u XDG_DATA_HOME -u XDG_CONFIG_HOME -u XDG_RUNTIME_DIR \
		HOME="$D/home" LOGNAME=ann setpriv --reuid="$UID_OF_ANN" \
		--regid="$UID_OF_ANN" --clear-groups --inh-caps=-all -- "$@"
}

ann_rkt() {
	run ann "$RKT" --insecure-options=image "$@"
}

ann_logged() {
	grep -q "$2" "$STORE/pods/run/$1/logs/inside"
}

# ann_inside ARGS...: stdout of tests/inside in a pod without network.
ann_inside() {
	run --separate-stderr ann "$RKT" --insecure-options=image run \
		--net=none "$F/inside.aci" -- "$@"
	expect_status 0
}

# ann_starts NAME ARGS...: in the background, as pod NAME.
ann_starts() {
	local name=$1
	shift
	uuid=$(ann "$RKT" --insecure-options=image run --net=none --detach \
		--pod-name="$name" "$F/inside.aci" -- "$@")
	[ -n "$uuid" ]
}

@test "a user runs a pod: her users are the pod's" {
	with_range
	ann_inside print-ids
	expect_value uid 0
	ann_inside read /proc/self/uid_map
	expect_output "0       1500          1" "1     300000      65536"
	[ "$(stat -c '%u %a' "$STORE")" = "$UID_OF_ANN 700" ]
	[ ! -e /var/lib/rkt/cas ]
}

@test "files of the image and of the app have owners of her range" {
	with_range
	ann_inside stat /etc/owned
	expect_output 700 701
	ann_inside check-dev
	ann_starts web sleep 600
	pid=$(cat "$STORE/pods/run/$uuid/pid")
	run sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$pid/status"
	[ "$output" = 365533 ]
	ann_rkt stop web
	expect_status 0
	ann_rkt rm web
	expect_status 0
	[ ! -e "$STORE/pods/run/$uuid" ]
}

@test "credentials of the host that she may not read are not hers" {
	local text='{"rktKind": "auth", "rktVersion": "v1", "type": "basic",
		"domains": ["DOMAIN"], "credentials":
		{"user": "ann", "password": "secret"}}'
	mkdir -p /etc/rkt/auth.d "$D/home/.config/rkt/auth.d"
	install -m 0600 /dev/stdin /etc/rkt/auth.d/host.json \
		<<<"${text/DOMAIN/host.example.com}"
	install -m 0600 -o "$UID_OF_ANN" /dev/stdin \
		"$D/home/.config/rkt/auth.d/hers.json" \
		<<<"${text/DOMAIN/hers.example.com}"
	for mode in 0755 0700; do
		chmod "$mode" /etc/rkt/auth.d
		ann_rkt config
		expect_status 0
		expect_output hers.example.com
		expect_no_output host.example.com
	done
	# Her own she can mend.
	chmod 0 "$D/home/.config/rkt/auth.d/hers.json"
	ann_rkt config
	expect_status 254
	expect_output 'hers.json: open: Permission denied'
}

@test "without a range the user is alone in her pods" {
	image_inside "$D/alone.aci" && chmod 0644 "$D/alone.aci"
	ann_rkt run --net=none "$D/alone.aci" -- print-ids
	expect_status 254
	expect_output "/etc/owned" "user=700"
	mkdir -p alone/rootfs
	cp "$INSIDE" alone/rootfs/inside
	image_tree alone example.com/alone 1.0.0 '.app.exec=["/inside"]'
	chmod 0644 alone.aci
	ann_rkt run --net=none "$PWD/alone.aci" -- read /proc/self/uid_map
	expect_status 0
	expect_output "0       1500          1"
	ann_rkt run --net=none "$PWD/alone.aci" --user=7 -- print-ids
	expect_status 254
	expect_output "user 7" /etc/subuid
}

@test "networks of pods and private users are refused in one line" {
	with_range
	ann_rkt run "$F/inside.aci" -- print-ids
	expect_status 254
	expect_output "networks of pods need root" "--net=host" "--net=none"
	ann_rkt run --net=none --private-users "$F/inside.aci" -- print-ids
	expect_status 254
	expect_output "--private-users needs root"
	ann_rkt metadata-service
	expect_status 254
	expect_output "cannot run as unprivileged user"
}

@test "one namespace for all who work on a store, none after them" {
	with_range
	ann_starts one sleep 600
	first=$(readlink "/proc/$(cat "$STORE/pods/run/$uuid/pid")/ns/user")
	ann_starts two sleep 600
	second=$(readlink "/proc/$(cat "$STORE/pods/run/$uuid/pid")/ns/user")
	[ "$first" = "$second" ]
	# Its holder is killed: a pod leads there, and there is a new one.
	read -r holder _ <"$STORE/users"
	kill -9 "$holder"
	ann_rkt enter one /inside print-ids
	expect_status 0
	expect_value uid 0
	ann_rkt exec two /inside print-ids
	expect_status 0
	ann_starts three sleep 600
	third=$(readlink "/proc/$(cat "$STORE/pods/run/$uuid/pid")/ns/user")
	[ "$first" = "$third" ]
	for name in one two three; do
		ann_rkt stop --force "$name"
		expect_status 0
	done
	wait_for 10 no_holder
}

@test "commands of a user: from fetch to gc" {
	with_range
	ann_rkt fetch "$F/inside.aci"
	expect_status 0
	ann_rkt image list
	expect_output example.com/inside
	ann_rkt prepare "$F/inside.aci" -- exit-code 3
	expect_status 0
	uuid=$(tail -1 <<<"$output")
	ann_rkt run-prepared --net=none "$uuid"
	expect_status 3
	ann_rkt list
	expect_output "${uuid%%-*}" exited
	ann_rkt status "$uuid"
	expect_output app-inside=3
	ann_rkt export --overwrite "$uuid" "$D/home/x.aci"
	expect_status 0
	[ "$(stat -c %u "$D/home/x.aci")" = "$UID_OF_ANN" ]
	ann_rkt gc --grace-period=0s
	expect_status 0
	ann_rkt image gc --grace-period=0s
	expect_status 0
	ann_rkt image list --no-legend
	[ -z "$output" ]
	[ -z "$(ls -A "$STORE/cas/tree")" ]
}

@test "what a user configures and trusts is her own" {
	mkdir "$D/home/keys" && chown "$UID_OF_ANN" "$D/home/keys"
	ann "$PROGRAMS/bin/actool" help >/dev/null
	ann_rkt config
	expect_status 0
	expect_output "$STORE"
}

@test "a directory of root stays root's, and root's mark is no user's" {
	ann_rkt --dir="$D/data" run --net=none "$F/inside.aci" -- print-ids
	expect_status 254
	expect_output "cannot run as unprivileged user" "$D/data is not yours"
	RKT_ROOTLESS=1500 run_rkt run --net=none "$F/inside.aci" -- print-ids
	expect_status 0
	[ -d "$D/data/pods" ]
}

@test "an update of a user's pod refuses nobody" {
	with_range
	for v in 1 2; do
		image_inside "$D/$v.aci" '.app.environment=[
			{name:"VERSION",value:"'$v'"}]' example.com/inside $v.0.0
		chmod 0644 "$D/$v.aci"
	done
	uuid=$(ann "$RKT" --insecure-options=image run --net=host --detach \
		--pod-name=web "$D/1.aci" -- serve tcp4:18063)
	wait_for 10 ann_logged "$uuid" serving=1
	ann_rkt fetch "$D/2.aci"
	expect_status 0
	"$BUILD/tests/load" --workers=4 --rate=300 127.0.0.1 18063 / \
		>"$D/load" &
	load=$!
	ann_rkt update --to=2.0.0 --observe=200ms web
	kill -TERM "$load"
	wait "$load" || true
	expect_status 0
	cat "$D/load"
	grep -qx refused=0 "$D/load"
	grep -qx reset=0 "$D/load"
	grep -q 'answered=[1-9]' "$D/load"
	ann_rkt status web
	expect_output version-inside=2.0.0
	ann_rkt rollback --observe=200ms web
	expect_status 0
	ann_rkt history web
	expect_output "generation 1 serves again"
	ann_rkt stop web
	expect_status 0
}
