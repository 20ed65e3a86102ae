#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Capabilities, system call filter, no_new_privs, resource limits.

load lib

# AUDIT_WRITE CHOWN DAC_OVERRIDE FSETID FOWNER KILL MKNOD NET_RAW
# NET_BIND_SERVICE SETUID SETGID SETPCAP SETFCAP SYS_CHROOT
DEFAULT_CAPS=00000000a80425fb

setup_file() {
	mkdir -p "$F"
	image_inside "$F/inside.aci"
}

# isolator NAME VALUE: jq that gives the image one isolator.
isolator() {
	echo ".app.isolators=[{name:\"$1\",value:$2}]"
}

@test "root gets the 14 default capabilities, none inheritable" {
	run_inside "$F/inside.aci" -- print-caps
	expect_status 0
	expect_value capbnd $DEFAULT_CAPS
	expect_value capprm $DEFAULT_CAPS
	expect_value capeff $DEFAULT_CAPS
	expect_value capinh 0000000000000000
	expect_value capamb 0000000000000000
}

@test "another user gets none, the bounding set stays" {
	run_inside "$F/inside.aci" --user=200 --group=300 -- print-caps
	expect_status 0
	expect_value capbnd $DEFAULT_CAPS
	expect_value capprm 0000000000000000
	expect_value capeff 0000000000000000
	expect_value capinh 0000000000000000
	expect_value capamb 0000000000000000
}

@test "--caps-retain is exactly that set, --caps-remove the default less it" {
	run_inside "$F/inside.aci" --caps-retain=CAP_KILL,CAP_NET_ADMIN -- \
		print-caps
	expect_status 0
	expect_value capbnd 0000000000001020
	run_inside "$F/inside.aci" --caps-remove=CAP_CHOWN,CAP_MKNOD -- \
		print-caps
	expect_status 0
	expect_value capbnd 00000000a00425fa
	run_inside "$F/inside.aci" --caps-retain=CAP_KILL \
		--caps-remove=CAP_CHOWN -- print-caps
	expect_status 254
	run_inside "$F/inside.aci" --caps-retain=CAP_NONSENSE -- print-caps
	expect_status 254
}

@test "capability isolators of the image, replaced by the flag" {
	image_inside "$D/i.aci" "$(isolator os/linux/capabilities-retain-set \
		'{set:["CAP_KILL"]}')"
	run_inside "$D/i.aci" -- print-caps
	expect_value capbnd 0000000000000020
	run_inside "$D/i.aci" --caps-retain=CAP_CHOWN -- print-caps
	expect_value capbnd 0000000000000001
	image_inside "$D/i.aci" "$(isolator os/linux/capabilities-remove-set \
		'{set:["CAP_KILL"]}')"
	run_inside "$D/i.aci" -- print-caps
	expect_value capbnd 00000000a80425db
}

@test "--insecure-options=capabilities keeps all the host has" {
	run --separate-stderr "$RKT" --dir="$D/data" \
		--insecure-options=image,capabilities run --net=none \
		"$F/inside.aci" -- print-caps
	expect_status 0
	expect_value capbnd "$(awk '/^CapBnd/ { print $2 }' /proc/self/status)"
}

@test "a capability the host lacks is named, the others are given" {
	host_has sys-resource && skip "needs no-sys-resource: root may do all"
	run_inside "$F/inside.aci" --caps-retain=CAP_SYS_RESOURCE,CAP_KILL -- \
		print-caps
	expect_status 0
	expect_value capeff 0000000000000020
	# shellcheck disable=SC2154 # set by run --separate-stderr
	case $stderr in
	*"the host does not have CAP_SYS_RESOURCE"*) ;;
	*) fail "stderr: $stderr" ;;
	esac
}

@test "default filter: dangerous calls fail, unknown ones are unknown" {
	run_inside "$F/inside.aci" -- print-caps and try
	expect_status 0
	expect_value seccomp 2
	for call in mount umount pivot_root unshare-user unshare-mount setns \
		reboot kexec_load init_module delete_module swapon acct bpf \
		perf_event_open keyctl add_key sethostname setdomainname \
		ptrace-1 open_by_handle_at userfaultfd settimeofday; do
		case $(value try.$call) in
		EPERM | ENOSYS) ;;
		*) fail "$call: $(value try.$call)" ;;
		esac
	done
	expect_value try.clone3 ENOSYS
	expect_value try.newest ENOSYS
	expect_value try.chmod ENOENT
}

@test "--seccomp mode=remove with errno" {
	run_inside "$F/inside.aci" \
		--seccomp=mode=remove,errno=EACCES,chmod,fchmodat -- try chmod
	expect_status 0
	expect_value try.chmod EACCES
}

@test "--seccomp without errno kills with SIGSYS" {
	run_inside "$F/inside.aci" --seccomp=mode=remove,chmod -- try chmod
	expect_status 0
	expect_value try.chmod SIGSYS
}

@test "--seccomp mode=retain with a set" {
	run_inside "$F/inside.aci" \
		--seccomp=mode=retain,errno=EACCES,@docker/default-whitelist -- \
		try chmod keyctl
	expect_status 0
	expect_value try.chmod ENOENT
	expect_value try.keyctl EACCES
	run_inside "$F/inside.aci" --seccomp=mode=retain,@appc.io/all -- \
		try keyctl
	expect_status 0
	[ "$(value try.keyctl)" != SIGSYS ]
}

@test "--seccomp with a set nobody knows is an error" {
	run_inside "$F/inside.aci" --seccomp=mode=remove,@nobody/knows -- try
	expect_status 254
	case $stderr in *@nobody/knows*) ;; *) fail "$stderr" ;; esac
}

@test "seccomp isolators of the image; two are too many" {
	image_inside "$D/i.aci" "$(isolator os/linux/seccomp-remove-set \
		'{set:["chmod"],errno:"EXDEV"}')"
	run_inside "$D/i.aci" -- try chmod
	expect_value try.chmod EXDEV
	run image_inside "$D/two.aci" '.app.isolators=[
		{name:"os/linux/seccomp-remove-set",value:{set:["chmod"]}},
		{name:"os/linux/seccomp-retain-set",value:{set:["@appc.io/all"]}}]'
	[ "$status" != 0 ]
	expect_output "exclude each other"
}

@test "--insecure-options=seccomp filters nothing" {
	run --separate-stderr "$RKT" --dir="$D/data" \
		--insecure-options=image,seccomp run --net=none \
		"$F/inside.aci" -- try newest clone3
	expect_status 0
	expect_value try.newest ENOSYS
	[ "$(value try.clone3)" != ENOSYS ]
}

@test "no_new_privs: isolator, and non-root with a filter" {
	run_inside "$F/inside.aci" -- print-caps
	expect_value nonewprivs 0
	image_inside "$D/i.aci" "$(isolator os/linux/no-new-privileges true)"
	run_inside "$D/i.aci" -- print-caps
	expect_value nonewprivs 1
	run_inside "$F/inside.aci" --user=200 --group=300 -- print-caps
	expect_value nonewprivs 1
	run_inside "$F/inside.aci" --user=200 --group=300 \
		--seccomp=mode=retain,@appc.io/all -- print-caps
	expect_value nonewprivs 0
	run --separate-stderr rkt --insecure-options=image,seccomp run --net=none \
		"$F/inside.aci" --user=200 --group=300 -- print-caps
	expect_value nonewprivs 0
	run_inside "$F/inside.aci" --user=200 --group=300 \
		--seccomp=mode=remove,errno=EPERM,chmod -- print-caps
	expect_value nonewprivs 1
}

@test "oom-score-adj: flag and isolator" {
	run_inside "$F/inside.aci" --oom-score-adj=500 -- print-sched
	expect_status 0
	expect_value oom_score_adj 500
	image_inside "$D/i.aci" "$(isolator os/linux/oom-score-adj 300)"
	run_inside "$D/i.aci" -- print-sched
	expect_value oom_score_adj 300
}

@test "an isolator the host refuses is named on stderr and in status" {
	host_has sys-resource && skip "needs no-sys-resource: root may do all"
	run_inside --uuid-file-save="$D/uuid" "$F/inside.aci" \
		--oom-score-adj=-500 -- print-sched
	expect_status 0
	case $stderr in *oom-score-adj*) ;; *) fail "stderr: $stderr" ;; esac
	run rkt status "$(cat "$D/uuid")"
	expect_output oom-score-adj
}

@test "--memory: an app beyond its limit is killed" {
	skip_without memory-limit
	run_inside "$F/inside.aci" --memory=42Mi -- oom 16
	expect_status 0
	expect_value oom survived
	run_inside "$F/inside.aci" --memory=42Mi -- oom 200
	expect_status 137
	expect_output allocated_mib=
	expect_no_output oom=survived
	run_inside "$F/inside.aci" --memory=100 -- oom 1
	expect_status 254
}

@test "the memory isolator of the image" {
	skip_without memory-limit
	image_inside "$D/i.aci" "$(isolator resource/memory \
		'{limit:"42Mi"}')"
	run_inside "$D/i.aci" -- oom 200
	expect_status 137
}

@test "--cpu: an app gets that share of a cpu" {
	skip_without cpu-limit
	run_inside "$F/inside.aci" --cpu=300m -- burn 3
	expect_status 0
	percent=$(value burn_percent)
	[ "$percent" -le 45 ] || fail "$percent % of a cpu at a limit of 30 %"
}

@test "--cpu-shares reaches the cgroup" {
	skip_without cpu-limit
	detach_inside --net=none "$F/inside.aci" --cpu-shares=512 -- sleep 60
	found=0
	while read -r dir; do
		for f in "$dir"/cpu.shares "$dir"/*/cpu.shares \
			"$dir"/*/*/cpu.shares; do
			[ ! -r "$f" ] || [ "$(cat "$f")" != 512 ] || found=1
		done
		for f in "$dir"/cpu.weight "$dir"/*/cpu.weight \
			"$dir"/*/*/cpu.weight; do
			[ ! -r "$f" ] || [ "$(cat "$f")" = 100 ] || found=1
		done
	done <"$D/data/pods/run/$uuid/cgroup"
	[ $found = 1 ]
}
