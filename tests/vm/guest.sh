#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# guest.sh REPO BUILD [FILE,FILE [FILTER]]: inside the virtual machine, as its init:
# pods on cgroup v2 and an older kernel.  The last line is "VM-RESULT 0" if
# all is well.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 BUILD="$2"
repo=$1
cd "$repo" || exit 1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
ln -sfn /proc/self/fd /dev/fd
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
kernel=$(uname -r)
mkdir -p /lib/modules
ln -sfn "$repo/build/vm/kernel/lib/modules/$kernel" "/lib/modules/$kernel"
# No program here loads modules when the kernel asks for one.
for module in crc32c_generic veth bridge tun nf_tables nft_chain_nat nft_nat \
	nft_masq nft_compat xt_MASQUERADE xt_comment xt_addrtype xt_mark \
	xt_multiport xt_nat xt_conntrack; do
	busybox modprobe "$module" || echo "vm: no module $module"
done

say() {
	echo "vm: $* ($(cut -d' ' -f1 /proc/uptime) s)"
}

# All that is skipped must be in $2: what only cgroup v1 has.
unit() {
	"$BUILD/tests/unit-vm" --verbose --timeout 120 --filter "$1" \
		>/run/out 2>&1 || failed=1
	grep -E '^\[(FAIL|----|====\] Syn)' /run/out | grep -v Criterion
	if grep '^\[SKIP' /run/out | grep -v 'Test is disabled' |
		grep -vE "$2"; then
		failed=1
	fi
	say "unit $1"
}

failed=0
say "Linux $kernel, cgroup v2 with $(cat /sys/fs/cgroup/cgroup.controllers)"
unit 'cgroup/*' '_of_v1|::v1_'
unit network/default_network none
# The files asked for in full, or what depends most on the kernel.
if [ -n "${3-}" ]; then
	# shellcheck disable=SC2046 # names without blanks
	BATS_FILTER="${4-}" CLI_TIMEOUT=3600 \
		sh tests/run-cli.sh $(echo "$3" | tr , ' ') || failed=1
else
	BATS_FILTER="^--memory|^--cpu-shares|^there and back,|^the clock|^root inside|^files: made|^one image" \
		CLI_TIMEOUT=150 OWN_CLOCK=1 sh tests/run-cli.sh \
		tests/cli/42-pod-privileges.bats tests/cli/48-private-users.bats \
		tests/cli/50-update.bats \
		tests/cli/51-handover.bats \
		tests/cli/54-update-meanwhile.bats || failed=1
	# Last: with loop devices all tests are on ext4.
	for module in loop ext4; do
		busybox modprobe "$module" || echo "vm: no module $module"
	done
	BATS_FILTER="^fs-verity" CLI_TIMEOUT=150 ALLOWED_SKIPS="" \
		sh tests/run-cli.sh tests/cli/12-image.bats || failed=1
fi
say cli
echo "VM-RESULT $failed"
exec busybox poweroff -f
