# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # bats sets status, output, stderr
# Helpers of the black-box tests; `load lib` in every .bats file.  Run them
# with `make check-cli BATS=tests/cli/FILE.bats`: tests/run-cli.sh gives each
# file its own namespaces and an empty tmpfs.
#
#   $D           the test's directory, empty; $D/data is rkt's --dir
#   $F           the file's directory, for images made once in setup_file
#   rkt ARGS     rkt with $D's data, local and system configuration
#   run_rkt      bats `run` of that, signatures not asked for
#   use_driver X rkt with --image-driver=X from here on, for tests that look
#                at what a driver leaves in the store
#   image_inside, image_busybox, image_tree: make an ACI with actool

: "${BUILD:?run me through make check-cli}"
: "${RKT_TEST_DIR:?run me through make check-cli}"

RKT=$BUILD/bin/rkt
ACTOOL=$BUILD/bin/actool
INSIDE=$BUILD/tests/inside
TESTS=$(readlink -f "$BATS_TEST_DIRNAME/..")
F=$RKT_TEST_DIR/file
uuid=
D=$RKT_TEST_DIR/${BATS_TEST_NUMBER:-0}
export RKT ACTOOL INSIDE TESTS F D

bats_require_minimum_version 1.5.0

use_driver() {
	local wrapper=$RKT_TEST_DIR/rkt-$1
	if [ ! -e "$wrapper" ]; then
		printf '#!/bin/sh\nexec "%s" --image-driver=%s "$@"\n' \
			"$BUILD/bin/rkt" "$1" >"$wrapper"
		chmod +x "$wrapper"
	fi
	RKT=$wrapper
}

setup_test() {
	mkdir -p "$F" "$D/data" "$D/local" "$D/system" "$D/tmp"
	cd "$D/tmp" || return 1
}

# Stops and collects what the test left, says so if that does not work, and
# fails if something is still mounted below $D.
teardown_test() {
	local left
	cd /
	pods_destroy "$D/data"
	left=$(awk -v d="$D/" 'index($5, d) == 1 { print $5 }' \
		/proc/self/mountinfo)
	if [ -n "$left" ]; then
		echo "still mounted: $left"
		while read -r m; do umount -l "$m"; done <<<"$left"
		return 1
	fi
	rm -rf "$D"
}

# A file with its own setup or teardown calls the two above first.
setup() {
	setup_test
}

teardown() {
	teardown_test
}

# unseal PATH...: stored tars cannot be changed or removed where the file
# system offers that; what begins with a dash is left out.
unseal() {
	local path
	for path in "$@"; do
		[[ $path == -* || ! -e $path ]] ||
			find "$path" -path '*/cas/*/*.tar' \
				-exec chattr -f -i {} +
	done
}

rm() {
	unseal "$@"
	command rm "$@"
}

# pods_destroy DATADIR: kill -9 what runs, then remove all pods: rkt gc leaves
# the named ones to rkt rm.
pods_destroy() {
	local pod pid
	[ -d "$1/pods" ] || return 0
	for pod in "$1"/pods/run/*; do
		[ -r "$pod/pid" ] || continue
		pid=$(cat "$pod/pid")
		kill -9 "$pid" 2>/dev/null || true
	done
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		"$RKT" --dir="$1" gc --grace-period=0s --expire-prepared=0s \
			>/dev/null 2>&1 || true
		for pod in "$1"/pods/{run,exited-garbage,prepared}/*; do
			[ ! -d "$pod" ] || "$RKT" --dir="$1" rm "${pod##*/}" \
				>/dev/null 2>&1 || true
		done
		pod=$(find "$1/pods" -mindepth 2 -maxdepth 2 | head -1)
		[ -n "$pod" ] || return 0
		sleep 0.2
	done
	echo "rkt gc leaves $pod"
	return 1
}

rkt() {
	"$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" "$@"
}

# run_rkt ARGS: bats `run`, so $status and $output; images need no signature.
run_rkt() {
	run "$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image "$@"
}

# run_inside ARGS: runs tests/inside in a pod without network, stdout only.
run_inside() {
	run --separate-stderr "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		--insecure-options=image run --net=none "$@"
}

# detach_inside ARGS: the same in the background; the UUID is in $uuid.
detach_inside() {
	uuid=$("$RKT" --dir="$D/data" --local-config="$D/local" \
		--system-config="$D/system" --insecure-options=image \
		run --detach "$@")
	[ ${#uuid} = 36 ] || fail "rkt run --detach printed $uuid"
}

pod_state() {
	rkt status "$1" | sed -n 's/^state=//p'
}

pod_is() {
	[ "$(pod_state "$1")" = "$2" ]
}

# Lines an app logged so far, text only.
pod_log() {
	cut -d' ' -f4- "$D"/data/pods/*/"$1"/logs/"$2" 2>/dev/null
}

pod_logged() {
	pod_log "$1" "$2" | grep -qx "$3"
}

# --- what the host offers ----------------------------------------------------

require_root() {
	[ "$(id -u)" = 0 ] || skip "needs root: run as root"
}

# skip_without FEATURE: CI fails on a feature not in its list of expected
# skips, so a broken probe does not hide a test.
skip_without() {
	host_has "$1" || skip "needs $1: not on this host"
}

host_has() {
	case $1 in
	cgroup1-memory) grep -q '^memory.*[1-9]' <(cgroup1_controllers) ;;
	cgroup1-cpu) grep -q '^cpu	' <(cgroup1_controllers) ;;
	cgroup2) cgroup2_root >/dev/null ;;
	cgroup2-memory) cgroup2_has memory ;;
	cgroup2-cpu) cgroup2_has cpu ;;
	memory-limit) host_has cgroup1-memory || host_has cgroup2-memory ;;
	cpu-limit) host_has cgroup1-cpu || host_has cgroup2-cpu ;;
	overlay) grep -qw overlay /proc/filesystems ;;
	cni) [ -x /usr/lib/cni/ptp ] ;;
	iptables) iptables -t nat -L -n >/dev/null 2>&1 ;;
	ipv6) [ -e /proc/net/if_inet6 ] ;;
	# Files on it can be mounted; run-cli.sh makes such a place if it can.
	mountable) [ "$(stat -f -c %T "$RKT_TEST_DIR")" = ext2/ext3 ] ;;
	loop) [ -e /dev/loop-control ] ;;
	# IORING_OP_BIND, Linux 6.11.
	uring-bind) [ "$(printf '%s\n' 6.11 "$(uname -r)" | sort -V | head -1)" = 6.11 ] &&
		[ "$(cat /proc/sys/kernel/io_uring_disabled)" = 0 ] ;;
	tun) [ -c /dev/net/tun ] ;;
	vlan) unshare --net sh -c 'ip link add v0 type veth &&
		ip link add v0.5 link v0 type vlan id 5' 2>/dev/null ;;
	mknod) (cd "$D" && mknod probe c 1 3 && rm probe) 2>/dev/null ;;
	sys-resource) capsh_has 24 ;;
	not-sanitized) case $BUILD in *-address*) return 1 ;; esac ;;
	busybox) [ -x /bin/busybox ] ;;
	immutable) (cd "$D" && : >probe && chattr +i probe && chattr -i probe &&
		command rm probe) 2>/dev/null ;;
	# Only where nobody else minds: the virtual machine says so.
	own-clock) [ -n "${OWN_CLOCK-}" ] ;;
	fsverity) [ -e /sys/fs/ext4/features/verity ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

cgroup1_controllers() {
	awk 'NR > 1 && $2 != 0 && $4 == 1 { print $1 "\t" $2 }' /proc/cgroups
}

cgroup2_root() {
	awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") {
		print $5; found = 1; exit } } END { exit !found }' \
		/proc/self/mountinfo
}

cgroup2_has() {
	local at
	at=$(cgroup2_root) && grep -qw "$1" "$at/cgroup.controllers"
}

# capsh_has NUMBER: capability NUMBER in our permitted set.
capsh_has() {
	local prm
	prm=$(awk '/^CapPrm/ { print $2 }' /proc/self/status)
	(((0x$prm >> $1) & 1))
}

# --- images --------------------------------------------------------------------

# image_tree DIR NAME VERSION [JQ]: DIR/rootfs -> DIR.aci.  JQ edits the
# manifest, e.g. '.app.exec=["/inside","print-env"] | .app.user="100"'.
image_tree() {
	jq -n --arg name "$2" --arg version "$3" '{
		acKind: "ImageManifest", acVersion: "0.8.11", name: $name,
		labels: [{name: "version", value: $version},
			{name: "os", value: "linux"},
			{name: "arch", value: "amd64"}],
		app: {exec: ["/inside"], user: "0", group: "0"}
	} | '"${4:-.}" >"$1/manifest"
	"$ACTOOL" build --overwrite "$1" "$1.aci"
}

# image_inside FILE [JQ [NAME [VERSION]]]: an image with tests/inside as
# /inside (also as /usr/bin/in-path and /opt/sub/run), users root and web,
# groups root, web and log, and /etc/owned, a file of 700:701.
image_inside() {
	local t
	t=$(mktemp -d "$TMPDIR/image.XXXXXX")
	mkdir -p "$t/i/rootfs"/{bin,usr/bin,etc,tmp,opt/sub}
	cp "$INSIDE" "$t/i/rootfs/inside"
	chmod 0755 "$t/i/rootfs" "$t/i/rootfs/inside"
	chmod 1777 "$t/i/rootfs/tmp"
	printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' \
		'web:x:501:502::/:/bin/sh' >"$t/i/rootfs/etc/passwd"
	printf '%s\n' 'root:x:0:' 'web:x:502:' 'log:x:600:web' \
		>"$t/i/rootfs/etc/group"
	echo hello >"$t/i/rootfs/etc/greeting"
	echo owned >"$t/i/rootfs/etc/owned"
	chown 700:701 "$t/i/rootfs/etc/owned"
	ln -s /inside "$t/i/rootfs/usr/bin/in-path"
	ln -s /inside "$t/i/rootfs/opt/sub/run"
	image_tree "$t/i" "${3:-example.com/inside}" "${4:-1.0.0}" \
		"${2:-.}" || return
	mv "$t/i.aci" "$1"
	rm -rf "$t"
}

# image_busybox FILE [JQ [NAME [VERSION]]]: static busybox with its links.
image_busybox() {
	local t applet
	t=$(mktemp -d "$TMPDIR/image.XXXXXX")
	mkdir -p "$t/i/rootfs"/{bin,etc,tmp}
	for applet in $(/bin/busybox --list); do
		ln -sf busybox "$t/i/rootfs/bin/$applet"
	done
	cp --remove-destination /bin/busybox "$t/i/rootfs/bin/busybox"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$t/i/rootfs/etc/passwd"
	echo 'root:x:0:' >"$t/i/rootfs/etc/group"
	image_tree "$t/i" "${3:-example.com/busybox}" "${4:-1.0.0}" \
		'.app.exec=["/bin/sh"] | '"${2:-.}"
	mv "$t/i.aci" "$1"
	rm -rf "$t"
}

# The leak check of the sanitizers cannot work below a tracer.
strace() {
	ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0" command strace "$@"
}

# --- checks ------------------------------------------------------------------------

fail() {
	echo "$*"
	return 1
}

# expect_status N, expect_output TEXT...: each TEXT is somewhere in $output.
expect_status() {
	[ "$status" = "$1" ] && return 0
	echo "exit code $status, not $1; output:"
	echo "$output"
	[ -z "${stderr-}" ] || echo "stderr: $stderr"
	return 1
}

expect_output() {
	local text
	for text in "$@"; do
		case $output in
		*"$text"*) ;;
		*)
			echo "no \"$text\" in the output:"
			echo "$output"
			[ -z "${stderr-}" ] || echo "stderr: $stderr"
			return 1
			;;
		esac
	done
}

expect_no_output() {
	local text
	for text in "$@"; do
		case $output in
		*"$text"*)
			echo "\"$text\" in the output:"
			echo "$output"
			return 1
			;;
		esac
	done
}

# value KEY: the KEY=VALUE line tests/inside printed, with rkt's
# "[ time] app[pid]: " in front or not; the last one if several.
value() {
	sed -n "s/\r\$//; s/^\(\[[^]]*\] [^ ]*: \)\{0,1\}$1=//p" \
		<<<"$output" | tail -1
}

expect_value() {
	local got
	got=$(value "$1")
	[ "$got" = "$2" ] && return 0
	echo "$1 is \"$got\", not \"$2\"; output:"
	echo "$output"
	[ -z "${stderr-}" ] || echo "stderr: $stderr"
	return 1
}

# wait_for SECONDS COMMAND...: until COMMAND succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "still failing: $*"
			"$@" # so that its messages are seen
			return
		fi
		sleep 0.05
	done
}

# stay_connected [PYTHON]: a client of port 80 of $pod that does no more than
# PYTHON with its socket s; it is $client, and connected when this returns.
stay_connected() {
	rm -f "$D/connected"
	nsenter --net="/proc/$(cat "$pod/pid")/ns/net" python3 -c "
import socket, time
s = socket.create_connection(('127.0.0.1', 80))
open('$D/connected', 'w').close()
s.settimeout(30)
${1-time.sleep(30)}" >"$D/said" &
	# shellcheck disable=SC2034 # for who calls
	client=$!
	wait_for 10 test -e "$D/connected"
}
