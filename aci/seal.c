/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"

static bool has_verity(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0 &&
	       (st.stx_attributes_mask & STATX_ATTR_VERITY);
}

void seal_verity(int fd)
{
	struct fsverity_enable_arg arg = {
		.version = 1,
		.hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
		.block_size = 4096,
	};
	char path[PROC_FD_MAX];
	cleanup_fd int readable = -EBADF;

	if (!has_verity(fd))
		return;
	/* The kernel wants nobody able to write. */
	readable = open(proc_fd_path(fd, path), O_RDONLY | O_CLOEXEC);
	if (readable < 0 || dup3(readable, fd, O_CLOEXEC) < 0)
		return;
	(void)ioctl(fd, FS_IOC_ENABLE_VERITY, &arg);
}

/* Nobody may write it, by its mode. */
static bool is_final(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && !(st.st_mode & 0222);
}

static void set_immutable(int fd, bool on)
{
	int flags;

	if ((on && !is_final(fd)) || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ||
	    !(flags & FS_IMMUTABLE_FL) == !on)
		return;
	flags ^= FS_IMMUTABLE_FL;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

void seal_immutable(int fd)
{
	set_immutable(fd, true);
}

static void set_by_name(int dirfd, const char *name, bool on)
{
	cleanup_fd int fd = openat(
		dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		set_immutable(fd, on);
}

void seal_lift(int dirfd, const char *name)
{
	set_by_name(dirfd, name, false);
}

void seal_again(int dirfd, const char *name)
{
	set_by_name(dirfd, name, true);
}
