/* SPDX-License-Identifier: Apache-2.0 */
/* What a contained app must not get through. */
#include "tests/inside/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct attempt {
	const char *name;
	long nr;
	long args[6];
};

#define P(s) ((long)(s))

/* Calls a contained app must not get through; arguments are harmless if it
 * does. */
static const struct attempt attempts[] = {
	{"mount", SYS_mount, {P("none"), P("/tmp"), P("tmpfs")}},
	{"umount", SYS_umount2, {P("/proc"), MNT_DETACH}},
	{"pivot_root", SYS_pivot_root, {P("/tmp"), P("/tmp")}},
	{"unshare-user", SYS_unshare, {CLONE_NEWUSER}},
	{"unshare-mount", SYS_unshare, {CLONE_NEWNS}},
	{"unshare-cgroup", SYS_unshare, {CLONE_NEWCGROUP}},
	{"setns", SYS_setns, {0, 0}},
	{"reboot", SYS_reboot, {0xfee1dead, 672274793, 0}},
	{"kexec_load", SYS_kexec_load, {0, 0, 0, 0}},
	{"init_module", SYS_init_module, {0, 0, P("")}},
	{"delete_module", SYS_delete_module, {P("inside"), 0}},
	{"swapon", SYS_swapon, {P("/inside-swap"), 0}},
	{"acct", SYS_acct, {0}},
	{"bpf", SYS_bpf, {0, 0, 0}},
	{"perf_event_open", SYS_perf_event_open, {0, 0, -1, -1, 0}},
	{"keyctl", SYS_keyctl, {0, -3, 0}},
	{"add_key", SYS_add_key, {P("user"), P("k"), P("v"), 1, -3}},
	{"sethostname", SYS_sethostname, {P("escaped"), 7}},
	{"setdomainname", SYS_setdomainname, {P("escaped"), 7}},
	{"iopl", SYS_iopl, {3}},
	{"ioperm", SYS_ioperm, {0x80, 1, 1}},
	{"open_by_handle_at", SYS_open_by_handle_at, {-1, P(""), 0}},
	{"ptrace-1", SYS_ptrace, {PTRACE_ATTACH, 1, 0, 0}},
	{"chroot", SYS_chroot, {P("/")}},
	{"chmod", SYS_chmod, {P("/inside-missing"), 0600}},
	{"clone3", SYS_clone3, {0, 0}},
	{"userfaultfd", SYS_userfaultfd, {0}},
	{"io_uring_setup", SYS_io_uring_setup, {1, 0}},
	{"fsopen", SYS_fsopen, {P("tmpfs"), 0}},
	{"open_tree", SYS_open_tree, {AT_FDCWD, P("/"), 1}},
	{"move_mount", SYS_move_mount, {-1, P(""), -1, P(""), 0}},
	{"syslog", SYS_syslog, {10, 0, 0}},
	{"settimeofday", SYS_settimeofday, {0, 0}},
	{"clock_settime", SYS_clock_settime, {99, 0}},
	{"newest", 9999, {0}},
};

static long attempt_call(const struct attempt *a)
{
	return syscall(a->nr, a->args[0], a->args[1], a->args[2], a->args[3],
		       a->args[4], a->args[5]);
}

/* Each attempt in a child, since a filter may kill: try.NAME=ok|ENAME|SIG. */
static void try_one(const struct attempt *a)
{
	int status;

	fflush(stdout);
	pid_t pid = fork();
	if (!pid)
		_exit(attempt_call(a) < 0 ? errno : 0);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("try.%s=SIG%s\n", a->name,
		       sigabbrev_np(WTERMSIG(status)));
	else
		printf("try.%s=%s\n", a->name,
		       WEXITSTATUS(status)
			       ? strerrorname_np(WEXITSTATUS(status))
			       : "ok");
}

/* On the host the attempts would succeed, and hurt. */
static void refuse_on_host(void)
{
	char ns[64] = "";

	if (readlink("/proc/self/ns/pid", ns, sizeof(ns) - 1) > 0 &&
	    strcmp(ns, "pid:[4026531836]"))
		return;
	fputs("inside: not on the host\n", stderr);
	exit(97);
}

static void cmd_try(char **args)
{
	refuse_on_host();
	for (size_t i = 0; i < N_ELEMENTS(attempts); i++) {
		bool wanted = !*args;

		for (char **a = args; *a; a++)
			wanted |= !strcmp(*a, attempts[i].name);
		if (wanted)
			try_one(&attempts[i]);
	}
}

/* syscall NUMBER [ARG...]: by number, in a child as above. */
static void cmd_syscall(char **args)
{
	struct attempt a = {.name = args[0], .nr = number(args[0])};

	for (int i = 0; i < 6 && args[1 + i]; i++)
		a.args[i] = number(args[1 + i]);
	try_one(&a);
}

const struct command attempt_commands[] = {
	{"syscall", 1, cmd_syscall},
	{"try", 0, cmd_try},
	{0},
};
