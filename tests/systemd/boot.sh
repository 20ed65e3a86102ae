#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# boot.sh DIR [ROOT]: boots systemd as PID 1 of a machine of its own, made of
# namespaces, and stays until that ends.  Its root is ROOT (a Debian root, or
# this machine's) read-only under an overlay on tmpfs, with no units but those
# of packages.  Its cgroups are writable: what units set as limits holds.
#
#   DIR/pid      its PID 1, as the caller numbers it
#   DIR/root     its root, while it is being made
#   DIR/data     shared with it as /data
#   DIR/console  what systemd says
#
# End it with `kill -RTMIN+4` of PID 1, or kill -9: nothing in it outlives it.
# Its cgroups are removed here, after it; what a kill -9 of this script leaves
# of them goes with the next start.
#
# BUILD       whose programs it has in /usr (default build)
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/../..")
BUILD=$(readlink -f "${BUILD:-$top/build}")
NAME=rkt-test-systemd

# Units that would change the machine we run on, or wait for what is not there.
MASKED=(systemd-sysctl systemd-udevd systemd-udev-trigger systemd-modules-load
	systemd-binfmt systemd-random-seed systemd-remount-fs systemd-pstore
	systemd-update-utmp systemd-update-utmp-runlevel systemd-logind
	systemd-networkd-wait-online systemd-firstboot console-getty getty@tty1)

cgroup_dirs() {
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		echo /sys/fs/cgroup
	else
		ls -d /sys/fs/cgroup/*/
	fi
}

cgroups_sweep() {
	local dir
	# A dying process holds its cgroup for a moment.
	for _ in $(seq 50); do
		for dir in $(cgroup_dirs); do
			find "${dir%/}/$NAME-$1"* -depth -type d \
				-exec rmdir {} + 2>/dev/null || true
		done
		compgen -G "/sys/fs/cgroup/$NAME-$1*" >/dev/null ||
			compgen -G "/sys/fs/cgroup/*/$NAME-$1*" >/dev/null ||
			return 0
		sleep 0.1
	done
}

# Of machines whose script was killed: nothing has run in them for long.
cgroups_sweep_stale() {
	local dir
	for dir in /sys/fs/cgroup/"$NAME"-* /sys/fs/cgroup/*/"$NAME"-*; do
		if [ -d "$dir" ] && [ -n "$(find "$dir" -maxdepth 0 -mmin +30)" ] &&
			[ -z "$(find "$dir" -name cgroup.procs -exec cat {} +)" ]; then
			find "$dir" -depth -type d -exec rmdir {} + \
				2>/dev/null || true
		fi
	done
}

# In each hierarchy a group that the machine will take for the root.
cgroups_enter() {
	local dir group
	for dir in $(cgroup_dirs); do
		group=${dir%/}/$NAME-$1
		mkdir -p "$group"
		if [ -e "$group/cpuset.cpus" ] && [ ! -s "$group/cpuset.cpus" ]; then
			cat "$dir/cpuset.cpus" >"$group/cpuset.cpus"
			cat "$dir/cpuset.mems" >"$group/cpuset.mems"
		fi
		if [ "$dir" = /sys/fs/cgroup ]; then
			sed 's/[^ ]*/+&/g' "$dir/cgroup.controllers" \
				>"$dir/cgroup.subtree_control" || true
		fi
		echo 0 >"$group/cgroup.procs"
	done
}

# A group with controllers for those below it has no process of its own on
# cgroup v2: what waits for the machine leaves the machine's root.
cgroups_leave() {
	[ -e /sys/fs/cgroup/cgroup.controllers ] || return 0
	mkdir "/sys/fs/cgroup/$NAME-$1-boot"
	echo "$2" >"/sys/fs/cgroup/$NAME-$1-boot/cgroup.procs"
}

# --- in the machine's mount namespace ---------------------------------------------

mount_root() {
	mount -t tmpfs -o mode=0755 tmpfs "$M"
	mkdir "$M/upper" "$M/work" "$M/root"
	mount -t overlay -o "lowerdir=$1,upperdir=$M/upper,workdir=$M/work" \
		overlay "$M/root"
}

# Device nodes are made: systemd changes the owner and mode of the console's,
# and a bind mount would be this machine's.
make_dev() {
	mount -t tmpfs -o mode=0755,nosuid tmpfs "$R/dev"
	set -- null 1 3 zero 1 5 full 1 7 random 1 8 urandom 1 9 tty 5 0 \
		console 1 3 loop-control 10 237
	while [ $# -ge 3 ]; do
		mknod -m 0666 "$R/dev/$1" c "$2" "$3"
		shift 3
	done
	for i in 0 1 2 3 4 5 6 7; do mknod -m 0660 "$R/dev/loop$i" b 7 "$i"; done
	mkdir "$R/dev/pts" "$R/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$R/dev/pts"
	mount -t tmpfs -o mode=1777 tmpfs "$R/dev/shm"
	ln -s pts/ptmx "$R/dev/ptmx"
	ln -s /proc/self/fd "$R/dev/fd"
	for i in 0 1 2; do
		ln -s "fd/$i" "$R/dev/$(cut -d' ' -f$((i + 1)) <<<'stdin stdout stderr')"
	done
}

make_cgroups() {
	local at=$R/sys/fs/cgroup dir controller
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		mount -t cgroup2 cgroup2 "$at"
		return
	fi
	mount -t tmpfs -o mode=0755 cgroup "$at"
	for dir in /sys/fs/cgroup/*/; do
		controller=$(basename "$dir")
		mkdir -p "$at/$controller"
		case $controller in
		unified) mount -t cgroup2 cgroup2 "$at/unified" ;;
		systemd) mount -t cgroup -o none,name=systemd cgroup \
			"$at/systemd" ;;
		*) mount -t cgroup -o "$controller" cgroup "$at/$controller" ;;
		esac
	done
}

make_etc() {
	local unit
	# Nothing that somebody has enabled here.
	rm -rf "$R/etc/systemd/system" "$R/etc/systemd/user" "$R/etc/rkt"
	mkdir -p "$R/etc/systemd/system"
	rm -f "$R/etc/fstab" "$R/etc/init.d"/*
	for unit in "${MASKED[@]}"; do
		ln -s /dev/null "$R/etc/systemd/system/$unit.service"
	done
	ln -s /lib/systemd/system/multi-user.target \
		"$R/etc/systemd/system/default.target"
	tr -d - </proc/sys/kernel/random/uuid >"$R/etc/machine-id"
}

install_rkt() {
	mkdir -p "$R/usr/libexec/rkt" "$R/usr/lib/systemd/system" \
		"$R/usr/lib/systemd/user"
	cp "$BUILD"/bin/* "$R/usr/bin/"
	cp "$BUILD"/libexec/rkt/* "$R/usr/libexec/rkt/"
	cp "$top"/dist/systemd/*.* "$R/usr/lib/systemd/system/"
	cp "$top"/dist/systemd/user/* "$R/usr/lib/systemd/user/"
}

inside() {
	M=$1/m R=$1/m/root
	mount_root "$2"
	make_etc
	install_rkt
	mount -t proc -o nosuid,nodev,noexec proc "$R/proc"
	# Read-only, so that nothing looks for hardware.
	mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$R/sys"
	make_cgroups
	make_dev
	mount -t tmpfs -o mode=0755 tmpfs "$R/run"
	mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"
	for dir in "$R/var/lib/rkt" "$R/var/lib/cni" "$R/var/log/journal"; do
		mkdir -p "$dir"
		mount -t tmpfs -o mode=0755 tmpfs "$dir"
	done
	mkdir -p "$R/data" "$R/.old" "$1/data"
	mount --bind "$1/data" "$R/data"
	# Images can be mounted from a real file system only.
	mkdir -p "$1/rkt"
	mount --bind "$1/rkt" "$R/var/lib/rkt"
	ip link set lo up
	cd "$R"
	pivot_root . .old
	umount -l /.old
	exec env -i container=rkt-test LANG=C.UTF-8 \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --log-target=journal --show-status=0
}

if [ "$1" = --inside ]; then
	inside "$2" "$3"
fi

DIR=$(readlink -f "$1")
ROOT=$(readlink -f "${2:-/}")
[ "$(id -u)" = 0 ] || { echo "boot.sh: needs root" >&2; exit 1; }
mkdir -p "$DIR/m"
cgroups_sweep_stale
# Others may boot machines at the same time, in process id namespaces of their
# own.
ID=$(tr -d - </proc/sys/kernel/random/uuid)
# PID 1 is its child: unshare(1) ends with it, and it with unshare(1).
(
	cgroups_enter "$ID"
	exec unshare --mount --net --pid --ipc --uts --cgroup --fork \
		--kill-child --propagation private -- \
		"$0" --inside "$DIR" "$ROOT" >"$DIR/console" 2>&1 </dev/null
) &
child=$!
trap 'kill -9 "$child" 2>/dev/null || true' INT TERM HUP
init=
for _ in $(seq 200); do
	# Before that it has children that make cgroups.
	[ "$(cat "/proc/$child/comm" 2>/dev/null)" != unshare ] ||
		init=$(cat "/proc/$child/task/$child/children")
	[ -z "$init" ] || break
	sleep 0.05
done
cgroups_leave "$ID" "$child"
echo "${init% }" >"$DIR/pid.new"
mv "$DIR/pid.new" "$DIR/pid"
wait "$child" || true
rm -f "$DIR/pid"
cgroups_sweep "$ID"
