/* SPDX-License-Identifier: Apache-2.0 */
#include "base/user_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/syscalls.h"

/* Several rows may be in one, but not in ours. */
#define MAP_MAX 4096

static int write_maps(pid_t pid, uint32_t first, uint32_t count,
		      struct error *err)
{
	static const char *const names[] = {"uid_map", "gid_map"};
	char text[64], path[64];

	(void)snprintf(text, sizeof(text), "0 %u %u\n", first, count);
	for (int i = 0; i < 2; i++) {
		cleanup_fd int fd = -EBADF;
		int r;

		(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid,
			       names[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : write_full(fd, text, strlen(text));
		if (r < 0)
			return error_sys(err, -r, "write %s", path);
	}
	return 0;
}

static int open_ns(pid_t pid, struct error *err)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_sys(err, errno, "open the user namespace") : fd;
}

static int clone_failed(int code, struct error *err)
{
	if (code == ENOSPC)
		return error_set(err, code,
				 "create a user namespace: there are as many "
				 "as sysctl user.max_user_namespaces allows");
	if (code == EINVAL)
		return error_set(
			err, code,
			"create a user namespace: the kernel has none");
	return error_sys(err, code, "create a user namespace");
}

struct look {
	int ns;
	pid_t parent;
};

/* It has what we have open, the lock of a pod maybe: it dies with us. */
__attribute__((__noreturn__)) static void wait_for_death(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (getppid() == parent)
		(void)pause();
	_exit(1);
}

int user_ns_new(uint32_t first, uint32_t count, struct error *err)
{
	cleanup_fd int pidfd = -EBADF;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t parent = getpid();
	pid_t pid = sys_clone3(&args);
	int status, r;

	if (pid < 0)
		return clone_failed((int)-pid, err);
	if (pid == 0)
		wait_for_death(parent);
	r = write_maps(pid, first, count, err);
	if (r == 0)
		r = open_ns(pid, err);
	(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	(void)process_wait(pidfd, &status);
	return r;
}

/* Only a process in it shows its maps. */
static void show_maps(const void *arg, int to_parent)
{
	const struct look *look = arg;

	if (setns(look->ns, CLONE_NEWUSER) < 0 ||
	    write_full(to_parent, "", 1) < 0)
		return;
	/* setns took the death signal of one that had it before. */
	wait_for_death(look->parent);
}

static bool has_map(pid_t pid, const char *name, const char *wanted)
{
	cleanup_free char *path = xasprintf("/proc/%d/%s", (int)pid, name);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	return read_file_path(path, MAP_MAX, &text, NULL) == 0 &&
	       strcmp(text.buf, wanted) == 0;
}

bool user_ns_has_range(int ns, uint32_t first, uint32_t count)
{
	const struct look look = {.ns = ns, .parent = getpid()};
	cleanup_fd int said = -EBADF;
	cleanup_fd int pidfd = -EBADF;
	char wanted[64], c;
	bool has;
	pid_t pid;
	int status;

	/* As the kernel writes it: user_namespaces(7). */
	(void)snprintf(wanted, sizeof(wanted), "%10u %10u %10u\n", 0U, first,
		       count);
	pidfd = process_start(CLONE_CLEAR_SIGHAND, show_maps, &look, &said,
			      &pid, NULL);
	if (pidfd < 0)
		return false;
	has = read_full(said, &c, 1) == 1 && has_map(pid, "uid_map", wanted) &&
	      has_map(pid, "gid_map", wanted);
	(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	(void)process_wait(pidfd, &status);
	return has;
}

int user_ns_map_mount(int ns, int mount, bool recursive, struct error *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP,
		.userns_fd = (uint64_t)ns,
	};

	if (mount_setattr(mount, "",
			  AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			  sizeof(attr)) == 0)
		return 0;
	return errno == EINVAL
		       ? -EINVAL
		       : error_sys(err, errno, "map the owners of a mount");
}
