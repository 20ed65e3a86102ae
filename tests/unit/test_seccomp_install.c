/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/seccomp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/syscalls.h"

static void plan_of(enum seccomp_policy policy, const char *names,
		    const char *errno_name, bool notify,
		    struct seccomp_plan *ret)
{
	struct strv set cleanup_strv = STRV_INIT;
	struct error err = ERROR_INIT;
	struct seccomp_request req = {
		.policy = policy,
		.set = &set,
		.errno_name = errno_name,
		.notify_bind = notify,
	};

	if (names)
		strv_split(&set, names, ' ');
	cr_assert_eq(seccomp_plan_make(&req, ret, &err), 0, "%s", err.msg);
}

static void program_of(enum seccomp_policy policy, const char *names,
		       const char *errno_name, bool notify,
		       struct sock_fprog *ret)
{
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct error err = ERROR_INIT;

	plan_of(policy, names, errno_name, notify, &plan);
	cr_assert_eq(seccomp_program_get(-1, &plan, ret, &err), 0, "%s",
		     err.msg);
}

/*
 * A retain-set allows next to nothing, and gcc's sanitizer runtime makes calls
 * of its own between the filter and the call that is tried: such sets are
 * tried in the normal build.
 */
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* A sanitizer's _exit() makes calls of its own; the filter is for ours. */
static void leave(int code)
{
	for (;;)
		syscall(SYS_exit_group, code);
}

/* --- verdicts of the kernel -------------------------------------------------
 */

/* Child: installs PROG, makes the call, exits with its errno (0 = it worked,
 * 250 = no filter). */
static int status_of(const struct sock_fprog *prog, long nr, long a, long b,
		     long c)
{
	pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		long r;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_install(prog, false) < 0)
			leave(250);
		r = syscall(nr, a, b, c, 0, 0, 0);
		leave(r < 0 ? errno : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

struct call {
	const char *what;
	long nr, a, b, c;
	int want; /* errno, 0 = success, -1 = killed by SIGSYS */
};

static void expect_calls(const struct sock_fprog *prog, const char *filter,
			 const struct call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int status = status_of(prog, calls[i].nr, calls[i].a,
				       calls[i].b, calls[i].c);
		int got = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
				  ? -1
				  : WEXITSTATUS(status);

		cr_expect_eq(got, calls[i].want, "%s: %s: %d, expected %d",
			     filter, calls[i].what, got, calls[i].want);
	}
}
#define EXPECT_CALLS(prog, filter, calls)                                      \
	expect_calls(prog, filter, calls, sizeof(calls) / sizeof((calls)[0]))

Test(seccomp_install, default_profile)
{
	static struct clone_args args = {.exit_signal = SIGCHLD};
	const struct call calls[] = {
		{"mount", SYS_mount, 0, 0, 0, EPERM},
		{"umount2", SYS_umount2, 0, 0, 0, EPERM},
		{"pivot_root", SYS_pivot_root, 0, 0, 0, EPERM},
		{"setns", SYS_setns, -1, 0, 0, EPERM},
		{"bpf", SYS_bpf, 0, 0, 0, EPERM},
		{"io_uring_setup", SYS_io_uring_setup, 1, 0, 0, EPERM},
		{"clone3", SYS_clone3, (long)&args, sizeof(args), 0, ENOSYS},
		{"9999", 9999, 0, 0, 0, ENOSYS},
		{"clone(NEWUSER)", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0,
		 EPERM},
		{"unshare(NEWNS)", SYS_unshare, CLONE_NEWNS, 0, 0, EPERM},
		{"unshare(FS)", SYS_unshare, CLONE_FS, 0, 0, 0},
		{"socket(VSOCK)", SYS_socket, AF_VSOCK, SOCK_STREAM, 0, EPERM},
		{"socket(INET)", SYS_socket, 2, SOCK_STREAM, 0, 0},
		{"personality(query)", SYS_personality, 0xffffffff, 0, 0, 0},
		{"personality(ADDR_NO_RANDOMIZE)", SYS_personality, 0x40000, 0,
		 0, EPERM},
		{"close(-1)", SYS_close, -1, 0, 0, EBADF},
		/* Without a listener the kernel answers a notification. */
		{"bind(-1)", SYS_bind, -1, 0, 0, EBADF},
	};
	struct sock_fprog prog cleanup_seccomp_program = {0};

	program_of(SECCOMP_POLICY_DEFAULT, NULL, NULL, false, &prog);
	EXPECT_CALLS(&prog, "default", calls);
}

Test(seccomp_install, sets)
{
	const struct call retain[] = {
		{"close(-1)", SYS_close, -1, 0, 0, EBADF},
		{"write", SYS_write, -1, 0, 0, -1},
		{"9999", 9999, 0, 0, 0, -1},
	};
	const struct call retain_errno[] = {
		{"write", SYS_write, -1, 0, 0, EOWNERDEAD},
	};
	const struct call removed[] = {
		{"getuid", SYS_getuid, 0, 0, 0, ENOTSUP},
		{"close(-1)", SYS_close, -1, 0, 0, EBADF},
		{"mount", SYS_mount, 0, 0, 0, EPERM},
		{"9999", 9999, 0, 0, 0, ENOSYS},
	};
	const struct call remove_kill[] = {
		{"getuid", SYS_getuid, 0, 0, 0, -1},
	};
	struct sock_fprog progs[4] = {0};

	program_of(SECCOMP_POLICY_RETAIN, "close", NULL, false, &progs[0]);
	program_of(SECCOMP_POLICY_RETAIN, "close", "EOWNERDEAD", false,
		   &progs[1]);
	program_of(SECCOMP_POLICY_REMOVE, "getuid", "ENOTSUP", false,
		   &progs[2]);
	program_of(SECCOMP_POLICY_REMOVE, "getuid", NULL, false, &progs[3]);
	if (!IS_SANITIZED) {
		EXPECT_CALLS(&progs[0], "retain", retain);
		EXPECT_CALLS(&progs[1], "retain errno", retain_errno);
	}
	EXPECT_CALLS(&progs[2], "remove errno", removed);
	EXPECT_CALLS(&progs[3], "remove", remove_kill);
	for (size_t i = 0; i < 4; i++)
		seccomp_program_release(&progs[i]);
}

/* --- real programs
 * ------------------------------------------------------------ */

static int run_program(const struct sock_fprog *prog, char *const argv[])
{
	pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0 ||
		    dup2(fd, 2) < 0 ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_install(prog, false) < 0)
			leave(250);
		execv(argv[0], argv);
		leave(251);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(seccomp_install, real_programs)
{
	static const char threads[] =
		"import threading,subprocess,socket,os,tempfile\n"
		"t=[threading.Thread(target=lambda:None) for i in range(4)]\n"
		"[x.start() for x in t];[x.join() for x in t]\n"
		"subprocess.run(['/bin/true'],check=True)\n"
		"s=socket.socket();s.bind(('127.0.0.1',0));s.listen()\n"
		"open(tempfile.mkstemp()[1]).read();os.cpu_count()\n";
	const char *const programs[][4] = {
		{"/usr/bin/python3", "-c", threads, NULL},
		{"/usr/sbin/nginx", "-t", NULL},
		{"/usr/bin/redis-server", "--version", NULL},
		{"/bin/busybox", "ls", "/", NULL},
		{"/bin/bash", "-c", "ls -l / | wc -l; exit 0", NULL},
	};
	static const char *const whitelists[] = {
		NULL,
		"@docker/default-whitelist",
		"@rkt/default-whitelist",
	};

	for (size_t w = 0; w < 3; w++) {
		struct sock_fprog prog cleanup_seccomp_program = {0};

		program_of(whitelists[w] ? SECCOMP_POLICY_RETAIN
					 : SECCOMP_POLICY_DEFAULT,
			   whitelists[w], NULL, false, &prog);
		for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]);
		     i++) {
			if (access(programs[i][0], X_OK) < 0)
				continue;
			cr_expect_eq(
				run_program(&prog, (char *const *)programs[i]),
				0, "%s under %s", programs[i][0],
				whitelists[w] ? whitelists[w] : "default");
		}
	}
}

/* --- the listener
 * -------------------------------------------------------------- */

/* Child: the order of an app's start; exits 0 if every bind did what the
 * parent answered. */
static void listened_child(const struct sock_fprog *prog, int to_parent)
{
	int listener;
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		leave(1);
	listener = seccomp_install(prog, true);
	if (listener <= 0 || !(fcntl(listener, F_GETFD) & FD_CLOEXEC))
		leave(2);
	if (write(to_parent, &listener, sizeof(listener)) != sizeof(listener))
		leave(3);
	r = seccomp_barrier();
	if (r != 0)
		leave(4);
	/* CONTINUE: the kernel's own answer. */
	if (syscall(SYS_bind, -2L, NULL, 0L) != -1 || errno != EBADF)
		leave(5);
	leave(0);
}

static void answer(int listener, int nr, uint64_t arg0, uint32_t flags)
{
	struct seccomp_notif notif = {0};
	struct seccomp_notif_resp resp = {0};

	cr_assert_eq(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif), 0);
	cr_expect_eq(notif.data.nr, nr);
	cr_expect_eq(notif.data.args[0], arg0);
	resp.id = notif.id;
	resp.flags = flags;
	cr_assert_eq(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp), 0);
}

static void listen_to(enum seccomp_policy policy, const char *names)
{
	struct sock_fprog prog cleanup_seccomp_program = {0};
	int pipe_fds[2];
	int number;
	int listener;
	int pidfd;
	int status;
	pid_t pid;

	program_of(policy, names, "EBADF", true, &prog);
	cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		listened_child(&prog, pipe_fds[1]);
	cr_assert_eq(read_full(pipe_fds[0], &number, sizeof(number)),
		     sizeof(number));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	listener = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	cr_assert_geq(listener, 0);
	answer(listener, SYS_bind, UINT64_MAX, 0);
	if (policy == SECCOMP_POLICY_DEFAULT)
		answer(listener, SYS_bind, (uint64_t)-2,
		       SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0, "policy %d", (int)policy);
	close(listener);
	close(pidfd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

Test(seccomp_install, listener)
{
	listen_to(SECCOMP_POLICY_DEFAULT, NULL);
	/* An app that may not bind still passes the barrier. */
	listen_to(SECCOMP_POLICY_REMOVE, "bind");
	if (!IS_SANITIZED)
		listen_to(SECCOMP_POLICY_RETAIN, "write pidfd_open fcntl");
}

/* --- the cache
 * ------------------------------------------------------------------ */

static int cache_open(char *dir)
{
	int fd;

	cr_assert(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

static bool same(const struct sock_fprog *a, const struct sock_fprog *b)
{
	return a->len == b->len &&
	       memcmp(a->filter, b->filter, a->len * sizeof(a->filter[0])) == 0;
}

/* The only entry of the cache directory. */
static void entry_of(const char *dir, char name[NAME_MAX + 1])
{
	DIR *d cleanup_dir = opendir(dir);

	*name = '\0';
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		if (e->d_name[0] == '.')
			continue;
		cr_expect(!*name, "second entry %s", e->d_name);
		(void)snprintf(name, NAME_MAX + 1, "%s", e->d_name);
	}
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

Test(seccomp_install, cache)
{
	char dir[] = "/tmp/rkt-test-seccomp-XXXXXX";
	int dirfd cleanup_fd = cache_open(dir);
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct sock_fprog fresh cleanup_seccomp_program = {0};
	struct strbuf good cleanup_strbuf = STRBUF_INIT;
	char name[NAME_MAX + 1];
	double best = 1e9;
	struct stat st;

	plan_of(SECCOMP_POLICY_DEFAULT, NULL, NULL, true, &plan);
	cr_assert_eq(seccomp_program_get(dirfd, &plan, &fresh, NULL), 0);
	entry_of(dir, name);
	cr_assert(name);
	cr_assert_eq(fstatat(dirfd, name, &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(read_file_at(dirfd, name, 1 << 20, &good, NULL), 0);

	for (int i = 0; i < 50; i++) {
		struct sock_fprog warm cleanup_seccomp_program = {0};
		double start = now_us();

		cr_assert_eq(seccomp_program_get(dirfd, &plan, &warm, NULL), 0);
		best = now_us() - start < best ? now_us() - start : best;
		cr_assert(same(&fresh, &warm));
	}
	cr_log_info("warm: %.1f us, %u instructions", best, fresh.len);
#ifndef __SANITIZE_ADDRESS__
	cr_expect_lt(best, 1000);
#endif

	/* Whatever the damage, the answer is right and the file is mended. */
	for (size_t at = 0; at <= good.len; at += good.len / 97) {
		struct strbuf bad cleanup_strbuf = STRBUF_INIT;
		struct strbuf mended cleanup_strbuf = STRBUF_INIT;
		struct sock_fprog prog cleanup_seccomp_program = {0};

		strbuf_add(&bad, good.buf, good.len);
		if (at % 2)
			strbuf_setlen(&bad, at);
		else if (at < good.len)
			bad.buf[at] = (char)~bad.buf[at];
		else
			strbuf_addch(&bad, 'x');
		cr_assert_eq(write_file_at(dirfd, name, 0600, bad.buf, bad.len,
					   NULL),
			     0);
		cr_assert_eq(seccomp_program_get(dirfd, &plan, &prog, NULL), 0);
		cr_expect(same(&fresh, &prog), "damage at %zu", at);
		cr_assert_eq(read_file_at(dirfd, name, 1 << 20, &mended, NULL),
			     0);
		cr_expect(mended.len == good.len &&
				  memcmp(mended.buf, good.buf, good.len) == 0,
			  "damage at %zu", at);
	}
	remove_tree_at(AT_FDCWD, dir, NULL);
}

/* A file another user could have written, and a name that is no file. */
Test(seccomp_install, cache_is_not_trusted)
{
	char dir[] = "/tmp/rkt-test-seccomp-XXXXXX";
	int dirfd cleanup_fd = cache_open(dir);
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct sock_fprog progs[3] = {0};
	char name[NAME_MAX + 1];
	struct stat st;

	plan_of(SECCOMP_POLICY_DEFAULT, NULL, NULL, true, &plan);
	cr_assert_eq(seccomp_program_get(dirfd, &plan, &progs[0], NULL), 0);
	entry_of(dir, name);
	cr_assert_eq(fchmodat(dirfd, name, 0666, 0), 0);
	cr_assert_eq(seccomp_program_get(dirfd, &plan, &progs[1], NULL), 0);
	cr_assert_eq(fstatat(dirfd, name, &st, 0), 0);
	cr_expect_eq(st.st_mode & 0777, 0600, "replaced");

	cr_assert_eq(unlinkat(dirfd, name, 0), 0);
	cr_assert_eq(mkfifoat(dirfd, name, 0600), 0);
	cr_assert_eq(seccomp_program_get(dirfd, &plan, &progs[2], NULL), 0);
	cr_expect(same(&progs[0], &progs[2]));
	for (size_t i = 0; i < 3; i++)
		seccomp_program_release(&progs[i]);
	remove_tree_at(AT_FDCWD, dir, NULL);
}

Test(seccomp_install, cache_is_bounded)
{
	char dir[] = "/tmp/rkt-test-seccomp-XXXXXX";
	int dirfd cleanup_fd = cache_open(dir);
	size_t n = 0, most = 0;

	for (int nr = 0; nr < 300; nr++) {
		struct seccomp_plan plan cleanup_seccomp_plan =
			SECCOMP_PLAN_INIT;
		struct sock_fprog prog cleanup_seccomp_program = {0};
		char *name cleanup_free =
			seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
		DIR *d cleanup_dir = NULL;

		if (!name)
			continue;
		plan_of(SECCOMP_POLICY_REMOVE, name, NULL, true, &plan);
		cr_assert_eq(seccomp_program_get(dirfd, &plan, &prog, NULL), 0);
		d = opendir(dir);
		for (n = 0; readdir(d); n++)
			;
		most = n > most ? n : most;
	}
	cr_expect_leq(most, 257);
	cr_expect_lt(n, most, "emptied once");
	remove_tree_at(AT_FDCWD, dir, NULL);
}

/* Two plans never share an entry. */
Test(seccomp_install, cache_tells_plans_apart)
{
	static const struct {
		enum seccomp_policy policy;
		const char *names;
		const char *errno_name;
		bool notify;
	} rows[] = {
		{SECCOMP_POLICY_DEFAULT, NULL, NULL, true},
		{SECCOMP_POLICY_DEFAULT, NULL, NULL, false},
		{SECCOMP_POLICY_RETAIN, "read", NULL, true},
		{SECCOMP_POLICY_RETAIN, "write", NULL, true},
		{SECCOMP_POLICY_RETAIN, "read", "EPERM", true},
		{SECCOMP_POLICY_REMOVE, "read", "EPERM", true},
		{SECCOMP_POLICY_OFF, NULL, NULL, true},
	};
	char dir[] = "/tmp/rkt-test-seccomp-XXXXXX";
	int dirfd cleanup_fd = cache_open(dir);

	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		size_t row = i % (sizeof(rows) / sizeof(rows[0]));
		struct seccomp_plan plan cleanup_seccomp_plan =
			SECCOMP_PLAN_INIT;
		struct sock_fprog fresh cleanup_seccomp_program = {0};
		struct sock_fprog cached cleanup_seccomp_program = {0};

		plan_of(rows[row].policy, rows[row].names, rows[row].errno_name,
			rows[row].notify, &plan);
		cr_assert_eq(seccomp_program_get(-1, &plan, &fresh, NULL), 0);
		cr_assert_eq(seccomp_program_get(dirfd, &plan, &cached, NULL),
			     0);
		cr_expect(same(&fresh, &cached), "row %zu", row);
	}
	remove_tree_at(AT_FDCWD, dir, NULL);
}
