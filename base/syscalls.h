/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SYSCALLS_H
#define BASE_SYSCALLS_H

/*
 * System calls glibc 2.36 has no function for.  Each sys_<name>() returns a
 * value or a negative errno; -ENOSYS when the running kernel lacks it.  This
 * header alone includes the kernel's headers for them.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef CLONE_INTO_CGROUP /* Linux 5.7 */
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* openat2(2), Linux 5.6. */
static inline int sys_openat2(int dirfd, const char *path, uint64_t flags,
			      mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags,
		.mode = mode,
		.resolve = resolve,
	};
	long r = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return r < 0 ? -errno : (int)r;
}

/* clone3(2), Linux 5.3.  Returns 0 in the child; fork semantics only: the
 * child must not touch memory that another thread may be changing. */
static inline pid_t sys_clone3(struct clone_args *args)
{
	long r = syscall(SYS_clone3, args, sizeof(*args));

	return r < 0 ? -errno : (pid_t)r;
}

/* seccomp(2). */
static inline int sys_seccomp(unsigned int op, unsigned int flags, void *args)
{
	long r = syscall(SYS_seccomp, op, flags, args);

	return r < 0 ? -errno : (int)r;
}

/* pidfd_send_signal(2), Linux 5.1. */
static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	long r = syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);

	return r < 0 ? -errno : 0;
}

/* ioctl(PIDFD_GET_INFO), Linux 6.13; the exit code of a process that is gone
 * from 6.15.  The kernel's struct of version 0. */
struct sys_pidfd_info {
	uint64_t mask; /* asked for, and what was got */
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code; /* as wait(2) gives it */
};

#define SYS_PIDFD_INFO_CGROUPID (1UL << 2)
#define SYS_PIDFD_INFO_EXIT (1UL << 3)

static inline int sys_pidfd_get_info(int pidfd, struct sys_pidfd_info *info)
{
	int r = ioctl(pidfd, _IOWR(0xff, 11, struct sys_pidfd_info), info);

	return r < 0 ? -errno : 0;
}

/* A message's sender as a pidfd beside its pid, Linux 6.5. */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

/* pivot_root(2). */
static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	long r = syscall(SYS_pivot_root, new_root, put_old);

	return r < 0 ? -errno : 0;
}

#endif
