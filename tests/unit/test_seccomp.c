/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/seccomp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"
#include "spec/seccomp_sets.h"
#include "stage1/seccomp_compile.h"

#define X64 AUDIT_ARCH_X86_64
#define X86 AUDIT_ARCH_I386
#define ALLOW SECCOMP_RET_ALLOW
#define NOTIFY SECCOMP_RET_USER_NOTIF
#define KILL SECCOMP_RET_KILL_PROCESS
#define ERR(e) (SECCOMP_RET_ERRNO | (e))
#define CAP(c) (UINT64_C(1) << CAP_##c)

/* What the kernel's interpreter does with the instructions a filter has. */
static uint32_t run(const struct sock_fprog *prog, uint32_t arch, long nr,
		    uint64_t arg0)
{
	struct seccomp_data data = {
		.nr = (int)nr,
		.arch = arch,
		.args = {arg0},
	};
	uint32_t a = 0;

	for (size_t pc = 0; pc < prog->len; pc++) {
		const struct sock_filter *i = &prog->filter[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			cr_assert_leq(i->k, sizeof(data) - 4);
			memcpy(&a, (char *)&data + i->k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			cr_assert_fail("instruction %#x", i->code);
		}
	}
	cr_assert_fail("ran off the end");
	return 0;
}

static long number(uint32_t arch, const char *name)
{
	int nr = seccomp_modern_number(name);

	if (nr < 0)
		nr = seccomp_syscall_resolve_name_rewrite(arch, name);
	cr_assert_geq(nr, 0, "%s on %#x", name, arch);
	return nr;
}

static void compile(enum seccomp_policy policy, const char *names,
		    const char *errno_name, uint64_t caps,
		    struct sock_fprog *ret)
{
	struct strv set cleanup_strv = STRV_INIT;
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct error err = ERROR_INIT;
	struct seccomp_request req = {
		.policy = policy,
		.errno_name = errno_name,
		.caps = caps,
		.notify_bind = true,
	};

	if (names) {
		strv_split(&set, names, ' ');
		req.set = &set;
	}
	cr_assert_eq(seccomp_plan_make(&req, &plan, &err), 0, "%s", err.msg);
	cr_assert_eq(seccomp_compile(&plan, ret, &err), 0, "%s", err.msg);
}

struct verdict {
	uint32_t arch;
	const char *name;
	uint64_t arg0;
	uint32_t want;
};

static void expect(const struct sock_fprog *prog, const struct verdict *rows,
		   size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t got =
			run(prog, rows[i].arch,
			    number(rows[i].arch, rows[i].name), rows[i].arg0);

		cr_expect_eq(got, rows[i].want, "%s: %s(%#lx) on %#x: %#x",
			     what, rows[i].name, (unsigned long)rows[i].arg0,
			     rows[i].arch, got);
	}
}
#define EXPECT(prog, rows, what)                                               \
	expect(prog, rows, sizeof(rows) / sizeof((rows)[0]), what)

Test(seccomp, rows_are_sorted_and_known)
{
	for (size_t i = 0; i < seccomp_n_rows; i++) {
		const char *name = seccomp_rows[i].name;

		if (i > 0)
			cr_expect_lt(strcmp(seccomp_rows[i - 1].name, name), 0,
				     "%s", name);
		cr_expect_eq(seccomp_row_find(name), &seccomp_rows[i], "%s",
			     name);
		/* A typing error would be a hole or a ban nobody sees. */
		if (strcmp(name, "uretprobe") != 0 &&
		    strcmp(name, "riscv_hwprobe") != 0)
			cr_expect(seccomp_modern_number(name) >= 0 ||
					  seccomp_syscall_resolve_name(name) !=
						  __NR_SCMP_ERROR,
				  "%s", name);
	}
}

Test(seccomp, default_profile)
{
	static const struct verdict rows[] = {
		{X64, "read", 0, ALLOW},
		{X64, "rseq", 0, ALLOW},
		{X64, "statx", 0, ALLOW},
		{X64, "faccessat2", 0, ALLOW},
		{X64, "close_range", 0, ALLOW},
		{X64, "futex_wait", 0, ALLOW},
		{X64, "mseal", 0, ALLOW},
		{X64, "file_setattr", 0, ALLOW},
		{X64, "mount", 0, ERR(EPERM)},
		{X64, "umount2", 0, ERR(EPERM)},
		{X64, "reboot", 0, ERR(EPERM)},
		{X64, "bpf", 0, ERR(EPERM)},
		{X64, "keyctl", 0, ERR(EPERM)},
		{X64, "setns", 0, ERR(EPERM)},
		{X64, "chroot", 0, ERR(EPERM)},
		{X64, "pidfd_getfd", 0, ERR(EPERM)},
		{X64, "kexec_load", 0, ERR(EPERM)},
		{X64, "userfaultfd", 0, ERR(EPERM)},
		{X64, "io_uring_setup", 0, ERR(EPERM)},
		{X64, "io_uring_enter", 0, ERR(EPERM)},
		{X64, "open_by_handle_at", 0, ERR(EPERM)},
		{X64, "clone3", 0, ERR(ENOSYS)},
		{X64, "open_tree_attr", 0, ERR(ENOSYS)},
		{X64, "clone", SIGCHLD, ALLOW},
		{X64, "clone", CLONE_VM | CLONE_THREAD, ALLOW},
		{X64, "clone", CLONE_NEWUSER | SIGCHLD, ERR(EPERM)},
		{X64, "clone", CLONE_NEWCGROUP, ERR(EPERM)},
		{X64, "clone", CLONE_NEWNET | CLONE_NEWNS, ERR(EPERM)},
		{X64, "unshare", CLONE_FS, ALLOW},
		{X64, "unshare", CLONE_NEWUSER, ERR(EPERM)},
		{X64, "unshare", 0x80, ERR(EPERM)},
		{X64, "personality", 0xffffffff, ALLOW},
		{X64, "personality", 0, ALLOW},
		{X64, "personality", 0x0040000, ERR(EPERM)},
		{X64, "socket", AF_INET, ALLOW},
		{X64, "socket", AF_VSOCK, ERR(EPERM)},
		{X64, "bind", 3, NOTIFY},
		{X64, "bind", UINT64_MAX, NOTIFY},
		{X86, "read", 0, ALLOW},
		{X86, "mount", 0, ERR(EPERM)},
		{X86, "socketcall", 1, ALLOW},
		{X86, "socketcall", 2, NOTIFY},
		{X86, "socketcall", 3, ALLOW},
		{X86, "ipc", 21, ALLOW},
		{X86, "mseal", 0, ALLOW},
		{X86, "clone", CLONE_NEWUSER, ERR(EPERM)},
		{X86, "clone", SIGCHLD, ALLOW},
	};
	struct sock_fprog prog cleanup_seccomp_program = {0};

	compile(SECCOMP_POLICY_DEFAULT, NULL, NULL, 0, &prog);
	EXPECT(&prog, rows, "default");
	cr_expect_eq(run(&prog, X64, 9999, 0), ERR(ENOSYS));
	cr_expect_eq(run(&prog, X64, 470, 0), ERR(ENOSYS));
	cr_expect_eq(run(&prog, X86, 9999, 0), ERR(ENOSYS));
	cr_expect_eq(run(&prog, X86, 361, 3), NOTIFY, "i386 bind");
	cr_expect_eq(run(&prog, X86, 359, AF_INET), ALLOW, "i386 socket");
	cr_expect_eq(run(&prog, X86, 359, AF_VSOCK), ERR(EPERM));
	cr_expect_eq(run(&prog, X64, 0x40000000 | 49, 0), ERR(ENOSYS), "x32");
	cr_expect_eq(run(&prog, AUDIT_ARCH_AARCH64, 63, 0), ERR(ENOSYS));
	cr_expect_lt(prog.len, 400, "%u instructions", prog.len);
}

Test(seccomp, capabilities_lift_bans)
{
	static const struct {
		uint64_t caps;
		const char *name;
		uint64_t arg0;
	} rows[] = {
		{CAP(SYS_ADMIN), "mount", 0},
		{CAP(SYS_ADMIN), "bpf", 0},
		{CAP(SYS_ADMIN), "setns", 0},
		{CAP(SYS_ADMIN), "open_tree_attr", 0},
		{CAP(SYS_ADMIN), "clone", CLONE_NEWUSER},
		{CAP(SYS_ADMIN), "clone3", 0},
		{CAP(SYS_ADMIN), "unshare", CLONE_NEWNET},
		{CAP(BPF), "bpf", 0},
		{CAP(SYS_PTRACE), "pidfd_getfd", 0},
		{CAP(SYS_PTRACE), "kcmp", 0},
		{CAP(SYS_CHROOT), "chroot", 0},
		{CAP(SYS_BOOT), "reboot", 0},
		{CAP(SYS_MODULE), "init_module", 0},
		{CAP(SYS_TIME), "clock_settime", 0},
		{CAP(SYS_NICE), "mbind", 0},
		{CAP(SYSLOG), "syslog", 0},
		{CAP(DAC_READ_SEARCH), "open_by_handle_at", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sock_fprog with cleanup_seccomp_program = {0};
		struct sock_fprog without cleanup_seccomp_program = {0};
		struct sock_fprog removed cleanup_seccomp_program = {0};
		long nr = number(X64, rows[i].name);

		compile(SECCOMP_POLICY_DEFAULT, NULL, NULL, rows[i].caps,
			&with);
		compile(SECCOMP_POLICY_DEFAULT, NULL, NULL, ~rows[i].caps,
			&without);
		compile(SECCOMP_POLICY_REMOVE, "getpid", NULL, rows[i].caps,
			&removed);
		cr_expect_eq(run(&with, X64, nr, rows[i].arg0), ALLOW, "%s",
			     rows[i].name);
		cr_expect_eq(run(&removed, X64, nr, rows[i].arg0), ALLOW,
			     "remove: %s", rows[i].name);
		/* bpf and syslog have two. */
		if (strcmp(rows[i].name, "bpf") != 0 &&
		    strcmp(rows[i].name, "syslog") != 0)
			cr_expect_neq(run(&without, X64, nr, rows[i].arg0),
				      ALLOW, "%s", rows[i].name);
	}
}

Test(seccomp, retain)
{
	static const struct verdict kill_rows[] = {
		{X64, "read", 0, ALLOW},
		{X64, "execve", 0, ALLOW},
		{X64, "exit_group", 0, ALLOW},
		{X64, "rt_sigreturn", 0, ALLOW},
		{X64, "clone", CLONE_NEWUSER, ALLOW},
		{X64, "write", 0, KILL},
		{X64, "clone3", 0, KILL},
		{X64, "mseal", 0, KILL},
		{X64, "bind", 3, KILL},
		{X64, "bind", 0xffffffff, NOTIFY},
		{X64, "bind", UINT64_MAX, NOTIFY},
		{X86, "read", 0, ALLOW},
		{X86, "socketcall", 1, KILL},
		{X86, "socketcall", 2, KILL},
	};
	static const struct verdict errno_rows[] = {
		{X64, "write", 0, ERR(ENOTSUP)},
		{X64, "socket", AF_VSOCK, ALLOW},
		{X64, "bind", 3, NOTIFY},
		{X86, "socketcall", 1, ALLOW},
		{X86, "socketcall", 2, NOTIFY},
		{X86, "socketcall", 3, ERR(ENOTSUP)},
	};
	static const struct verdict mux_rows[] = {
		{X64, "bind", 3, KILL},
		{X86, "socketcall", 1, ALLOW},
		/* bind is not retained under its other name either. */
		{X86, "socketcall", 2, KILL},
		{X86, "socketcall", 4, ALLOW},
	};
	struct sock_fprog kills cleanup_seccomp_program = {0};
	struct sock_fprog errnos cleanup_seccomp_program = {0};
	struct sock_fprog mux cleanup_seccomp_program = {0};

	compile(SECCOMP_POLICY_RETAIN, "read clone", NULL, CAP(SYS_ADMIN),
		&kills);
	EXPECT(&kills, kill_rows, "retain read clone");
	cr_expect_eq(run(&kills, X64, 9999, 0), KILL);
	compile(SECCOMP_POLICY_RETAIN, "socket bind", "ENOTSUP", 0, &errnos);
	EXPECT(&errnos, errno_rows, "retain socket bind");
	compile(SECCOMP_POLICY_RETAIN, "socketcall", NULL, 0, &mux);
	EXPECT(&mux, mux_rows, "retain socketcall");
}

Test(seccomp, retain_whitelists)
{
	static const struct verdict rows[] = {
		{X64, "read", 0, ALLOW},
		{X64, "rseq", 0, ALLOW},
		{X64, "chroot", 0, ALLOW},
		{X64, "syslog", 0, ALLOW},
		{X64, "statx", 0, ALLOW},
		{X64, "clone3", 0, ERR(ENOSYS)},
		{X64, "clone", SIGCHLD, ALLOW},
		{X64, "clone", CLONE_NEWUSER, KILL},
		{X64, "mount", 0, KILL},
		{X64, "lsm_list_modules", 0, ERR(ENOSYS)},
		{X64, "bind", 3, NOTIFY},
		{X64, "io_uring_setup", 0, KILL},
	};
	static const char *const sets[] = {"@docker/default-whitelist",
					   "@rkt/default-whitelist"};
	struct sock_fprog both cleanup_seccomp_program = {0};

	for (size_t i = 0; i < 2; i++) {
		struct sock_fprog prog cleanup_seccomp_program = {0};

		compile(SECCOMP_POLICY_RETAIN, sets[i], NULL, 0, &prog);
		EXPECT(&prog, rows, sets[i]);
		cr_expect_eq(run(&prog, X64, 9999, 0), ERR(ENOSYS));
	}
	compile(SECCOMP_POLICY_RETAIN, "clone3 @rkt/default-whitelist mount",
		NULL, 0, &both);
	cr_expect_eq(run(&both, X64, 435, 0), ALLOW, "clone3 by name");
	cr_expect_eq(run(&both, X64, 165, 0), ALLOW, "mount by name");
}

Test(seccomp, remove)
{
	static const struct verdict rows[] = {
		{X64, "getpid", 0, ERR(ENOENT)},
		{X64, "socket", AF_INET, ERR(ENOENT)},
		{X64, "execve", 0, ALLOW},
		{X64, "mount", 0, ERR(EPERM)},
		{X64, "io_uring_setup", 0, ERR(EPERM)},
		{X64, "clone3", 0, ERR(ENOSYS)},
		{X64, "clone", SIGCHLD, ALLOW},
		{X64, "clone", CLONE_NEWNS | SIGCHLD, ERR(EPERM)},
		{X64, "unshare", CLONE_FILES, ALLOW},
		{X64, "unshare", CLONE_NEWNET, ERR(EPERM)},
		{X64, "mseal", 0, ALLOW},
		{X64, "sethostname", 0, ALLOW},
		{X64, "bind", 3, NOTIFY},
		{X86, "socketcall", 1, ERR(ENOENT)},
		{X86, "socketcall", 2, NOTIFY},
		{X86, "socketcall", 3, ALLOW},
	};
	static const struct verdict no_bind[] = {
		{X64, "bind", 3, KILL},
		{X64, "bind", UINT64_MAX, NOTIFY},
		{X86, "socketcall", 2, KILL},
		{X86, "socketcall", 3, ALLOW},
	};
	static const struct verdict empty[] = {
		{X64, "mount", 0, ERR(EPERM)},
		{X64, "sethostname", 0, ERR(EPERM)},
		{X64, "chmod", 0, KILL},
		{X64, "read", 0, ALLOW},
	};
	struct sock_fprog prog cleanup_seccomp_program = {0};
	struct sock_fprog bind_prog cleanup_seccomp_program = {0};
	struct sock_fprog empty_prog cleanup_seccomp_program = {0};

	compile(SECCOMP_POLICY_REMOVE, "getpid socket execve", "ENOENT", 0,
		&prog);
	EXPECT(&prog, rows, "remove");
	cr_expect_eq(run(&prog, X64, 9999, 0), ERR(ENOSYS));
	compile(SECCOMP_POLICY_REMOVE, "bind", NULL, 0, &bind_prog);
	EXPECT(&bind_prog, no_bind, "remove bind");
	cr_expect_eq(run(&bind_prog, X86, 361, 3), KILL);
	compile(SECCOMP_POLICY_REMOVE, "@appc.io/empty chmod", NULL, 0,
		&empty_prog);
	EXPECT(&empty_prog, empty, "remove @appc.io/empty");
}

Test(seccomp, everything_allowed)
{
	struct sock_fprog all cleanup_seccomp_program = {0};
	struct sock_fprog off cleanup_seccomp_program = {0};
	struct sock_fprog none cleanup_seccomp_program = {0};
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct seccomp_request req = {.policy = SECCOMP_POLICY_OFF};

	compile(SECCOMP_POLICY_RETAIN, "@appc.io/all", NULL, 0, &all);
	compile(SECCOMP_POLICY_OFF, NULL, NULL, 0, &off);
	for (long nr = 0; nr < 1000; nr++) {
		uint32_t want = nr == 49 ? NOTIFY : ALLOW;

		cr_expect_eq(run(&all, X64, nr, 0), want, "%ld", nr);
		cr_expect_eq(run(&off, X64, nr, 0), want, "%ld", nr);
	}
	cr_expect_eq(run(&off, X86, 102, 2), NOTIFY);
	cr_expect_eq(run(&off, X86, 102, 1), ALLOW);
	cr_expect_eq(run(&off, X86, 361, 1), NOTIFY);
	cr_expect_eq(run(&off, X64, 0x40000000 | 49, 0), ERR(ENOSYS), "x32");
	/* `enter` under the same switch: nothing to install. */
	cr_expect_eq(seccomp_plan_make(&req, &plan, NULL), 0);
	cr_expect_eq(seccomp_compile(&plan, &none, NULL), 0);
	cr_expect_eq(none.len, 0);
	cr_expect_eq(seccomp_install(&none, false), 0);
}

Test(seccomp, without_notification)
{
	struct sock_fprog prog cleanup_seccomp_program = {0};
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct seccomp_request req = {.policy = SECCOMP_POLICY_DEFAULT};

	cr_assert_eq(seccomp_plan_make(&req, &plan, NULL), 0);
	cr_assert_eq(seccomp_compile(&plan, &prog, NULL), 0);
	cr_expect_eq(run(&prog, X64, 49, 3), ALLOW);
	cr_expect_eq(run(&prog, X86, 102, 2), ALLOW);
	for (size_t i = 0; i < prog.len; i++)
		cr_expect_neq(prog.filter[i].k, NOTIFY);
}

Test(seccomp, wildcards)
{
	static const struct {
		const char *set;
		const char *in;
		const char *out;
	} rows[] = {
		{"@docker/default-blacklist", "mount", "read"},
		{"@rkt/default-blacklist", "keyctl", "read"},
		{"@systemd/clock", "settimeofday", "read"},
		{"@systemd/default-whitelist", "brk", "read"},
		{"@systemd/mount", "mount", "read"},
		{"@systemd/network-io", "accept", "read"},
		{"@systemd/obsolete", "uselib", "read"},
		{"@systemd/privileged", "chown", "read"},
		{"@systemd/process", "setns", "read"},
		{"@systemd/raw-io", "iopl", "read"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sock_fprog retain cleanup_seccomp_program = {0};
		struct sock_fprog removed cleanup_seccomp_program = {0};
		long in = number(X64, rows[i].in);
		long out = number(X64, rows[i].out);

		compile(SECCOMP_POLICY_RETAIN, rows[i].set, NULL, 0, &retain);
		cr_expect_eq(run(&retain, X64, in, 0), ALLOW, "%s",
			     rows[i].set);
		cr_expect_eq(run(&retain, X64, out, 0), KILL, "%s",
			     rows[i].set);
		compile(SECCOMP_POLICY_REMOVE, rows[i].set, "EIO", 0, &removed);
		cr_expect_eq(run(&removed, X64, in, 0), ERR(EIO), "%s",
			     rows[i].set);
		cr_expect_eq(run(&removed, X64, out, 0), ALLOW, "%s",
			     rows[i].set);
	}
}

Test(seccomp, refusals)
{
	static const struct {
		const char *names;
		const char *errno_name;
		const char *says;
	} rows[] = {
		{"read", "EBOGUS", "unknown errno EBOGUS"},
		{"read", "eperm", "unknown errno eperm"},
		{"read bogus write nope", NULL, ": bogus, nope"},
		{"@docker/everything", NULL, ": @docker/everything"},
		{"@appc.io/some", NULL, ": @appc.io/some"},
		{"READ", NULL, ": READ"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strv set cleanup_strv = STRV_INIT;
		struct seccomp_plan plan cleanup_seccomp_plan =
			SECCOMP_PLAN_INIT;
		struct error err = ERROR_INIT;
		struct seccomp_request req = {
			.policy = SECCOMP_POLICY_RETAIN,
			.set = &set,
			.errno_name = rows[i].errno_name,
		};

		strv_split(&set, rows[i].names, ' ');
		cr_expect_eq(seccomp_plan_make(&req, &plan, &err), -EINVAL,
			     "%s", rows[i].names);
		cr_expect(strstr(err.msg, rows[i].says), "%s", err.msg);
	}
	/* Another architecture's calls are skipped. */
	{
		struct sock_fprog prog cleanup_seccomp_program = {0};

		compile(SECCOMP_POLICY_RETAIN, "arm_fadvise64_64 swapcontext",
			NULL, 0, &prog);
	}
}

Test(seccomp, notes)
{
	static const struct {
		enum seccomp_policy policy;
		const char *names;
		const char *says;
	} rows[] = {
		{SECCOMP_POLICY_RETAIN, "@appc.io/all", "io_uring"},
		{SECCOMP_POLICY_RETAIN, "io_uring_setup", "io_uring"},
		{SECCOMP_POLICY_RETAIN, "read", NULL},
		{SECCOMP_POLICY_REMOVE, "execve", "execve cannot be removed"},
		{SECCOMP_POLICY_REMOVE, "@systemd/default-whitelist", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strv set cleanup_strv = STRV_INIT;
		struct seccomp_plan plan cleanup_seccomp_plan =
			SECCOMP_PLAN_INIT;
		struct seccomp_request req = {.policy = rows[i].policy,
					      .set = &set};

		strv_split(&set, rows[i].names, ' ');
		cr_assert_eq(seccomp_plan_make(&req, &plan, NULL), 0);
		if (rows[i].says)
			cr_expect(plan.notes.n == 1 &&
					  strstr(plan.notes.v[0], rows[i].says),
				  "%s", rows[i].names);
		else
			cr_expect_eq(plan.notes.n, 0, "%s", rows[i].names);
	}
}

/* Alternating answers make as many ranges as there can be: the far jumps. */
Test(seccomp, many_ranges)
{
	struct strv set cleanup_strv = STRV_INIT;
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct sock_fprog prog cleanup_seccomp_program = {0};
	struct seccomp_request req = {
		.policy = SECCOMP_POLICY_RETAIN,
		.set = &set,
		.errno_name = "EIO",
		.notify_bind = true,
	};

	for (int nr = 0; nr < 450; nr += 2) {
		char *name cleanup_free =
			seccomp_syscall_resolve_num_arch(X64, nr);

		if (name)
			strv_push(&set, name);
	}
	cr_assert_eq(seccomp_plan_make(&req, &plan, NULL), 0);
	cr_assert_eq(seccomp_compile(&plan, &prog, NULL), 0);
	for (int nr = 0; nr < 450; nr++) {
		char *name cleanup_free =
			seccomp_syscall_resolve_num_arch(X64, nr);
		uint32_t want = ERR(EIO);

		if (!name || nr == 59 || nr == 15 || nr == 219 || nr == 231)
			continue;
		if (nr % 2 == 0 || nr == 59)
			want = ALLOW;
		cr_expect_eq(run(&prog, X64, nr, 7), want, "%d %s", nr, name);
	}
}

/* The program libseccomp alone makes of PLAN. */
static void reference(const struct seccomp_plan *plan, struct sock_fprog *ret)
{
	scmp_filter_ctx ctx = seccomp_init(plan->default_action);
	int fd = memfd_create("reference", 0);
	off_t size;

	cr_assert_eq(seccomp_arch_add(ctx, SCMP_ARCH_X86), 0);
	for (size_t i = 0; i < plan->n_rules; i++) {
		const struct seccomp_rule *rule = &plan->rules[i];
		int nr = seccomp_syscall_resolve_name(rule->name);

		/* Every conditional rule has a test of its own. */
		if (nr == __NR_SCMP_ERROR ||
		    rule->match != SECCOMP_MATCH_ALWAYS ||
		    rule->action == plan->default_action)
			continue;
		cr_assert_eq(seccomp_rule_add(ctx, rule->action, nr, 0), 0,
			     "%s", rule->name);
	}
	cr_assert_eq(seccomp_export_bpf(ctx, fd), 0);
	size = lseek(fd, 0, SEEK_END);
	ret->len = (unsigned short)((size_t)size / sizeof(ret->filter[0]));
	ret->filter = malloc((size_t)size);
	cr_assert_eq(pread(fd, ret->filter, (size_t)size, 0), size);
	close(fd);
	seccomp_release(ctx);
}

static bool is_conditional(const struct seccomp_plan *plan, uint32_t arch,
			   int nr)
{
	char *name cleanup_free = seccomp_syscall_resolve_num_arch(arch, nr);

	for (size_t i = 0; name && i < plan->n_rules; i++)
		if (plan->rules[i].match != SECCOMP_MATCH_ALWAYS &&
		    strcmp(plan->rules[i].name, name) == 0)
			return true;
	return false;
}

/* Every number on both architectures: our ranges say what libseccomp says. */
Test(seccomp, agrees_with_libseccomp)
{
	static const struct {
		enum seccomp_policy policy;
		const char *names;
	} rows[] = {
		{SECCOMP_POLICY_DEFAULT, NULL},
		{SECCOMP_POLICY_RETAIN, "@docker/default-whitelist"},
		{SECCOMP_POLICY_RETAIN, "@systemd/process socket semop read"},
		{SECCOMP_POLICY_REMOVE, "@systemd/network-io"},
		{SECCOMP_POLICY_REMOVE, "chmod"},
	};
	static const uint32_t arches[] = {X64, X86};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strv set cleanup_strv = STRV_INIT;
		struct seccomp_plan plan cleanup_seccomp_plan =
			SECCOMP_PLAN_INIT;
		struct sock_fprog ours cleanup_seccomp_program = {0};
		struct sock_fprog theirs cleanup_seccomp_program = {0};
		struct seccomp_request req = {
			.policy = rows[i].policy,
			.set = &set,
			.notify_bind = true,
		};

		if (rows[i].names)
			strv_split(&set, rows[i].names, ' ');
		cr_assert_eq(seccomp_plan_make(&req, &plan, NULL), 0);
		cr_assert_eq(seccomp_compile(&plan, &ours, NULL), 0);
		reference(&plan, &theirs);
		for (int n = 0; n < 2 * SECCOMP_MODERN_FIRST; n++) {
			uint32_t arch = arches[n % 2];
			int nr = n / 2;

			if (is_conditional(&plan, arch, nr))
				continue;
			for (uint64_t arg0 = 1; arg0 < 25; arg0++) {
				/* Sub-calls of the conditional ones. */
				if (arch == X86 && nr == 102 && arg0 < 3)
					continue;
				cr_expect_eq(run(&ours, arch, nr, arg0),
					     run(&theirs, arch, nr, arg0),
					     "row %zu: %d(%d) on %#x", i, nr,
					     (int)arg0, arch);
				if (nr != 102 && nr != 117)
					break;
			}
		}
	}
}

Test(seccomp, errno_names)
{
	cr_expect_eq(seccomp_errno_find("EPERM"), EPERM);
	cr_expect_eq(seccomp_errno_find("EWOULDBLOCK"), EAGAIN);
	cr_expect_eq(seccomp_errno_find("EHWPOISON"), EHWPOISON);
	cr_expect_eq(seccomp_errno_find("ENOTSUP"), ENOTSUP);
	cr_expect_eq(seccomp_errno_find("EILSEQ"), EILSEQ);
	cr_expect_eq(seccomp_errno_find("E"), 0);
	cr_expect_eq(seccomp_errno_find(""), 0);
}

/* What stage1/unseen.h has to look for. */
Test(seccomp, who_may_use_io_uring)
{
	static const struct {
		enum seccomp_policy policy;
		const char *name;
		bool allows;
	} rows[] = {
		{SECCOMP_POLICY_DEFAULT, NULL, false},
		{SECCOMP_POLICY_OFF, NULL, true},
		{SECCOMP_POLICY_RETAIN, "@appc.io/all", true},
		{SECCOMP_POLICY_RETAIN, "io_uring_setup", true},
		{SECCOMP_POLICY_RETAIN, "@docker/default-whitelist", false},
		{SECCOMP_POLICY_REMOVE, "chmod", false},
		{SECCOMP_POLICY_REMOVE, "@appc.io/empty", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_seccomp_plan struct seccomp_plan plan =
			SECCOMP_PLAN_INIT;
		cleanup_strv struct strv set = STRV_INIT;
		const struct seccomp_request req = {
			.policy = rows[i].policy,
			.set = rows[i].name ? &set : NULL,
			.errno_name = "EPERM",
		};

		if (rows[i].name)
			strv_push(&set, rows[i].name);
		cr_assert_eq(seccomp_plan_make(&req, &plan, NULL), 0);
		cr_expect_eq(plan.allows_uring, rows[i].allows, "row %zu", i);
	}
}
