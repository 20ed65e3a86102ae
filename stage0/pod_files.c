/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "spec/stage1_abi.h"

int pod_file_new(int dirfd, const char *name, mode_t mode, const void *data,
		 size_t len, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	int r;

	fd = openat(dirfd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return error_sys(err, errno, "create %s", name);
	r = write_full(fd, data, len);
	if (r < 0)
		return error_sys(err, -r, "write %s", name);
	return 0;
}

static int sync_entry(int dirfd, const struct dirent *de)
{
	cleanup_fd int fd = -EBADF;

	if (de->d_type == DT_DIR) {
		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			return 0;
		/* A whole copied tree: one call instead of one a file. */
		if (strcmp(de->d_name, GENERATION_ROOTFS_DIR) == 0)
			return syncfs(dirfd) < 0 ? -errno : 0;
		fd = openat(dirfd, de->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return fd < 0 ? -errno : pod_files_sync(fd, NULL);
	}
	if (de->d_type != DT_REG)
		return 0;
	fd = openat(dirfd, de->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int pod_files_sync(int dirfd, struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	int r = 0;
	int fd;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return error_sys(err, errno, "read pod directory");
	}
	while (r == 0 && (de = readdir(dir)) != NULL)
		r = sync_entry(fd, de);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		return error_sys(err, -r, "sync pod directory");
	return 0;
}
