/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/download.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/imagestore.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/parse.h"
#include "base/sha256.h"

#define DIRECTORY "download"
#define VERSION_SUFFIX ".version"

/* By a digest nobody can make two URLs of one name of, and one that shows
 * nothing of a URL to who may list the directory. */
static void name_make(const char *url, char ret[DOWNLOAD_NAME_MAX])
{
	uint8_t sum[SHA256_SIZE];

	sha256(url, strlen(url), sum);
	format_hex(sum, sizeof(sum), ret);
}

static void version_name(const char *name, char ret[DOWNLOAD_NAME_MAX + 16])
{
	(void)snprintf(ret, DOWNLOAD_NAME_MAX + 16, "%s" VERSION_SUFFIX, name);
}

static int open_dir(const struct imagestore *store, bool create,
		    struct error *err)
{
	int cas = imagestore_dirfd(store);
	int fd;

	if (create && mkdirat(cas, DIRECTORY, 0770) < 0 && errno != EEXIST)
		return error_sys(err, errno, "create cas/" DIRECTORY);
	fd = openat(cas, DIRECTORY,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open cas/" DIRECTORY);
	return fd;
}

static bool is_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

void download_remove(struct download *d)
{
	char version[DOWNLOAD_NAME_MAX + 16];

	if (d->fd < 0)
		return;
	version_name(d->name, version);
	/* The locked file last: who sees it gone sees nothing of it. */
	(void)unlinkat(d->dirfd, version, 0);
	(void)unlinkat(d->dirfd, d->name, 0);
	fd_close(&d->version_fd);
	fd_close(&d->fd);
}

int download_restart(const struct download *d, struct error *err)
{
	/* Bytes without a version count for nothing. */
	if (ftruncate(d->version_fd, 0) < 0 || ftruncate(d->fd, 0) < 0)
		return error_sys(err, errno, "empty cas/" DIRECTORY "/%s",
				 d->name);
	return 0;
}

void download_release(struct download *d)
{
	if (d->fd >= 0 && (is_empty(d->fd) || is_empty(d->version_fd)))
		download_remove(d);
	fd_close(&d->version_fd);
	fd_close(&d->fd);
	fd_close(&d->dirfd);
}

bool download_is_resumable(int r)
{
	return r == -EIO || r == -EPROTO || r == -ETIMEDOUT ||
	       r == -ECONNRESET || r == -ECONNREFUSED || r == -EHOSTUNREACH ||
	       r == -EPROTONOSUPPORT || r == -EAGAIN || r == -EINTR ||
	       r == -ENOSPC;
}

/* Locks D's file; 1 if it was removed meanwhile and is to be opened anew. */
static int lock(const struct download *d, bool wait)
{
	struct stat st;
	int r = wait ? lock_wait(d->fd, LOCK_EX) : lock_try(d->fd, LOCK_EX);

	if (r < 0)
		return r;
	if (fstat(d->fd, &st) < 0)
		return -errno;
	return st.st_nlink == 0;
}

static int open_locked(struct download *d, bool wait, struct error *err)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
	char version[DOWNLOAD_NAME_MAX + 16];
	int r;

	do {
		fd_close(&d->fd);
		d->fd = openat(d->dirfd, d->name, flags, 0600);
		if (d->fd < 0)
			return error_sys(err, errno,
					 "open cas/" DIRECTORY "/%s", d->name);
		r = lock(d, wait);
	} while (r > 0);
	if (r < 0) {
		fd_close(&d->fd);
		return r == -EBUSY
			       ? r
			       : error_sys(err, -r, "lock cas/" DIRECTORY "/%s",
					   d->name);
	}
	version_name(d->name, version);
	d->version_fd = openat(d->dirfd, version, flags, 0600);
	if (d->version_fd < 0)
		return error_sys(err, errno, "open cas/" DIRECTORY "/%s",
				 version);
	return 0;
}

static int download_open(struct imagestore *store, const char *url, bool wait,
			 struct download *ret, struct error *err)
{
	cleanup_download struct download d = DOWNLOAD_INIT;
	int r;

	name_make(url, d.name);
	d.dirfd = open_dir(store, true, err);
	if (d.dirfd < 0)
		return d.dirfd;
	r = open_locked(&d, wait, err);
	if (r < 0)
		return r;
	*ret = d;
	d = (struct download)DOWNLOAD_INIT;
	return 0;
}

int download_try(struct imagestore *store, const char *url,
		 struct download *ret, struct error *err)
{
	return download_open(store, url, false, ret, err);
}

int download_wait(struct imagestore *store, const char *url,
		  struct download *ret, struct error *err)
{
	return download_open(store, url, true, ret, err);
}

/* 1 if NAME was removed. */
static int collect_one(int dirfd, const char *name, int64_t before)
{
	cleanup_fd int dup_dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	struct download d = DOWNLOAD_INIT;
	struct stat st;

	if (strlen(name) >= DOWNLOAD_NAME_MAX || strchr(name, '.'))
		return 0;
	(void)snprintf(d.name, sizeof(d.name), "%s", name);
	d.dirfd = dup_dirfd;
	d.fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (d.fd < 0 || fstat(d.fd, &st) < 0 ||
	    st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec >
		    before ||
	    lock(&d, false) != 0) {
		fd_close(&d.fd);
		return 0;
	}
	download_remove(&d);
	return 1;
}

int downloads_collect(struct imagestore *store, int64_t before, size_t *ret,
		      struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int fd;

	*ret = 0;
	fd = open_dir(store, false, NULL);
	if (fd == -ENOENT)
		return 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return error_sys(err, errno, "read cas/" DIRECTORY);
	}
	while ((e = readdir(dir)))
		if (e->d_type == DT_REG)
			*ret += (size_t)collect_one(dirfd(dir), e->d_name,
						    before);
	return 0;
}
