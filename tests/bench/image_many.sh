#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# image_many.sh: does a store with N (1000) images start pods by name, and
# list, as fast as one with a single image?  Run by image.sh, below $W.
# shellcheck disable=SC2086 # $RKT and $PRIORITY are lists of words
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
: "${W:?run me through make bench-image}" "${BUILD:?}"
N=${N:-1000}
PRIORITY=${PRIORITY-}
RKT="$BUILD/bin/rkt --insecure-options=image --local-config=$W/local --system-config=$W/system"
# shellcheck source=tests/bench/ratio.bash
. "$here/ratio.bash"
mkdir -p "$W/many" && cd "$W/many"
trap 'cd /; chattr -f -i "$W"/many/*/cas/blob/*.tar || true; rm -rf "$W/many"' EXIT

mkdir -p image/rootfs/bin
cp /bin/busybox image/rootfs/bin/busybox
ln -sf busybox image/rootfs/bin/true
jq -n '{acKind: "ImageManifest", acVersion: "0.8.11",
	name: "example.com/many-0",
	labels: [{name: "version", value: "1.0.0"},
		{name: "os", value: "linux"}, {name: "arch", value: "amd64"}],
	app: {exec: ["/bin/true"], user: "0", group: "0"}}' >image/manifest
"$BUILD/bin/actool" build --owner-root --no-compression image 0.aci
$RKT --dir="$W/many/one" fetch 0.aci >/dev/null 2>&1
$RKT --dir="$W/many/all" fetch 0.aci >/dev/null 2>&1
rm image/rootfs/bin/busybox
for i in $(seq 1 $((N - 1))); do
	sed -i "s/many-[0-9]*/many-$i/" image/manifest
	"$BUILD/bin/actool" build --owner-root --no-compression image "$i.aci"
	echo "$i.aci"
done | xargs -n 50 $RKT --dir="$W/many/all" fetch >/dev/null 2>&1
echo "== a store with $(find all/cas/blob -name '*.tar' | wc -l) images against one"

# compare TEXT COMMAND: each with both stores in turns
compare() {
	printf 'one\t-\t%s\nall\t-\t%s\n' "$RKT --dir=$W/many/one $2" \
		"$RKT --dir=$W/many/all $2" >commands
	$PRIORITY "$W/race" rounds "${ROUNDS_MANY:-40}" commands >result
	ratio "$1, ms" "$(column result all 2)" "$(column result one 2)" 1.1 '<='
	for d in one all; do
		$RKT --dir="$W/many/$d" gc --grace-period=0s >/dev/null 2>&1
	done
}

compare "rkt run NAME" "run --net=none example.com/many-0:1.0.0"
compare "rkt run ID" "run --net=none $(basename one/cas/blob/*.tar .tar)"
compare "rkt image cat-manifest NAME" "image cat-manifest example.com/many-0"
compare "rkt image list" "image list --no-legend"
