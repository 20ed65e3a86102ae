/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/entrypoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process.h"
#include "stage0/pod.h"

static int clone_mount(int fd)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	cleanup_fd int mnt = -EBADF;

	mnt = open_tree(fd, "",
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (mnt < 0)
		return -errno;
	if (mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return TAKE_FD(mnt);
}

static int sealed_copy(int fd)
{
	cleanup_fd int copy = -EBADF;
	int r;

	copy = memfd_create("stage1", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return -errno;
	r = copy_fd(fd, copy);
	if (r < 0)
		return r;
	if (fcntl(copy, F_ADD_SEALS,
		  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return TAKE_FD(copy);
}

int entrypoint_open(const char *libexec_dir, struct error *err)
{
	cleanup_free char *path = xasprintf("%s/stage1", libexec_dir);
	cleanup_fd int fd = -EBADF;
	int r;

	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	r = clone_mount(fd);
	/* Not possible for a file on a mount of another namespace, or
	 * without CAP_SYS_ADMIN. */
	if (r < 0) {
		fd_close(&fd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return error_sys(err, errno, "open %s", path);
		r = sealed_copy(fd);
	}
	if (r < 0)
		return error_sys(err, -r, "protect %s against its pods", path);
	return r;
}

int entrypoint_exec(const struct pod *pod, int fd, char *const argv[],
		    char *const envp[], struct error *err)
{
	if (fchdir(pod->fd) < 0)
		return error_sys(err, errno, "enter directory of pod %s",
				 pod->uuid);
	(void)execveat(fd, "", argv, envp, AT_EMPTY_PATH);
	return error_sys(err, errno, "execute stage1");
}

static int spawn_in(const struct pod *pod, int exec_fd, char *const argv[],
		    struct error *err)
{
	static const struct fd_map stdio[] = {
		{STDIN_FILENO, STDIN_FILENO},
		{STDOUT_FILENO, STDOUT_FILENO},
		{STDERR_FILENO, STDERR_FILENO},
	};
	cleanup_fd int here = -EBADF;
	int r;

	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fchdir(pod->fd) < 0)
		return error_sys(err, errno, "enter directory of pod %s",
				 pod->uuid);
	r = process_spawn(NULL, exec_fd, argv, environ, stdio, 3, NULL, err);
	if (here >= 0 && fchdir(here) < 0 && chdir("/") < 0)
		return error_sys(err, errno, "leave directory of pod %s",
				 pod->uuid);
	return r;
}

int entrypoint_call(const struct pod *pod, const char *libexec_dir,
		    char *const argv[], struct error *err)
{
	cleanup_fd int exec_fd = -EBADF;
	cleanup_fd int pidfd = -EBADF;
	int status;
	int r;

	exec_fd = entrypoint_open(libexec_dir, err);
	if (exec_fd < 0)
		return exec_fd;
	pidfd = spawn_in(pod, exec_fd, argv, err);
	if (pidfd < 0)
		return pidfd;
	r = process_wait(pidfd, &status);
	if (r < 0)
		return error_sys(err, -r, "wait for stage1 %s", argv[1]);
	return process_exit_code(status);
}
