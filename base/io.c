/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"

#define COMPARE_BLOCK (128 * 1024)

ssize_t read_full(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, (char *)buf + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

ssize_t pread_full(int fd, void *buf, size_t n, off_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pread(fd, (char *)buf + done, n - done,
				  offset + (off_t)done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

int write_full(int fd, const void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = write(fd, (const char *)buf + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return 0;
}

static int read_file(int dirfd, const char *name, int flags, size_t max,
		     struct strbuf *sb, struct error *err)
{
	cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | flags);
	int r;

	if (fd < 0)
		return error_sys(err, errno, "open %s", name);
	r = strbuf_read_fd(sb, fd, max);
	if (r == -EFBIG)
		return error_set(err, EFBIG, "read %s: more than %zu bytes",
				 name, max);
	if (r < 0)
		return error_sys(err, -r, "read %s", name);
	return 0;
}

int read_file_at(int dirfd, const char *name, size_t max, struct strbuf *sb,
		 struct error *err)
{
	return read_file(dirfd, name, O_NOFOLLOW | O_NONBLOCK, max, sb, err);
}

int read_file_path(const char *path, size_t max, struct strbuf *sb,
		   struct error *err)
{
	return read_file(AT_FDCWD, path, 0, max, sb, err);
}

static int write_temp(int dirfd, const char *temp, mode_t mode,
		      const void *data, size_t len, bool sync)
{
	cleanup_fd int fd = -EBADF;
	int r;

	fd = openat(dirfd, temp,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    mode);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode) < 0)
		return -errno;
	r = write_full(fd, data, len);
	if (r < 0)
		return r;
	if (sync && fsync(fd) < 0)
		return -errno;
	return 0;
}

static int replace_file(int dirfd, const char *name, mode_t mode,
			const void *data, size_t len, bool sync,
			struct error *err)
{
	const char *slash = strrchr(name, '/');
	int dirlen = slash ? (int)(slash - name) + 1 : 0;
	char temp[512];
	int r;

	/* Callers hold the lock of what they write, so one temporary name a
	 * process is enough, and a killed writer's is overwritten or swept. */
	r = snprintf(temp, sizeof(temp), "%.*s.%s.%d.tmp", dirlen, name,
		     name + dirlen, (int)getpid());
	if (r >= (int)sizeof(temp))
		return error_sys(err, ENAMETOOLONG, "write %s", name);
	r = write_temp(dirfd, temp, mode, data, len, sync);
	if (r == 0 && renameat(dirfd, temp, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, temp, 0);
		return error_sys(err, -r, "write %s", name);
	}
	return 0;
}

int write_file_at(int dirfd, const char *name, mode_t mode, const void *data,
		  size_t len, struct error *err)
{
	return replace_file(dirfd, name, mode, data, len, false, err);
}

int write_new_file_at(int dirfd, const char *name, mode_t mode,
		      const void *data, size_t len, struct error *err)
{
	int r = write_temp(dirfd, name, mode, data, len, false);

	return r < 0 ? error_sys(err, -r, "write %s", name) : 0;
}

int write_string_at(int dirfd, const char *name, mode_t mode, const char *s,
		    struct error *err)
{
	return write_file_at(dirfd, name, mode, s, strlen(s), err);
}

int atomic_file_write(int dirfd, const char *name, mode_t mode,
		      const void *data, size_t len, struct error *err)
{
	const char *slash = strrchr(name, '/');
	cleanup_fd int parent = -EBADF;
	char dir[512];
	int r;

	r = replace_file(dirfd, name, mode, data, len, true, err);
	if (r < 0)
		return r;
	(void)snprintf(dir, sizeof(dir), "%.*s",
		       slash ? (int)(slash - name) : 1, slash ? name : ".");
	parent = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0 || fsync(parent) < 0)
		return error_sys(err, errno, "sync directory of %s", name);
	return 0;
}

int stdout_flush(struct error *err)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	if (errno == 0)
		return error_set(err, EIO, "cannot write the output");
	return error_sys(err, errno, "write the output");
}

int copy_fd(int in, int out)
{
	return copy_fd_max(in, out, UINT64_MAX);
}

static size_t at_most(uint64_t left, size_t n)
{
	return left < n ? (size_t)left : n;
}

int copy_fd_max(int in, int out, uint64_t max)
{
	char buf[64 * 1024];
	uint64_t left = max;
	ssize_t n;
	int r;

	do {
		n = sendfile(out, in, NULL, at_most(left, 1 << 30));
		left -= n > 0 ? (uint64_t)n : 0;
	} while ((n > 0 && left) || (n < 0 && errno == EINTR));
	if (n < 0 && errno != EINVAL && errno != ENOSYS)
		return -errno;
	while (n != 0 && left &&
	       (n = read_full(in, buf, at_most(left, sizeof(buf)))) > 0) {
		r = write_full(out, buf, (size_t)n);
		if (r < 0)
			return r;
		left -= (uint64_t)n;
	}
	if (left == 0)
		n = read_full(in, buf, 1);
	return n > 0 ? -EFBIG : (int)n;
}

uint64_t free_bytes(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 && fs.f_blocks > 0
		       ? (uint64_t)fs.f_bavail * fs.f_frsize
		       : UINT64_MAX;
}

int set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int set_cloexec(int fd, int on)
{
	if (fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0)
		return -errno;
	return 0;
}

int same_content(int a, int b)
{
	cleanup_free char *x = xmalloc(COMPARE_BLOCK);
	cleanup_free char *y = xmalloc(COMPARE_BLOCK);
	ssize_t n, m;

	do {
		n = read_full(a, x, COMPARE_BLOCK);
		m = read_full(b, y, COMPARE_BLOCK);
		if (n < 0 || m < 0)
			return n < 0 ? (int)n : (int)m;
		if (n != m || memcmp(x, y, (size_t)n) != 0)
			return 0;
	} while (n > 0);
	return 1;
}

static bool same_xattr(int a, int b, const char *name, char *x, char *y)
{
	ssize_t n = fgetxattr(a, name, x, XATTR_SIZE_MAX);
	ssize_t m = fgetxattr(b, name, y, XATTR_SIZE_MAX);

	return n == m && (n <= 0 || memcmp(x, y, (size_t)n) == 0);
}

int same_xattrs(int a, int b)
{
	ssize_t n = flistxattr(a, NULL, 0);
	ssize_t m = flistxattr(b, NULL, 0);
	cleanup_free char *list = NULL;
	cleanup_free char *values = NULL;
	bool same = true;

	if ((n < 0 && errno == EOPNOTSUPP) || n == 0)
		return m <= 0;
	if (n < 0)
		return -errno;
	if (n != m)
		return 0;
	list = xmalloc((size_t)n);
	values = xmalloc(2UL * XATTR_SIZE_MAX);
	n = flistxattr(a, list, (size_t)n);
	if (n < 0)
		return -errno;
	for (const char *s = list; same && s < list + n; s += strlen(s) + 1)
		same = same_xattr(a, b, s, values, values + XATTR_SIZE_MAX);
	return same;
}
