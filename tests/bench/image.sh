#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# image.sh [import|https|peers|start|walk|remove|xz|many]...: what images cost, as
# ratios.  The stages of an import are measured alone, by the same code, in
# the same run.  The stores lie on a fresh ext4 of their own: a file system in
# use says more about its past than about us.  Nothing here fails a build.
#
# IMAGE (an image to take instead of making one), ROUNDS (3), BUILD,
# PRIORITY="nice -n -20" keeps other work on the machine out of the numbers
# (not real-time: programs in Go spin there for ever)
# shellcheck disable=SC2086 # $RKT, $PODMAN and $PRIORITY are lists of words
set -euo pipefail
self=$(readlink -f "$0")
here=$(dirname "$self")
BUILD=$(readlink -f "${BUILD:-build}")
export BUILD

if [ "${1-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || { echo "the benchmark needs root" >&2; exit 1; }
	W=$(mktemp -d "${TMPDIR:-/tmp}/rkt-bench.XXXXXX")
	trap 'rm -f "$W.img"; rmdir "$W"' EXIT
	truncate -s 24G "$W.img"
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$W.img"
	W=$W unshare --mount --pid --net --ipc --fork --kill-child --mount-proc \
		--propagation private -- bash "$self" --inside "$@"
	exit
fi
shift

# In namespaces of our own; the loop device goes with the mount.
ip link set lo up
mount -o loop "$W.img" "$W"
mount -t tmpfs -o mode=0755 tmpfs /run
for d in /var/lib/rkt /var/lib/cni; do
	mkdir -p "$d"
	mount -t tmpfs -o mode=0755 tmpfs "$d"
done
mkdir -p "$W"/{tmp,ns,run,local,system,data} /run/lock
export TMPDIR=$W/tmp
cd "$W"
ROUNDS=${ROUNDS:-3}
PRIORITY=${PRIORITY-}
STAGE=$BUILD/tests/image_stages
RKT="$BUILD/bin/rkt --local-config=$W/local --system-config=$W/system"
gcc -D_GNU_SOURCE -std=gnu17 -O2 -static -o "$W/race" "$here/race.c"
# shellcheck source=tests/bench/podman.bash
. "$here/podman.bash"
# shellcheck source=tests/bench/ratio.bash
. "$here/ratio.bash"

have() {
	command -v "$1" >/dev/null
}

# --- measuring ---------------------------------------------------------------

# measure COMMAND...: "WALL CPU MiB" of the fastest of $ROUNDS; before each,
# `before` tidies up and the disk has nothing left to do.
before=true
measure() {
	for _ in $(seq "$ROUNDS"); do
		$before
		sync
		$PRIORITY "$@" 2>&1 >/dev/null | tail -1
	done | sort -n | head -1
}

wall() { cut -d' ' -f1 <<<"$1"; }
cpu() { cut -d' ' -f2 <<<"$1"; }
rss() { cut -d' ' -f3 <<<"$1"; }
calc() { awk "BEGIN { printf \"%.3f\", $* }"; }

say() { # NAME MEASURED
	printf '%-40s %8.2f s  %8.2f s cpu  %6s MiB\n' "$1" $2
}

cold() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# --- the image ------------------------------------------------------------------

image_make() {
	if [ -n "${IMAGE-}" ]; then
		cp "$IMAGE" big.aci
		zcat big.aci >big.tar
	else
		python3 "$here/big_image.py" big.tar
		gzip -6 -c big.tar >big.aci
	fi
	"$BUILD/bin/actool" genkey --name=bench --output=key >/dev/null
	"$BUILD/bin/actool" sign --key=key big.aci >/dev/null
	$RKT trust --root --skip-fingerprint-review key.pub >/dev/null 2>&1
	echo "image: $(stat -c %s big.tar) bytes," \
		"$(tar -tf big.tar | wc -l) entries," \
		"gzip $(stat -c %s big.aci)"
}

# --- benchmarks -----------------------------------------------------------------

drop_data() {
	while pgrep -x rkt-seal >/dev/null; do sleep 0.1; done
	chattr -f -i "$W"/data/cas/blob/*.tar 2>/dev/null || true
	umount -l /run/rkt/img/*/* 2>/dev/null || true
	rm -rf "$W/data" "$W/copy" "$W/index" "$W/tree"
}

# slowest MEASURED...: the longest, or what all of them together take of the
# processors.
slowest() {
	printf '%s\n' "$@" | awk -v cores="$(nproc)" '
		$1 > most { most = $1 }
		{ sum += $2 }
		END { printf "%.3f\n", (sum / cores > most ? sum / cores : most) }'
}

bench_import() {
	echo "== fetch, verify and store a gzip image, best of $ROUNDS"
	before=drop_data
	local inflate sha512 sha256 hash write synced index all sync
	inflate=$(measure "$STAGE" inflate big.aci)
	sha512=$(measure "$STAGE" sha512 big.tar)
	sha256=$(measure "$STAGE" sha256 big.aci)
	hash=$(measure "$STAGE" sha512 big.aci)
	write=$(measure "$STAGE" write big.tar copy)
	synced=$(measure "$STAGE" sync big.tar copy)
	index=$(measure "$STAGE" index big.tar index)
	all=$(measure "$STAGE" run $RKT --dir="$W/data" fetch big.aci)
	sync=$(measure "$STAGE" run $RKT --dir="$W/data" fetch --sync big.aci)
	say "inflate and SHA-256 of the file" "$inflate"
	say "SHA-512 of the tar" "$sha512"
	say "SHA-256 of the file (what is verified)" "$sha256"
	say "SHA-512 of the file (its signature)" "$hash"
	say "write" "$write"
	say "write and sync" "$synced"
	say "index" "$index"
	say "rkt fetch, signed" "$all"
	say "rkt fetch --sync, signed" "$sync"
	echo "rkt fetch leaves the tar to be synced after it, --sync does not;" \
		"tar and podman sync nothing"
	stages=("$inflate" "$sha512" "$sha256" "$hash" "$write" "$index")
	ratio "fetch / max(stage, CPU / cores)" "$(wall "$all")" \
		"$(slowest "${stages[@]}")" 1.3 '<='
	ratio "fetch --sync / the same with sync" "$(wall "$sync")" "$(slowest \
		"$inflate" "$sha512" "$sha256" "$hash" "$synced" "$index")" \
		1.3 '<='
	ratio "memory, MiB / 64" "$(rss "$all")" 64 1 '<='
	fetch_seconds=$(wall "$all")
}
fetch_seconds=

# A web server as others have it, on port 8443.
https_begin() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout https.key \
		-out https.pem -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost 2>/dev/null
	cat >nginx.conf <<-END
		daemon off;
		user root;
		pid $W/nginx.pid;
		error_log stderr;
		events {}
		http {
			access_log off;
			sendfile on;
			server {
				listen 127.0.0.1:8443 ssl;
				ssl_certificate $W/https.pem;
				ssl_certificate_key $W/https.key;
				root $W;
			}
		}
	END
	nginx -p "$W" -c "$W/nginx.conf" 2>nginx.log &
	web=$!
	export CURL_CA_BUNDLE=$W/https.pem
	for _ in $(seq 100); do
		curl -sfo /dev/null https://localhost:8443/key.pub && return
		sleep 0.1
	done
	cat nginx.log >&2
	return 1
}

# Seconds of processor time of its processes.
https_cpu() {
	cat "/proc/$web/stat" "/proc/$(pgrep -P "$web")/stat" |
		awk -v hz="$(getconf CLK_TCK)" '
			{ sub(/.*\) /, ""); t += $12 + $13 } END { print t / hz }'
}

bench_https() {
	echo "== the same over local HTTPS, best of $ROUNDS"
	have nginx || { echo "not measured: no nginx"; return; }
	[ -n "$fetch_seconds" ] || bench_import
	local all load server begin
	https_begin
	before=true
	load=$(measure "$STAGE" run curl -sfo /dev/null https://localhost:8443/big.aci)
	before=drop_data
	begin=$(https_cpu)
	all=$(measure "$STAGE" run $RKT --dir="$W/data" fetch \
		https://localhost:8443/big.aci)
	server=$(calc "($(https_cpu) - $begin) / $ROUNDS")
	kill "$web"
	wait "$web" || true
	say "curl of it" "$load"
	say "rkt fetch https://, signed" "$all"
	printf '%-40s %21.2f s cpu\n' "the server, for one rkt fetch" "$server"
	ratio "fetch https:// / max(stage, CPU / cores)" "$(wall "$all")" \
		"$(slowest "${stages[@]}" "$load" "0 $server 0")" 1.3 '<='
}

# What `podman load` takes: the same files as one gzip layer.
docker_archive() {
	python3 - big.tar big.aci "$1" <<-'END'
		import hashlib, io, json, sys, tarfile
		tar, layer, out = sys.argv[1:]
		diff = hashlib.file_digest(open(tar, "rb"), "sha256").hexdigest()
		config = json.dumps({"architecture": "amd64", "os": "linux",
		    "config": {}, "rootfs": {"type": "layers",
		    "diff_ids": ["sha256:" + diff]}}).encode()
		name = hashlib.sha256(config).hexdigest() + ".json"
		manifest = json.dumps([{"Config": name, "RepoTags":
		    ["localhost/big:1"], "Layers": ["layer.tar.gz"]}]).encode()
		with tarfile.open(out, "w") as t:
		    for n, data in ((name, config), ("manifest.json", manifest)):
		        info = tarfile.TarInfo(n)
		        info.size = len(data)
		        t.addfile(info, io.BytesIO(data))
		    t.add(layer, "layer.tar.gz")
	END
}

drop_podman() { in_v1 $PODMAN rmi -f -a >/dev/null 2>&1 || true; }

bench_peers() {
	echo "== the same bytes with other programs, best of $ROUNDS"
	local tar load copy
	[ -n "$fetch_seconds" ] || bench_import
	before=drop_tree
	tar=$(measure "$STAGE" run tar -xzf big.aci -C tree)
	say "tar -xzf" "$tar"
	ratio "tar -xzf / rkt fetch" "$(wall "$tar")" "$fetch_seconds" 3 '>='
	if have podman && podman_configure && docker_archive archive.tar; then
		before=drop_podman
		load=$(measure "$STAGE" run in_v1_command $PODMAN load -q \
			-i "$W/archive.tar")
		say "podman load" "$load"
		ratio "podman load / rkt fetch" "$(wall "$load")" \
			"$fetch_seconds" 7 '>='
		drop_podman
	else
		echo "podman load: not measured"
	fi
	if have skopeo && [ -e archive.tar ]; then
		before=drop_podman
		copy=$(measure "$STAGE" run skopeo copy -q \
			docker-archive:archive.tar \
			"containers-storage:[overlay@$W/podman+$W/run/podman]big:1")
		say "skopeo copy to containers-storage" "$copy"
		ratio "skopeo copy / rkt fetch" "$(wall "$copy")" \
			"$fetch_seconds" 7 '>='
		drop_podman
	else
		echo "skopeo copy: not measured"
	fi
	rm -f archive.tar
}

drop_tree() { rm -rf "$W/tree" && mkdir "$W/tree"; }

# For programs, which know no functions.
in_v1_prepare() {
	mkdir -p "$W/bin"
	printf '#!/bin/sh\n%s "$@"\n' \
		"$([ "$v1ns" = - ] || echo exec nsenter --mount="$v1ns")" \
		>"$W/bin/in_v1_command"
	chmod 0755 "$W/bin/in_v1_command"
	PATH=$W/bin:$PATH
}

stored() {
	[ -d "$W/data/cas" ] || $RKT --dir="$W/data" fetch big.aci >/dev/null 2>&1
}

trees() { # an extracted tree, and a store of the extraction driver
	[ -d "$W/tree/rootfs" ] || { mkdir -p tree && tar -xf big.tar -C tree; }
}

bench_start() {
	echo "== the second pod of the image, start to exit of /bin/true"
	stored
	local driver=
	$RKT run --help | grep -q image-driver && driver=1
	: >commands
	printf 'image\t-\t%s\n' "$RKT --dir=$W/data run --net=none example.com/big" \
		>>commands
	if [ -n "$driver" ]; then
		$RKT --dir="$W/data-tree" --image-driver=tree fetch big.aci \
			>/dev/null 2>&1
		printf 'tree\t-\t%s\n' "$RKT --dir=$W/data-tree --image-driver=tree run --net=none example.com/big" >>commands
	fi
	$RKT --dir="$W/data" run --net=none example.com/big >/dev/null 2>&1
	$PRIORITY "$W/race" rounds 20 commands >result 2>errors
	awk -F'\t' '{ printf "%-40s %8.2f ms median\n", $1, $2 }' result
	if [ -n "$driver" ]; then
		ratio "start, image / directory" "$(column result image 2)" \
			"$(column result tree 2)" 1.1 '<='
	else
		echo "start, image / directory: one driver, not compared"
	fi
	$RKT --dir="$W/data" gc --grace-period=0s >/dev/null 2>&1
}

# The rootfs of the image as a pod would see it, in $lower.
lower_find() {
	local mount
	lower=$(find "$W"/data/cas/tree -mindepth 2 -maxdepth 2 -name rootfs \
		2>/dev/null | head -1) || true
	# Mounted when the first pod needs it.
	$RKT --dir="$W/data" run --net=none example.com/big >/dev/null 2>&1
	$RKT --dir="$W/data" gc --grace-period=0s >/dev/null 2>&1
	# Others have mounts, too.
	mount=$(find /run/rkt/img -mindepth 2 -maxdepth 2 -name \
		"$(basename "$W"/data/cas/blob/*.tar .tar)" 2>/dev/null |
		head -1) || true
	[ -z "$mount" ] || lower=$mount
}

bench_walk() {
	echo "== find and stat of every file, cold"
	stored
	trees
	lower_find
	if [ -z "$lower" ]; then
		echo "no root file system to walk: not measured"
		return
	fi
	local ours ext4
	before=cold
	ours=$(measure "$STAGE" run find "$lower" -newermt 2100-01-01)
	ext4=$(measure "$STAGE" run find "$W/tree/rootfs" -newermt 2100-01-01)
	say "$lower" "$ours"
	say "extracted by tar on ext4" "$ext4"
	ratio "ext4 tree / ours" "$(wall "$ext4")" "$(wall "$ours")" 2 '>='
	before=true
}

bench_remove() {
	echo "== removing the image; disk use"
	stored
	trees
	local used tar ours tree
	used=$(du -s --block-size=1 data/cas | cut -f1)
	tar=$(stat -c %s big.tar)
	ratio "disk use / tar" "$used" "$tar" 1.01 '<='
	sync
	ours=$("$STAGE" run $RKT --dir="$W/data" image rm example.com/big \
		2>&1 >/dev/null | tail -1)
	sync
	tree=$("$STAGE" run rm -rf tree 2>&1 | tail -1)
	say "rkt image rm" "$ours"
	say "rm -rf of the tree" "$tree"
	ratio "rm -rf / rkt image rm" "$(wall "$tree")" "$(wall "$ours")" 50 '>='
}

bench_xz() {
	echo "== an xz image of several blocks (200 MB of the tar)"
	have xz || { echo "not measured: no xz"; return; }
	head -c 200000000 big.tar | xz -1 -T0 >part.tar.xz
	local one all
	before=true
	one=$(measure taskset -c 0 "$STAGE" inflate part.tar.xz)
	all=$(measure "$STAGE" inflate part.tar.xz)
	say "on one processor" "$one"
	say "on $(nproc)" "$all"
	ratio "all / (one / cores)" "$(wall "$all")" \
		"$(calc "$(wall "$one") / $(nproc)")" 1.3 '<='
}

bench_many() {
	bash "$here/image_many.sh"
}

in_v1_prepare
case " $* " in
*' many '*) [ $# -gt 1 ] || { bench_many; exit; } ;;
esac
image_make
[ $# -gt 0 ] || set -- import https peers start walk remove xz many
for b in "$@"; do
	"bench_$b"
done
