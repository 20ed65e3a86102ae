#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Ways out that worked against container runtimes, each one tried.  A test
# passes when the way is closed and, where rkt may refuse the pod, also when
# it refuses; in no case may the host show a trace of it.

load lib

# A kernel and an image that give an attacker all a pod can have.
ATTACKER_CAPS=CAP_SYS_PTRACE,CAP_DAC_OVERRIDE,CAP_MKNOD,CAP_KILL,CAP_SYS_CHROOT,CAP_FOWNER

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

setup() {
	setup_test
	mkdir "$D/outside"
	echo secret >"$D/outside/secret"
	sum=$(sha256sum "$RKT" "$BUILD"/libexec/rkt/*)
}

teardown() {
	[ "$sum" = "$(sha256sum "$RKT" "$BUILD"/libexec/rkt/*)" ] ||
		fail "a program of rkt was changed"
	[ "$(ls "$D/outside")" = secret ] || fail "$(ls "$D/outside") outside"
	[ "$(cat "$D/outside/secret")" = secret ] || fail "a file was changed"
	teardown_test
}

# image_with DIR COMMANDS: an image like inside.aci after COMMANDS ran in its
# root file system.
image_with() {
	mkdir -p "$1/rootfs/etc" "$1/rootfs/tmp"
	cp "$INSIDE" "$1/rootfs/inside"
	(cd "$1/rootfs" && eval "$2")
	image_tree "$1" example.com/inside 1.0.0
}

running() {
	detach_inside --net=none "$@"
	wait_for 10 pod_logged "$uuid" inside ready=1
}

@test "CVE-2019-10144: enter is bound by the app's capabilities" {
	# If it worked: capbnd and capeff would be rkt's own: 000001ff...
	running "$F/inside.aci" --caps-retain=CAP_KILL -- ready and sleep 60
	run rkt enter "$uuid" /inside print-caps
	expect_status 0
	expect_value capbnd 0000000000000020
	expect_value capeff 0000000000000020
	expect_value capinh 0000000000000000
}

@test "CVE-2019-10145: enter is bound by the app's seccomp filter" {
	# If it worked: seccomp=0, try.chmod=ENOENT, and ok for what root may
	# do.
	running "$F/inside.aci" --seccomp=mode=remove,errno=EXDEV,chmod -- \
		ready and sleep 60
	run rkt enter "$uuid" /inside print-caps and try chmod
	expect_status 0
	expect_value seccomp 2
	expect_value try.chmod EXDEV
	running "$F/inside.aci" -- ready and sleep 60
	run rkt enter "$uuid" /inside try mount reboot keyctl unshare-user
	expect_no_output '=ok'
}

@test "CVE-2019-10147: enter is bound by the app's cgroups and devices" {
	# If it worked: /dev/mem or the disk would open, cgroup= would name
	# other groups.
	running "$F/inside.aci" -- ready and print-cgroup and sleep 60
	run rkt enter "$uuid" /inside print-cgroup and \
		mknod /tmp/mem c 1 1 and mknod /tmp/disk b 254 0
	expect_status 0
	expect_no_output open=ok
	# With a cgroup namespace the app sees "/": so must who enters.
	[ "$(grep -o 'cgroup=.*' <<<"$output" | sort)" = \
		"$(pod_log "$uuid" inside | grep -o 'cgroup=.*' | sort)" ] ||
		fail "$output"
}

@test "CVE-2019-10147: enter is bound by the app's memory limit" {
	# If it worked: 200 MiB would be there: oom=survived.
	skip_without memory-limit
	running "$F/inside.aci" --memory=42Mi -- ready and sleep 60
	run rkt enter "$uuid" /inside oom 200
	[ "$status" != 0 ]
	expect_no_output oom=survived
}

@test "CVE-2016-9962: nothing of the host in a process that enters" {
	# If it worked: hunt would print leak=root, directory or memory of the
	# process on its way.
	running "$F/inside.aci" --caps-retain=$ATTACKER_CAPS -- hunt 6
	n=0
	while rkt enter "$uuid" /inside echo entered >/dev/null; do
		n=$((n + 1))
	done
	[ "$n" -gt 5 ] || fail "entered $n times"
	wait_for 20 pod_is "$uuid" exited
	run pod_log "$uuid" inside
	expect_value hunt clean
	expect_value hunt.tries some
}

@test "apps that stand still go on when who enters is killed" {
	mkdir -p "$D/next/bin"
	cp "$BUILD/bin/rkt" "$D/next/bin/rkt"
	cp -r "$BUILD/libexec" "$D/next/"
	# It is built to be killed where a test says.
	cp "$BUILD/tests/stage1-next" "$D/next/libexec/rkt/stage1"
	running "$F/inside.aci" --caps-retain=$ATTACKER_CAPS -- signals 600
	RKT_TEST_STOP_AT=enter-frozen run "$D/next/bin/rkt" --dir="$D/data" \
		enter "$uuid" /inside echo entered
	expect_status 137
	kill -USR1 "$(cat "$D/data/pods/run/$uuid/generations/inside/1/pid")"
	wait_for 10 pod_logged "$uuid" inside signal=USR1
}

# stand_still N: leaves of the pod, of either version of control groups
stand_still() {
	local dir
	[ "$(while read -r dir; do
		grep -lx 1 "$dir"/inside.*/cgroup.freeze
		grep -lx FROZEN "$dir"/inside.*/freezer.state
	done <"$D/data/pods/run/$uuid/cgroup" 2>/dev/null | wc -l)" = "$1" ]
}

@test "two that enter while an app could trace them: one after the other" {
	mkdir -p "$D/next/bin"
	cp "$BUILD/bin/rkt" "$D/next/bin/rkt"
	cp -r "$BUILD/libexec" "$D/next/"
	cp "$BUILD/tests/stage1-next" "$D/next/libexec/rkt/stage1"
	running "$F/inside.aci" --caps-retain=$ATTACKER_CAPS -- signals 600
	app=$(cat "$D/data/pods/run/$uuid/generations/inside/1/pid")
	# A command that may trace, too, stands still as its app does.
	"$RKT" --dir="$D/data" exec "$uuid" -- /inside signals 60 \
		>"$D/command" 2>&1 3>&- &
	command=$!
	wait_for 20 grep -q ready=1 "$D/command"
	inner=$(pgrep -f '^/inside signals 60$')
	RKT_TEST_HANG_AT=enter-frozen "$D/next/bin/rkt" --dir="$D/data" \
		enter "$uuid" /inside echo first >/dev/null 2>&1 3>&- &
	first=$!
	wait_for 20 stand_still 2
	"$RKT" --dir="$D/data" enter "$uuid" /inside echo second \
		>"$D/second" 2>&1 3>&- &
	second=$!
	# It waits for its turn, and they stand still.
	wait_for 20 waits_for_turn "$second"
	stand_still 2
	kill -9 "$first"
	wait "$second"
	grep -qx second "$D/second"
	kill -USR1 "$app"
	wait_for 10 pod_logged "$uuid" inside signal=USR1
	kill -USR1 "$inner"
	wait_for 10 grep -q signal=USR1 "$D/command"
	kill "$command"
	wait "$command" || true
}

waits_for_turn() {
	find "/proc/$1/fd" -lname '*/freeze.lck' 2>/dev/null | grep -q .
}

@test "an app with CAP_SYS_PTRACE finds nothing in the pod's init" {
	# It may look, and there is nothing: an empty read-only root with
	# /proc, no descriptor, no capability, a binary it cannot write, and
	# neither arguments nor environment of the host.
	run_inside "$F/inside.aci" --caps-retain=$ATTACKER_CAPS -- \
		ls /proc/1/fd and read /proc/1/environ and \
		read /proc/1/cmdline and hunt 1
	expect_status 0
	expect_value ls ''
	expect_no_output RKT_ PATH= stage1
	expect_value hunt clean
}

@test "CVE-2019-5736: /proc/self/exe as the program to start" {
	# If it worked: rkt's own binary would run in the pod, and hunt find a
	# writable exe; teardown compares the binaries.
	run_inside "$F/inside.aci" --exec=/proc/self/exe -- hunt 1
	expect_no_output leak=
	image_with "$D/i" 'ln -s /proc/self/exe run'
	run_inside "$D/i.aci" --exec=/run -- hunt 1
	expect_no_output leak=
	image_with "$D/j" 'echo "#!/proc/self/exe" >script; chmod 755 script'
	run_inside "$D/j.aci" --exec=/script
	expect_no_output leak=
}

@test "CVE-2019-5736: /proc/self/exe as the program of enter" {
	# If it worked: as above: leak=exe, or a binary with another checksum.
	image_with "$D/i" 'ln -s /proc/self/exe sh'
	running "$D/i.aci" --caps-retain=$ATTACKER_CAPS -- ready and hunt 3
	for _ in 1 2 3 4 5; do
		rkt enter "$uuid" /sh version >/dev/null 2>&1 || true
		rkt enter "$uuid" /proc/self/exe version >/dev/null 2>&1 || true
	done
	wait_for 20 pod_is "$uuid" exited
	run pod_log "$uuid" inside
	expect_value hunt clean
}

@test "CVE-2019-19921: /proc of the image is a symlink" {
	# If it worked: the unmasked /proc is below /other, or the listing is
	# of the host's directory.
	image_with "$D/i" 'mkdir other; ln -s /other proc'
	run_inside "$D/i.aci" -- open-write /proc/sysrq-trigger and \
		open-write /other/sysrq-trigger
	expect_no_output open-write=ok
	image_with "$D/j" "ln -s ../../../../..$D/outside proc"
	run_inside "$D/j.aci" -- ls /proc
	expect_no_output secret
}

@test "CVE-2023-27561: /proc is a volume" {
	# If it worked: the masks would be in the volume and /proc/sys
	# writable: open-write=ok.
	mkdir "$D/vol"
	touch "$D/vol/sysrq-trigger"
	run_inside --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--mount=volume=v,target=/proc -- masked /proc/kcore and \
		open-write /proc/sys/kernel/core_pattern
	expect_no_output open-write=ok /proc/kcore=no
	run_inside --volume=v,kind=empty "$F/inside.aci" \
		--mount=volume=v,target=/proc/self -- \
		open-write /proc/sysrq-trigger
	expect_no_output open-write=ok
}

@test "CVE-2021-30465: a mount target below a symlink stays in the root" {
	# If it worked: the volume would be mounted over the host's directory,
	# `new` be created in it.
	mkdir "$D/vol" "$D/second"
	echo planted >"$D/second/planted"
	ln -s "../../../../../../../..$D/outside" "$D/vol/link"
	ln -s "$D/outside" "$D/vol/absolute"
	for link in link absolute; do
		run_inside --volume=v,kind=host,source="$D/vol" \
			--volume=w,kind=host,source="$D/second" \
			"$F/inside.aci" --mount=volume=v,target=/vol \
			--mount=volume=w,target=/vol/$link -- \
			write /vol/$link/new text
		[ ! -e "$D/outside/new" ] || fail "$link left the root"
	done
	rm -rf "$D"/data/pods/*/*/none
}

@test "CVE-2021-30465: a mount target exchanged with a symlink meanwhile" {
	# If it worked: In one of the rounds `sub` would be made outside, or
	# its secret be listed.
	mkdir -p "$D/vol/a" "$D/second"
	ln -s "../../../../../../../..$D/outside" "$D/vol/b"
	"$INSIDE" swap "$D/vol/a" "$D/vol/b" 8 &
	swapper=$!
	for _ in $(seq 15); do
		run_inside --volume=v,kind=host,source="$D/vol" \
			--volume=w,kind=host,source="$D/second" \
			"$F/inside.aci" --mount=volume=v,target=/vol \
			--mount=volume=w,target=/vol/a/sub -- \
			write /vol/a/sub/new text and ls /vol/a
		[ ! -e "$D/outside/sub" ] || fail "made a directory outside"
		expect_no_output secret
	done
	kill "$swapper" 2>/dev/null || true
	wait "$swapper" || true
}

@test "CVE-2021-30465: a volume's source exchanged with a symlink meanwhile" {
	# If it worked: in one of the rounds the host's secret would be listed
	# in the place of `mine`.
	mkdir -p "$D/vol/a"
	touch "$D/vol/a/mine"
	ln -s "$D/outside" "$D/vol/b"
	uuid=$(rkt --insecure-options=image prepare --quiet \
		--volume=v,kind=host,source="$D/vol/a" "$F/inside.aci" \
		--mount=volume=v,target=/vol -- ls /vol)
	rkt run-prepared --net=none "$uuid" >/dev/null || true
	"$INSIDE" swap "$D/vol/a" "$D/vol/b" 8 &
	swapper=$!
	for _ in $(seq 15); do
		run rkt start "$uuid"
		[ "$status" = 254 ] || expect_output mine
		expect_no_output secret
	done
	kill "$swapper" 2>/dev/null || true
	wait "$swapper" || true
}

@test "CVE-2022-29162: no inheritable capability" {
	# If it worked: capinh would be the retained set.
	run_inside "$F/inside.aci" --caps-retain=$ATTACKER_CAPS -- print-caps
	expect_value capinh 0000000000000000
	expect_value capamb 0000000000000000
	running "$F/inside.aci" -- ready and sleep 60
	run rkt enter "$uuid" /inside print-caps
	expect_value capinh 0000000000000000
}

@test "CVE-2024-21626: a working directory below /proc/self/fd" {
	# If it worked: one of the numbers is a directory of the host:
	# cwd.top=foreign.
	for fd in 3 4 5 6 7 8 9 10 11 12; do
		run_inside "$F/inside.aci" --working-dir=/proc/self/fd/$fd -- \
			cwd-escape and print-fds
		expect_no_output cwd.top=foreign secret
		[ "$(grep -c 'fd\.[0-9]*=' <<<"$output")" -le 3 ] ||
			fail "descriptors: $output"
	done
	image_with "$D/i" 'ln -s /proc/self/fd/7 dir'
	run_inside "$D/i.aci" --working-dir=/dir -- cwd-escape
	expect_no_output cwd.top=foreign
}

@test "CVE-2024-21626: no descriptor of the host in who enters" {
	# If it worked: print-fds would show the caller's descriptor 7,
	# $D/outside.
	running "$F/inside.aci" -- ready and sleep 60
	exec 7<"$D/outside"
	run rkt enter "$uuid" /inside print-fds and cwd-escape
	exec 7<&-
	expect_status 0
	expect_value cwd.top own
	expect_no_output outside
	[ "$(grep -c 'fd\.[0-9]*=' <<<"$output")" -le 3 ] || fail "$output"
}

@test "CVE-2024-45310: no file or directory is made outside" {
	# If it worked: teardown would find `made` or `made-file` outside.
	mkdir "$D/vol" "$D/second"
	touch "$D/file"
	ln -s "../../../../../../../..$D/outside" "$D/vol/up"
	run_inside --volume=v,kind=host,source="$D/vol" \
		--volume=w,kind=host,source="$D/second" "$F/inside.aci" \
		--mount=volume=v,target=/vol \
		--mount=volume=w,target=/vol/up/made -- ls /vol
	run_inside --volume=v,kind=host,source="$D/vol" \
		--volume=w,kind=host,source="$D/file" "$F/inside.aci" \
		--mount=volume=v,target=/vol \
		--mount=volume=w,target=/vol/up/made-file -- ls /vol
	image_with "$D/i" "ln -s ../../../../../../../..$D/outside in-image"
	run_inside --volume=w,kind=host,source="$D/second" "$D/i.aci" \
		--mount=volume=w,target=/in-image/made -- ls /
}

@test "CVE-2025-31133: /dev/null of the image is a symlink" {
	# If it worked: core_pattern would be mounted, writable, where a path
	# is to be masked.
	image_with "$D/i" 'mkdir dev
		ln -s /proc/sys/kernel/core_pattern dev/null'
	before=$(cat /proc/sys/kernel/core_pattern)
	run_inside "$D/i.aci" -- open-write /proc/sys/kernel/core_pattern and \
		masked /proc/kcore /proc/kallsyms /sys/firmware
	expect_no_output open-write=ok '=no'
	[ "$(cat /proc/sys/kernel/core_pattern)" = "$before" ]
}

@test "CVE-2025-52565: /dev/console of the image is a symlink" {
	# If it worked: the console would be mounted over a file of /proc
	# before that is protected.
	image_with "$D/i" 'mkdir dev
		ln -s /proc/sysrq-trigger dev/console
		ln -s /proc/sys/kernel/core_pattern dev/pts
		ln -s /proc/sysrq-trigger dev/ptmx
		ln -s /proc/sysrq-trigger dev/stdout'
	run_inside "$D/i.aci" -- open-write /proc/sysrq-trigger and \
		open-write /dev/console
	expect_no_output open-write.error=nothing
	grep -q 'open-write=ok' <<<"$output" && {
		# A console of its own is fine, the kernel's file is not.
		[ "$(grep -c open-write=ok <<<"$output")" = 1 ]
		grep -q open-write.error <<<"$output"
	}
	run python3 "$TESTS/cli/terminal.py" 24x80 -- "$RKT" --dir="$D/data" \
		--insecure-options=image run --net=none --interactive \
		"$D/i.aci" -- print-tty and open-write /proc/sysrq-trigger
	expect_no_output open-write=ok
}

@test "CVE-2025-52881: rkt's writes in procfs cannot be redirected" {
	# If it worked: the score would be written where the link leads, and
	# not be 500.
	mkdir -p "$D/vol/attr"
	ln -s /proc/sysrq-trigger "$D/vol/attr/exec"
	ln -s /proc/sysrq-trigger "$D/vol/oom_score_adj"
	run_inside --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--oom-score-adj=500 --mount=volume=v,target=/proc/self -- \
		print-sched
	[ -L "$D/vol/oom_score_adj" ]
	run_inside "$F/inside.aci" --oom-score-adj=500 -- print-sched
	expect_value oom_score_adj 500
}

@test "CVE-2022-0492: no release_agent to write" {
	# If it worked: find=/sys/fs/cgroup/.../release_agent, or a hierarchy
	# could be mounted.
	run_inside "$F/inside.aci" -- find-in-sys release_agent and \
		try mount unshare-user unshare-cgroup
	expect_status 0
	expect_no_output find=/ '=ok'
	# Neither with the paths open.
	run "$RKT" --dir="$D/data" --insecure-options=image,paths run \
		--net=none "$F/inside.aci" -- try mount unshare-user
	expect_no_output '=ok'
}

@test "CVE-2017-16539, CVE-2018-10892: /proc/scsi and /proc/acpi" {
	# If it worked: masked=no, and the files would open for writing.
	run_inside "$F/inside.aci" -- masked /proc/scsi /proc/acpi and \
		open-write /proc/scsi/scsi and open-write /proc/acpi/wakeup
	expect_status 0
	expect_no_output '=no' open-write=ok
}

@test "CVE-2020-15257: rkt has no abstract socket" {
	# If it worked: A name with @ in the shared network namespace.
	detach_inside --net=host "$F/inside.aci" -- ready and sleep 60
	wait_for 10 pod_logged "$uuid" inside ready=1
	! awk '{ print $8 }' /proc/net/unix | grep '^@' ||
		fail "an abstract socket exists"
}

# hostile_tar FILE PYTHON: a tar written by tarfile code with `t` open.
hostile_tar() {
	python3 - "$1" "$2" <<'PYTHON'
import io, json, sys, tarfile
manifest = json.dumps({"acKind": "ImageManifest", "acVersion": "0.8.11",
    "name": "example.com/hostile", "labels": [
        {"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
    "app": {"exec": ["/inside"], "user": "0", "group": "0"}}).encode()
t = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
def add(name, data=b"", **attributes):
    i = tarfile.TarInfo(name)
    i.size = len(data)
    i.mode = 0o755
    for k, v in attributes.items():
        setattr(i, k, v)
    t.addfile(i, io.BytesIO(data) if data else None)
add("manifest", manifest)
add("rootfs", type=tarfile.DIRTYPE)
exec(sys.argv[2])
t.close()
PYTHON
}

@test "docker's CVE-2014-9357, CVE-2014-6407: extraction stays inside" {
	# If it worked: `new` would be outside, `secret` changed, or the image
	# in the store.
	out=$D/outside
	up=../../../../../../../../../../..$out
	cases=(
		"add('rootfs/$up/new', b'x')"
		"add('$out/new', b'x')"
		"add('rootfs/l', type=tarfile.SYMTYPE, linkname='$out'); add('rootfs/l/new', b'x')"
		"add('rootfs/l', type=tarfile.SYMTYPE, linkname='$up'); add('rootfs/l/new', b'x')"
		"add('rootfs/h', type=tarfile.LNKTYPE, linkname='$out/secret'); add('rootfs/h', b'changed')"
		"add('rootfs/h', type=tarfile.LNKTYPE, linkname='rootfs/$up/secret')"
		"add('rootfs', type=tarfile.SYMTYPE, linkname='$out'); add('rootfs/new', b'x')"
		"add('manifest', type=tarfile.SYMTYPE, linkname='$out/secret')"
	)
	for c in "${cases[@]}"; do
		hostile_tar "$D/bad.aci" "$c"
		run_rkt run --net=none "$D/bad.aci" --exec=/h -- x
		expect_status 254
		[ "$(ls "$out")" = secret ] || fail "$c"
		[ "$(cat "$out/secret")" = secret ] || fail "$c"
		run rkt image list --no-legend
		[ -z "$output" ] || fail "$c is in the store: $output"
		[ -z "$(find "$D/data/cas" -mindepth 2 -not -type d)" ] ||
			fail "$c left $(find "$D/data/cas" -mindepth 2)"
	done
}

# As on a host whose init is systemd: everything is shared.  A mount that an
# app makes in its volume must not appear on the host.
@test "no mount of an app is a peer of one of the host" {
	mkdir -p "$D/v/sub"
	mount -t tmpfs tmpfs "$D/v/sub"
	grep -q " $D/v/sub .* shared:" /proc/self/mountinfo
	for how in '' --no-overlay; do
		run_inside --dns=host --hosts-entry=host $how \
			--volume=v,kind=host,source="$D/v" "$F/inside.aci" \
			--mount=volume=v,target=/vol -- read /proc/self/mountinfo
		expect_status 0
		expect_output ' /vol/sub '
		expect_no_output shared: master: propagate_from:
	done
	umount "$D/v/sub"
}
