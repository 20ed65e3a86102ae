# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# podman and crun for the benchmarks.  The caller is in namespaces of its own
# and set W, a directory of its own with ns/ and run/.
#
#   v1ns        a mount namespace without the unified cgroups, or "-"
#   $PODMAN     podman as words, all it keeps below W
#   in_v1 ...   runs a command in that namespace
#   podman_configure

# crun reads a hybrid cgroup tree as unusable: give it one without the
# unified part, in a mount namespace of its own.
v1ns=-
if grep -q ' /sys/fs/cgroup/unified ' /proc/self/mountinfo; then
	v1ns=$W/ns/v1
	touch "$v1ns"
	# A namespace can be bound only where its number is higher than our
	# own, and numbers are handed out per processor: try all of them.
	for i in $(seq 200); do
		taskset -c "$((i % $(nproc)))" unshare --mount="$v1ns" \
			--propagation private \
			umount /sys/fs/cgroup/unified 2>/dev/null && break
	done
	nsenter --mount="$v1ns" true
fi

PODMAN="podman --root=$W/podman --runroot=$W/run/podman"
PODMAN="$PODMAN --tmpdir=$W/run/libpod --runtime=crun"
PODMAN="$PODMAN --cgroup-manager=cgroupfs --events-backend=file"

in_v1() {
	if [ "$v1ns" = - ]; then "$@"; else nsenter --mount="$v1ns" "$@"; fi
}

podman_configure() {
	printf '%s\n' '[containers]' \
		'default_ulimits=["nofile=20000:20000","nproc=4096:4096"]' \
		'log_driver="k8s-file"' '[network]' \
		'network_backend="cni"' >"$W/containers.conf"
	export CONTAINERS_CONF=$W/containers.conf
}
