/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/sandbox_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

DEFINE_CLEANUP(scmp_filter_ctx, seccomp_release);

/* Calls any C program with threads makes, none of which reaches further than
 * the descriptors it has. */
static const int common_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(ftruncate),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(sysinfo),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* What making files below "/" needs on top. */
static const int extract_calls[] = {
	SCMP_SYS(open),		SCMP_SYS(openat),      SCMP_SYS(stat),
	SCMP_SYS(lstat),	SCMP_SYS(newfstatat),  SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),	SCMP_SYS(rmdir),       SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),	SCMP_SYS(symlink),     SCMP_SYS(symlinkat),
	SCMP_SYS(link),		SCMP_SYS(linkat),      SCMP_SYS(mknod),
	SCMP_SYS(mknodat),	SCMP_SYS(chmod),       SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),	SCMP_SYS(chown),       SCMP_SYS(lchown),
	SCMP_SYS(fchown),	SCMP_SYS(fchownat),    SCMP_SYS(utimensat),
	SCMP_SYS(fsetxattr),	SCMP_SYS(setxattr),    SCMP_SYS(lsetxattr),
	SCMP_SYS(fremovexattr), SCMP_SYS(removexattr), SCMP_SYS(umask),
	SCMP_SYS(chdir),	SCMP_SYS(fchdir),      SCMP_SYS(getcwd),
	SCMP_SYS(fcntl),	SCMP_SYS(dup),	       SCMP_SYS(fadvise64),
	SCMP_SYS(statfs),	SCMP_SYS(fstatfs),     SCMP_SYS(rename),
};

/* What reading a tree needs on top, beside open(2) for reading. */
static const int pack_calls[] = {
	SCMP_SYS(newfstatat), SCMP_SYS(getdents64), SCMP_SYS(readlinkat),
	SCMP_SYS(listxattr),  SCMP_SYS(getxattr),   SCMP_SYS(fcntl),
};

/* What talking to a server needs on top. */
static const int http_calls[] = {
	SCMP_SYS(connect),     SCMP_SYS(bind),	       SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),     SCMP_SYS(recvmmsg),     SCMP_SYS(sendmmsg),
	SCMP_SYS(sendto),      SCMP_SYS(sendmsg),      SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),  SCMP_SYS(setsockopt),   SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(poll),	       SCMP_SYS(ppoll),
	SCMP_SYS(select),      SCMP_SYS(pselect6),     SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),   SCMP_SYS(epoll_wait),   SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),    SCMP_SYS(pipe2),	       SCMP_SYS(pipe),
	SCMP_SYS(fcntl),       SCMP_SYS(dup),	       SCMP_SYS(ioctl),
	SCMP_SYS(uname),       SCMP_SYS(stat),	       SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),  SCMP_SYS(access),       SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),  SCMP_SYS(readlink),     SCMP_SYS(readlinkat),
	SCMP_SYS(getppid),     SCMP_SYS(clock_getres),
};

/* What answering clients on sockets that listen already needs on top.  No
 * ioctl(2): standard error may be the terminal of who started it. */
static const int serve_calls[] = {
	SCMP_SYS(accept4),     SCMP_SYS(recvfrom),   SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),      SCMP_SYS(sendmsg),    SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),  SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(poll),	     SCMP_SYS(ppoll),
	SCMP_SYS(epoll_ctl),   SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(fcntl),
};

/* What carrying bytes between those who connect and a pod needs on top. */
static const int forward_calls[] = {
	SCMP_SYS(accept4),    SCMP_SYS(connect),     SCMP_SYS(splice),
	SCMP_SYS(recvfrom),   SCMP_SYS(sendto),	     SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),  SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(pipe2),
	SCMP_SYS(fcntl),      SCMP_SYS(getppid),
};

/* What looking at files and waiting for their changes needs on top, beside
 * open(2) for reading. */
static const int show_calls[] = {
	SCMP_SYS(newfstatat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(getdents64),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(getcwd),
	SCMP_SYS(flock),
	SCMP_SYS(fstatfs),
	SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
};

static int allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

struct restricted {
	int call;
	unsigned int arg;
	uint64_t mask, value;
};

static int allow_arguments(scmp_filter_ctx ctx, const struct restricted *rules,
			   size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, rules[i].call, 1,
				     SCMP_CMP64(rules[i].arg,
						SCMP_CMP_MASKED_EQ,
						rules[i].mask, rules[i].value));
	return r;
}

/* Calls that are harmless with the right argument only. */
static int allow_restricted(scmp_filter_ctx ctx)
{
	const struct restricted rules[] = {
		{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
		{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
		/* Threads, not processes. */
		{SCMP_SYS(clone), 0, CLONE_THREAD | CLONE_VM,
		 CLONE_THREAD | CLONE_VM},
		{SCMP_SYS(tgkill), 0, UINT64_MAX, (uint64_t)getpid()},
		{SCMP_SYS(prlimit64), 2, UINT64_MAX, 0},
	};
	int r = allow_arguments(ctx, rules, sizeof(rules) / sizeof(rules[0]));

	/* Its flags are in memory, out of a filter's sight; the C library
	 * then uses clone(2). */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
				     SCMP_SYS(clone3), 0);
	return r;
}

/* The reply, on the one socket there is. */
int sandbox_allow_reply(scmp_filter_ctx ctx)
{
	const struct restricted rules[] = {
		{SCMP_SYS(sendmsg), 0, UINT64_MAX, 3},
		{SCMP_SYS(sendto), 0, UINT64_MAX, 3},
	};

	return allow_arguments(ctx, rules, sizeof(rules) / sizeof(rules[0]));
}

int sandbox_allow_extract(scmp_filter_ctx ctx)
{
	int r = sandbox_allow_reply(ctx);

	return r < 0 ? r
		     : allow(ctx, extract_calls,
			     sizeof(extract_calls) / sizeof(extract_calls[0]));
}

int sandbox_allow_pack(scmp_filter_ctx ctx)
{
	const struct restricted rules[] = {
		{SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
		{SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
	};
	int r = sandbox_allow_reply(ctx);

	if (r == 0)
		r = allow(ctx, pack_calls,
			  sizeof(pack_calls) / sizeof(pack_calls[0]));
	return r < 0 ? r
		     : allow_arguments(ctx, rules,
				       sizeof(rules) / sizeof(rules[0]));
}

/*
 * Sockets of the internet, and the kernel's that tells which addresses the
 * host has; no Unix sockets of services.  The C library opens modules that
 * resolve names, so code is mapped, but never what can be written.
 */
int sandbox_allow_http(scmp_filter_ctx ctx)
{
	const struct restricted rules[] = {
		{SCMP_SYS(socket), 0, UINT64_MAX, AF_INET},
		{SCMP_SYS(socket), 0, UINT64_MAX, AF_INET6},
		{SCMP_SYS(socket), 0, UINT64_MAX, AF_NETLINK},
		{SCMP_SYS(socketpair), 0, UINT64_MAX, AF_UNIX},
		{SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, PROT_EXEC},
		{SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
		{SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
	};
	int r = allow(ctx, http_calls,
		      sizeof(http_calls) / sizeof(http_calls[0]));

	if (r == 0)
		r = allow_arguments(ctx, rules,
				    sizeof(rules) / sizeof(rules[0]));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT),
				     SCMP_SYS(socket), 1,
				     SCMP_CMP64(0, SCMP_CMP_EQ, AF_UNIX, 0));
	return r;
}

int sandbox_allow_serve(scmp_filter_ctx ctx)
{
	return allow(ctx, serve_calls,
		     sizeof(serve_calls) / sizeof(serve_calls[0]));
}

int sandbox_allow_forward(scmp_filter_ctx ctx)
{
	const struct restricted rules[] = {
		{SCMP_SYS(socket), 0, UINT64_MAX, AF_INET},
		{SCMP_SYS(socket), 0, UINT64_MAX, AF_INET6},
	};
	int r = allow(ctx, forward_calls,
		      sizeof(forward_calls) / sizeof(forward_calls[0]));

	return r < 0 ? r
		     : allow_arguments(ctx, rules,
				       sizeof(rules) / sizeof(rules[0]));
}

/* A library that would rather write is told that it may not. */
int sandbox_allow_show(scmp_filter_ctx ctx)
{
	const struct restricted rules[] = {
		{SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
		{SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
	};
	const struct restricted refused[] = {
		{SCMP_SYS(openat), 2, O_WRONLY, O_WRONLY},
		{SCMP_SYS(openat), 2, O_RDWR, O_RDWR},
		{SCMP_SYS(openat), 2, O_CREAT, O_CREAT},
	};
	int r = sandbox_allow_serve(ctx);

	if (r == 0)
		r = allow(ctx, show_calls,
			  sizeof(show_calls) / sizeof(show_calls[0]));
	if (r == 0)
		r = allow_arguments(ctx, rules,
				    sizeof(rules) / sizeof(rules[0]));
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused) && r == 0;
	     i++)
		r = seccomp_rule_add(
			ctx, SCMP_ACT_ERRNO(EACCES), refused[i].call, 1,
			SCMP_CMP64(refused[i].arg, SCMP_CMP_MASKED_EQ,
				   refused[i].mask, refused[i].value));
	return r;
}

int sandbox_filter_apply(int (*allow_more)(scmp_filter_ctx ctx),
			 struct error *err)
{
	cleanup_with(seccomp_release_cleanup) scmp_filter_ctx ctx = NULL;
	int r;

	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return error_sys(err, ENOMEM, "make the system call filter");
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
			     SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = allow(ctx, common_calls,
			  sizeof(common_calls) / sizeof(common_calls[0]));
	if (r == 0)
		r = allow_restricted(ctx);
	if (r == 0)
		r = allow_more(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	if (r < 0)
		return error_sys(err, -r, "apply the system call filter");
	return 0;
}
