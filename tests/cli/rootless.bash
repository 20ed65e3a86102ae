# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # bats sets status, output, stderr
# A user `ann` of the file's world, for tests of rkt without root; with a range
# of users in /etc/subuid (package uidmap) where a test says so.  After
# `load lib`.

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

setup() {
	rootless_setup
}

teardown() {
	rootless_teardown
}

# The user is in an /etc laid over the host's, and owns her home.
rootless_setup() {
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

rootless_teardown() {
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
