#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# More ways out of a pod than 45-escapes.bats has, and the proof that both
# files can fail: the first tests make the same attempts where nothing holds
# them back and see them succeed.

load lib

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

# run_open ARGS: a pod with every protection off.
run_open() {
	run --separate-stderr "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		--insecure-options=image,all-run run --net=none "$@"
}

# --- the attempts work -----------------------------------------------------------

@test "control: without the protections the attempts succeed" {
	mkdir "$D/vol"
	run_open --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--mount=volume=v,target=/vol -- \
		open-write /proc/sys/kernel/core_pattern and \
		open-write /proc/sys/vm/panic_on_oom and \
		try mount unshare-user unshare-mount sethostname chroot and \
		clone 0x10000000 and clone 0x20000 and i386 310 0x20000 and \
		masked /proc/kallsyms and handle /vol and print-caps
	expect_status 0
	[ "$(grep -c open-write=ok <<<"$output")" = 2 ] || fail "$output"
	[ "$(grep -c '[ .]try\..*=ok' <<<"$output")" = 5 ] || fail "$output"
	[ "$(grep -c clone=ok <<<"$output")" = 2 ] || fail "$output"
	expect_value i386 ok
	expect_value handle ok
	expect_output masked./proc/kallsyms=no
	[ "$(value capbnd)" = "$(awk '/^CapBnd/ { print $2 }' \
		/proc/self/status)" ] || fail "$output"
}

@test "control: hunt finds a process of another root" {
	mkdir -p "$D/root/proc"
	cp "$INSIDE" "$D/root/inside"
	mount -t proc proc "$D/root/proc"
	run chroot "$D/root" /inside hunt 1
	umount "$D/root/proc"
	expect_value hunt leaks
	expect_output "leak=init's root" leak=cwd leak=memory
}

@test "control: cwd-escape finds a directory left outside" {
	mkdir "$D/root"
	cp "$INSIDE" "$D/root/inside"
	run python3 -c 'import os, sys
os.chroot(sys.argv[1])
os.execv("/inside", ["inside", "cwd-escape"])' "$D/root"
	expect_value cwd.top foreign
}

@test "control: a swapped directory is seen by who resolves twice" {
	mkdir "$D/a"
	ln -s /etc "$D/b"
	"$INSIDE" swap "$D/a" "$D/b" 1 &
	seen=
	for _ in $(seq 2000); do
		[ -L "$D/a" ] && seen=1 && break
	done
	wait
	[ "$seen" ]
}

@test "control: find-in-sys finds release_agent where it is" {
	grep -q ' - cgroup ' /proc/self/mountinfo || skip "needs cgroup1: no v1 hierarchy here"
	run "$INSIDE" find-in-sys release_agent
	expect_output find=/sys
}

# --- system call entries the filter has to know ------------------------------------

# If the filter looked at x86-64 numbers alone, i386 21 (mount), 310 (unshare)
# and 120 (clone) would answer 0 or EFAULT, not EPERM.
@test "int 0x80: the filter holds for the i386 entry" {
	# getpid is allowed: if that fails the kernel has no such entry.
	run_inside "$F/inside.aci" -- i386 20
	[ "$(value i386)" = ok ] || skip "needs ia32: not in this kernel"
	for call in '21 0' '22 0' '310 0x10000000' '120 0x10000011' '346 0'; do
		# shellcheck disable=SC2086 # number and argument
		run_inside "$F/inside.aci" -- i386 $call
		expect_value i386 EPERM
	done
	run_inside "$F/inside.aci" -- i386 435
	expect_value i386 ENOSYS
	run_inside "$F/inside.aci" --seccomp=mode=remove,errno=EXDEV,chmod -- \
		i386 15
	expect_value i386 EXDEV
	run_inside "$F/inside.aci" --seccomp=mode=retain,@rkt/default-whitelist \
		-- i386 21
	expect_value i386 SIGSYS
}

# x32 calls are x86-64's under other numbers: where the kernel has them, 165
# (mount) would answer EFAULT.
@test "x32: the filter holds for that entry, too" {
	for call in 165 272 49; do
		run_inside "$F/inside.aci" -- x32 $call
		expect_value x32 ENOSYS
	done
	# Also when everything is retained: bind must not bypass updates.
	run_inside "$F/inside.aci" --seccomp=mode=retain,@appc.io/all -- x32 49
	expect_value x32 ENOSYS
}

# A namespace of one's own is full capabilities in it, and with them the
# kernel's mount, netfilter and overlay code (CVE-2022-0185, CVE-2021-3493,
# CVE-2023-0386).  Each of these would print ok.
@test "no namespace of one's own by clone, clone3, unshare or setns" {
	for flag in 0x20000 0x4000000 0x8000000 0x10000000 0x20000000 \
		0x40000000 0x2000000; do
		run_inside "$F/inside.aci" -- clone $flag
		expect_value clone EPERM
	done
	run_inside "$F/inside.aci" -- clone 0 and \
		try clone3 unshare-user unshare-mount setns fsopen open_tree \
		move_mount
	expect_value clone ok
	expect_value try.clone3 ENOSYS
	expect_value try.unshare-user EPERM
	expect_value try.fsopen EPERM
	expect_no_output 'try.setns=ok' 'try.open_tree=ok' 'try.move_mount=E[^P]'
}

# IORING_OP_BIND and its like do what calls do, unfiltered.
@test "io_uring is not there, and named when it is retained" {
	run_inside "$F/inside.aci" -- try io_uring_setup
	expect_value try.io_uring_setup EPERM
	run_inside "$F/inside.aci" --seccomp=mode=remove,chmod -- \
		try io_uring_setup
	expect_value try.io_uring_setup EPERM
	run_inside "$F/inside.aci" --seccomp=mode=retain,@appc.io/all -- \
		try io_uring_setup
	[ "$(value try.io_uring_setup)" != EPERM ] || fail "$output"
	# shellcheck disable=SC2154 # set by run --separate-stderr
	case $stderr in *io_uring*) ;; *) fail "stderr: $stderr" ;; esac
}

# AF_VSOCK (40) reaches the hypervisor whatever the network namespace.
@test "no socket to the hypervisor" {
	run_inside "$F/inside.aci" -- syscall 41 40 1 0 and syscall 41 2 1 0
	[ "$(grep -c 'try.41=EPERM' <<<"$output")" = 1 ] || fail "$output"
	[ "$(grep -c 'try.41=ok' <<<"$output")" = 1 ] || fail "$output"
}

# --- files ----------------------------------------------------------------------

# Shocker: a handle opens any inode of the file system a volume is on; the
# file would open (ok).
@test "no file of the host by its handle" {
	mkdir "$D/vol"
	run_inside --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--mount=volume=v,target=/vol -- handle /vol
	expect_value handle.error EPERM
}

# A setuid program of the host in a volume would make print-ids say euid=0; a
# device node there would open.  Not because of no_new_privs alone.
@test "volumes give neither setuid programs nor devices" {
	mkdir "$D/vol"
	cp "$INSIDE" "$D/vol/suid"
	chmod 4755 "$D/vol/suid"
	skip_without mknod
	mknod -m 0666 "$D/vol/null" c 1 3
	run_inside --volume=v,kind=host,source="$D/vol" "$F/inside.aci" \
		--mount=volume=v,target=/vol --user=500 --group=500 \
		--seccomp=mode=retain,@appc.io/all -- suid /vol/suid and open-write /vol/null
	expect_status 0
	expect_no_output euid=0 open-write=ok
	expect_output 500
}

# The image says who the app is; if its files were looked up from the host's
# root the host's user would be found, and the pod would start.
@test "user and group are never the host's" {
	t=$D/i
	mkdir -p "$t/rootfs/etc"
	cp "$INSIDE" "$t/rootfs/inside"
	echo 'hostonly:x:4242:4242::/:' >"$D/passwd"
	echo 'hostonly:x:4242:' >"$D/group"
	up=../../../../../../../..
	ln -s "$up$D/passwd" "$t/rootfs/etc/passwd"
	ln -s "$D/group" "$t/rootfs/etc/group"
	ln -s "$up$D/passwd" "$t/rootfs/owner"
	chown 4242:4242 "$D/passwd"
	image_tree "$t" example.com/ids 1.0.0
	run_inside "$t.aci" --user=hostonly -- print-ids
	expect_status 254
	run_inside "$t.aci" --group=hostonly -- print-ids
	expect_status 254
	for path in /owner /proc/1/root/etc/passwd /proc/self/cwd/etc/passwd \
		/proc/self/fd/3 /proc/self/root/etc/passwd; do
		run_inside "$t.aci" --user=$path -- print-ids
		expect_status 254
		expect_no_output 4242
	done
}

# What the kernel runs or obeys as root, whoever wrote it.
@test "nothing that the kernel runs for us can be written" {
	run_inside "$F/inside.aci" -- \
		open-write /proc/sys/kernel/core_pattern and \
		open-write /proc/sys/kernel/modprobe and \
		open-write /proc/sys/kernel/hotplug and \
		open-write /proc/sys/fs/binfmt_misc/register and \
		open-write /proc/sys/vm/panic_on_oom and \
		open-write /proc/sysrq-trigger and \
		open-write /sys/kernel/uevent_helper and \
		open-write /sys/fs/cgroup/release_agent and \
		open-write /sys/kernel/security/apparmor/.load and \
		open-write /sys/bus/pci/rescan and \
		open-write /proc/bus/pci/00/00.0 and \
		open-write /proc/irq/0/smp_affinity and \
		open-write /dev/mem and open-write /dev/kmsg and \
		open-write /dev/port and exit-code 0
	expect_status 0
	expect_no_output open-write=ok
}

# A pod that could write its own generations, logs or control socket through
# any path would be the one that decides what rkt does next.
@test "nothing of the pod directory is in the pod" {
	export SECRET=of-the-host
	run_inside "$F/inside.aci" -- print-mounts and print-env and \
		print-fds and read /proc/1/environ and print-net
	expect_status 0
	expect_no_output "$D" of-the-host pods/run RKT_LOCK_FD
}

# --- processes and terminals --------------------------------------------------------

# Numbers of the host would make this end the test.
@test "kill -1 reaches the pod alone" {
	sleep 60 &
	other=$!
	run_inside "$F/inside.aci" --caps-retain=CAP_KILL -- kill -1 9 and \
		print-pids
	kill -0 $other || fail "a process outside is dead"
	kill $other
	wait $other || true
	expect_no_output bats bash
}

# CVE-2016-2568 and its kin: what is typed into the caller's terminal is read
# by the caller's shell when rkt has ended.
@test "nothing can be typed into the caller's terminal" {
	run python3 "$TESTS/cli/terminal.py" 24x80 -- "$RKT" --dir="$D/data" \
		--local-config="$D/local" --system-config="$D/system" \
		--insecure-options=image run --net=none "$F/inside.aci" -- \
		tiocsti
	expect_output tiocsti=no
}

@test "handlers get no more than the app" {
	image_inside "$D/h.aci" '.app.eventHandlers=[
		{name:"pre-start",exec:["/inside","print-caps","and",
			"print-fds","and","try","mount","unshare-user","and",
			"hunt","1"]}]'
	run_inside "$D/h.aci" --caps-retain=CAP_KILL -- exit-code 0
	expect_status 0
	expect_value capbnd 0000000000000020
	expect_value capeff 0000000000000020
	expect_value capinh 0000000000000000
	expect_value seccomp 2
	expect_value hunt clean
	expect_no_output 'try.mount=ok' 'try.unshare-user=ok' "$D"
	[ "$(grep -c 'fd\.[0-9]*=' <<<"$output")" -le 3 ] || fail "$output"
}

@test "handlers begin when pod init has no rights left" {
	image_inside "$D/h.aci" '.app.eventHandlers=[
		{name:"pre-start",exec:["/inside","hunt","1"]}]'
	# Long enough for the handler to look, if nobody waits.
	run strace -f -qq -o /dev/null -e trace=sethostname \
		-e inject=sethostname:delay_enter=400000 \
		"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		--debug "$D/h.aci" --caps-retain=CAP_KILL -- exit-code 0
	expect_status 0
	expect_value hunt clean
}

# Its handlers run while others of the pod stand one call before execve, with
# rights no app has.
@test "a handler with CAP_SYS_PTRACE meets no process that has not executed" {
	for when in pre-start post-stop; do
		image_inside "$D/$when.aci" '.app.eventHandlers=[
			{name:"'$when'",exec:["/inside","hunt-unexecuted","1"]}]' \
			example.com/$when
	done
	image_inside "$D/plain.aci" '.app.eventHandlers=[
		{name:"pre-start",exec:["/inside","sleep","0.1"]}]' \
		example.com/plain
	run_inside "$F/inside.aci" -- sleep 0.2 --- \
		"$D/pre-start.aci" --caps-retain=CAP_SYS_PTRACE -- echo a --- \
		"$D/plain.aci" -- sleep 0.2 --- \
		"$D/pre-start.aci" --name=second \
		--caps-retain=CAP_SYS_PTRACE -- echo b
	expect_status 0
	[ "$(grep -c hunt.unexecuted=none <<<"$output")" = 2 ] || fail "$output"
	expect_no_output seized
	grep -q ' a$' <<<"$output"
	grep -q ' b$' <<<"$output"
}

@test "a tracing post-stop and an app that waits at its barrier" {
	image_inside "$D/tracer.aci" '.app.eventHandlers=[
		{name:"post-stop",exec:["/inside","hunt-unexecuted","2"]}]' \
		example.com/tracer
	for v in 1 2; do
		image_inside "$D/$v.aci" . example.com/inside $v.0.0
	done
	# The old one takes its time to stop: the new one stands and waits.
	detach_inside --net=none "$D/1.aci" -- ignore-term and sleep 60 --- \
		"$D/tracer.aci" --caps-retain=CAP_SYS_PTRACE -- signals 60
	wait_for 10 pod_logged "$uuid" inside ready=1
	wait_for 10 pod_logged "$uuid" tracer ready=1
	pod=$D/data/pods/run/$uuid
	"$RKT" --dir="$D/data" --insecure-options=image update --app=inside \
		--observe=100ms --drain-timeout=2s --image="$D/2.aci" "$uuid" \
		>"$D/update" 2>&1 &
	wait_for 10 grep -q STAGED "$D/update"
	kill "$(cat "$pod/generations/tracer/1/pid")"
	wait $! || fail "$(cat "$D/update")"
	wait_for 10 pod_logged "$uuid" tracer hunt.unexecuted=none
	run pod_log "$uuid" tracer
	expect_no_output seized
}

@test "a tracing app and others that take long to execute" {
	local slow=() i
	for i in 1 2 3 4 5 6; do
		slow+=("$F/inside.aci" "--name=slow$i" --cpu=10m -- sleep 60 ---)
	done
	image_inside "$D/tracer.aci" . example.com/tracer
	for i in 1 2 3; do
		detach_inside --net=none "${slow[@]}" "$D/tracer.aci" \
			--caps-retain=CAP_SYS_PTRACE -- hunt-unexecuted 1
		wait_for 10 pod_logged "$uuid" tracer "hunt.unexecuted=.*"
		run pod_log "$uuid" tracer
		expect_output hunt.unexecuted=none
		expect_no_output seized
		rkt stop --force "$uuid"
	done
}

@test "an app with a tracing pre-start is stopped while others wait for it" {
	image_inside "$D/slow.aci" '.app.eventHandlers=[
		{name:"pre-start",exec:["/inside","sleep","60"]}]' \
		example.com/slow
	"$RKT" --dir="$D/data" --insecure-options=image run --net=none \
		--uuid-file-save="$D/uuid" "$F/inside.aci" -- sleep 60 --- \
		"$D/slow.aci" --caps-retain=CAP_SYS_PTRACE -- sleep 60 \
		>"$D/out" 2>&1 &
	wait_for 10 test -s "$D/uuid"
	sleep 0.3
	kill "$!"
	wait $! || true
	pod_is "$(cat "$D/uuid")" exited || fail "$(cat "$D/out")"
}

# Two apps share the pid namespace: by default the one may neither trace nor
# read the other when they are different users.
@test "an app without CAP_SYS_PTRACE does not read another app" {
	image_inside "$D/other.aci" . example.com/other
	run_inside "$F/inside.aci" --user=500 --group=500 -- hunt 2 --- \
		"$D/other.aci" --user=501 --group=501 -- sleep 1
	expect_status 0
	expect_value hunt clean
}
