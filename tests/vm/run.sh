#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh: tests on Debian's kernel with cgroup v2 only, in an emulated
# machine.  Its root is this machine's, read-only under an overlay, so it has
# the very programs built here.  The kernel package is fetched with apt and
# kept unpacked in build/vm/kernel.
#
# VM_FILES     run these files of tests/cli in there, "A.bats,B.bats"
# VM_FILTER    only tests whose name matches, a dot for each blank
# VM_TIMEOUT   seconds the machine may take (default 900)
set -eu
cd "$(dirname "$0")/../.."
repo=$PWD
vm=build/vm
build=$(readlink -f "${BUILD:-build}")

skip() {
	echo "SKIP: $1"
	exit 0
}
[ "$(id -u)" = 0 ] || skip "needs root to share the root file system"
command -v qemu-system-x86_64 >/dev/null ||
	skip "needs qemu: apt-get install qemu-system-x86"
command -v busybox >/dev/null || skip "needs busybox-static"
[ "$(uname -m)" = x86_64 ] || skip "is written for x86_64"

fetch_kernel() {
	package=$(apt-cache depends linux-image-amd64 |
		awk '/Depends: linux-image/ { print $2; exit }')
	[ -n "$package" ] || skip "apt knows no linux-image-amd64"
	rm -rf "$vm/kernel.new"
	mkdir -p "$vm/kernel.new"
	(cd "$vm/kernel.new" && apt-get download -qq "$package" 2>/dev/null) ||
		skip "cannot download $package"
	dpkg-deb --fsys-tarfile "$vm"/kernel.new/*.deb |
		tar -x -C "$vm/kernel.new" --wildcards './boot/vmlinuz*' \
			'./lib/modules/*/modules.*' \
			'./lib/modules/*/kernel/drivers/virtio/*' \
			'./lib/modules/*/kernel/drivers/block/loop.ko' \
			'./lib/modules/*/kernel/drivers/net/*.ko' \
			'./lib/modules/*/kernel/net/*' \
			'./lib/modules/*/kernel/fs/*' \
			'./lib/modules/*/kernel/lib/*' \
			'./lib/modules/*/kernel/crypto/*'
	rm "$vm"/kernel.new/*.deb
	(cd "$vm/kernel.new/lib/modules" && for v in *; do
		busybox depmod -b "$repo/$vm/kernel.new" "$v"
	done)
	rm -rf "$vm/kernel"
	mv "$vm/kernel.new" "$vm/kernel"
}

# Prints what MODULE needs, each before what needs it, then MODULE.
closure() {
	sed -n "s|^\(.*/\)\{0,1\}$1\.ko: *||p" "$modules/modules.dep" |
		tr ' ' '\n' | while read -r dep; do
		[ -z "$dep" ] || closure "$(basename "$dep" .ko)"
	done
	find "$modules" -name "$1.ko"
}

make_initramfs() {
	root=$vm/initramfs
	rm -rf "$root"
	mkdir -p "$root/bin" "$root/proc" "$root/dev" "$root/lower" \
		"$root/rw" "$root/new" "$root/modules"
	cp "$(command -v busybox)" "$root/bin/busybox"
	install -m 0755 tests/vm/init "$root/init"
	for m in virtio_pci 9pnet_virtio 9p overlay; do
		closure "$m"
	done | awk '!seen[$0]++' >"$vm/modules"
	while read -r path; do
		cp "$path" "$root/modules/"
		basename "$path"
	done <"$vm/modules" >"$root/modules/list"
	(cd "$root" && find . | busybox cpio -o -H newc) 2>/dev/null \
		>"$vm/initramfs.cpio"
}

mkdir -p "$vm"
[ -d "$vm/kernel" ] || fetch_kernel
modules=$(echo "$vm"/kernel/lib/modules/*)
make_initramfs

timeout -k 5 "${VM_TIMEOUT:-900}" qemu-system-x86_64 \
	-accel tcg,thread=multi -cpu max -smp 2 -m 1536 -nodefaults \
	-no-reboot -display none -serial stdio -monitor none \
	-kernel "$vm"/kernel/boot/vmlinuz* -initrd "$vm/initramfs.cpio" \
	-append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all vm_repo=$repo vm_build=$build vm_files=${VM_FILES-} vm_filter=${VM_FILTER-}" \
	-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
	-device virtio-9p-pci,fsdev=host,mount_tag=hostroot </dev/null |
	sed -u 's/\r$//' | tee "$vm/log" || true
grep -q '^VM-RESULT 0' "$vm/log"
