#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# package.sh: builds the Debian package, asks lintian, installs it in a clean
# Debian, lets root and members of its groups use it, upgrades it while a pod
# runs, removes and purges it, and looks at what is left.
#
# BUILD   build directory (default build); BUILD/clean is the Debian, kept
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=$(readlink -f "${BUILD:-build}")
SUITE=bookworm

fail() {
	echo "package: $*" >&2
	exit 1
}

if [ "${1-}" != --inside ]; then
	make -s deb DEB="$BUILD/deb" \
		DEB_BUILD_OPTIONS="noautodbgsym ${DEB_BUILD_OPTIONS-}" \
		>"$BUILD/deb.log" 2>&1 ||
		{ tail -50 "$BUILD/deb.log"; fail "the package does not build"; }
	lintian --allow-root --fail-on error,warning --pedantic \
		"$BUILD"/deb/rkt_*.changes || fail "lintian objects"
	if [ ! -e "$BUILD/clean/.done" ]; then
		rm -rf "$BUILD/clean"
		# With the lists of packages, for what rkt depends on.
		mmdebstrap --quiet --variant=minbase --skip=cleanup/apt/lists \
			--include=systemd-standalone-sysusers,systemd-standalone-tmpfiles \
			"$SUITE" "$BUILD/clean"
		: >"$BUILD/clean/.done"
	fi
	exec unshare --mount --pid --ipc --fork --kill-child --mount-proc \
		bash "$(readlink -f "$0")" --inside
fi

# --- in namespaces of its own ------------------------------------------------------

root=/run/clean
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/upper /run/work "$root"
mount -t overlay -o "lowerdir=$BUILD/clean,upperdir=/run/upper,workdir=/run/work" \
	overlay "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
# The data directory may not lie on an overlay that pods make overlays of.
mkdir "$root/var/lib/rkt"
mount -t tmpfs -o mode=0755 tmpfs "$root/var/lib/rkt"
mkdir "$root/run/package"
cp "$BUILD"/deb/rkt_*.deb "$root/run/package/rkt.deb"
[ ! -e /etc/resolv.conf ] || cat /etc/resolv.conf >"$root/etc/resolv.conf"

# Not a chroot, in which no pod starts: the root of a mount namespace.
mkfifo /run/ready
# shellcheck disable=SC2016 # for the inner shell
unshare --mount sh -ec 'cd "$1"
	mkdir -p run/old
	pivot_root . run/old
	cd /
	mount --make-rprivate /
	umount -l /run/old
	rmdir /run/old
	mount --make-rshared /
	echo >&3
	exec sleep infinity' - "$root" 3>/run/ready &
clean=$!
read -r -t 20 <>/run/ready || fail "no root"

in_clean() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive \
		nsenter --target="$clean" --mount --wdns=/ "$@"
}

# as GROUP COMMAND...: a user who is in no other group.
as() {
	local group=$1
	shift
	in_clean setpriv --reuid=nobody --regid="$group" --clear-groups "$@"
}

# The files there are, but for what packages in general leave: logs, caches,
# dpkg's and apt's notes, and groups, which Debian never removes.
files() {
	(cd "$root" && find . -xdev \( -path ./var/cache -o -path ./var/log \
		-o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./tmp \
		-o -path './etc/group*' -o -path './etc/gshadow*' \
		-o -path './etc/passwd*' -o -path './etc/shadow*' \
		-o -path './etc/.pwd.lock' -o -path './etc/ld.so.cache' \
		\) -prune -o -print | sort)
}

quietly() {
	"$@" >/run/log 2>&1 || { cat /run/log; fail "$*"; }
}

step() {
	echo "package: $*"
}

files >/run/before

trap 'echo "package: line $LINENO failed" >&2' ERR

step "install"
quietly in_clean apt-get install -qq -y --no-install-recommends \
	/run/package/rkt.deb
in_clean rkt version | grep -q '^rkt Version: ' || fail "no rkt"
in_clean getent group rkt rkt-admin >/dev/null || fail "no groups"
for dir in /var/lib/rkt:2750:root:rkt /var/lib/rkt/cas:2770:root:rkt \
	/var/lib/rkt/cas/index:700:root:root /etc/rkt:2775:root:rkt-admin; do
	in_clean stat -c %n:%a:%U:%G "${dir%%:*}" | grep -qx "$dir" ||
		fail "$dir is $(in_clean stat -c %n:%a:%U:%G "${dir%%:*}")"
done
in_clean bash -c '. /usr/share/bash-completion/completions/rkt; complete -p rkt' |
	grep -q _rkt || fail "no completion"
[ -L "$root/etc/systemd/system/multi-user.target.wants/rkt-gc.timer" ] ||
	fail "rkt-gc.timer is not enabled"

step "an image and a pod"
mkdir -p "$root/run/package/image/rootfs"
cp "$BUILD/tests/inside" "$root/run/package/image/rootfs/"
jq -n --arg arch "$(uname -m | sed "s,x86_64,amd64,")" '{acKind: "ImageManifest", acVersion: "0.8.11", name: "example.com/inside",
	labels: [{name: "version", value: "1.0.0"},
		{name: "os", value: "linux"}, {name: "arch", value: $arch}],
	app: {exec: ["/inside"], user: "0", group: "0"}}' \
	>"$root/run/package/image/manifest"
in_clean sh -ec '
	cd /run/package
	exec >/dev/null 2>&1
	actool build image image.aci
	actool genkey --name=Ann --output=ann.key
	actool sign --key=ann.key image.aci
	chmod 0755 /run/package
	chmod 0644 image.aci image.aci.asc ann.key.pub'
as rkt rkt trust --skip-fingerprint-review --prefix=example.com \
	/run/package/ann.key.pub >/dev/null 2>&1 && fail "rkt may trust keys"
quietly as rkt-admin rkt trust --skip-fingerprint-review --prefix=example.com \
	/run/package/ann.key.pub
quietly as rkt rkt fetch /run/package/image.aci
as nogroup rkt image list >/dev/null 2>&1 && fail "anybody may read"
as rkt rkt image list | grep -q example.com/inside || fail "rkt may not read"
quietly in_clean rkt run --net=none --pod-name=once example.com/inside -- \
	print-env
quietly in_clean rkt run --net=none --detach --pod-name=stays \
	example.com/inside -- sleep 600

step "upgrade while a pod runs"
quietly in_clean dpkg -i /run/package/rkt.deb
grep -q 'stage1 .* went on as stage1' /run/log ||
	{ cat /run/log; fail "the supervisor did not go on as the new one"; }
as rkt rkt status stays | grep -qx state=running || fail "the pod ended"

pid=$(in_clean rkt status stays | sed -n 's/^pid=//p')

step "remove"
quietly in_clean apt-get remove -qq -y rkt
[ -d "$root/var/lib/rkt/cas" ] || fail "remove took the data"
kill -0 "$pid" || fail "the pod ended"

step "install again, purge"
quietly in_clean apt-get install -qq -y --no-install-recommends \
	/run/package/rkt.deb
quietly in_clean rkt stop stays
quietly in_clean timeout 60 rkt status --wait stays
quietly in_clean apt-get purge -qq -y --auto-remove rkt
[ -z "$(ls -A "$root/var/lib/rkt")" ] ||
	fail "purge left $(ls -A "$root/var/lib/rkt")"
[ ! -e "$root/run/rkt" ] || fail "purge left $(find "$root/run/rkt")"
if grep -q /run/rkt "/proc/$clean/mountinfo"; then
	fail "purge left a mount"
fi
files >/run/after
diff /run/before /run/after | grep '^>' && fail "purge left these"
echo "package: ok"
