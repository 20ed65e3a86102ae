/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/tree_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

#define XATTR_LIST_MAX_BYTES 65536
#define DEPTH_MAX 512

/* Where the first name of a file with several was put. */
struct link {
	ino_t ino;
	char path[]; /* below the copy's root */
};

struct copy {
	int to_root;
	void *links;	     /* tsearch(3) tree of struct link */
	char path[PATH_MAX]; /* of the current entry, for messages and links */
	size_t path_len;
	unsigned int depth;
	struct error *err;
};

static int copy_dir(struct copy *c, int from, int to);

static int fail(struct copy *c, int code, const char *what)
{
	return error_sys(c->err, code, "copy tree: %s %s", what,
			 c->path_len ? c->path : "/");
}

static int copy_xattrs(struct copy *c, int from, int to)
{
	char names[XATTR_LIST_MAX_BYTES];
	cleanup_free char *value = NULL;
	ssize_t n = flistxattr(from, names, sizeof(names));

	if (n < 0)
		return errno == ENOTSUP ? 0
					: fail(c, errno, "list attributes of");
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t len;

		if (!value)
			value = xmalloc(XATTR_SIZE_MAX);
		len = fgetxattr(from, name, value, XATTR_SIZE_MAX);
		if (len < 0)
			return fail(c, errno, "read attribute of");
		if (fsetxattr(to, name, value, (size_t)len, 0) < 0 &&
		    errno != ENOTSUP)
			return fail(c, errno, "write attribute of");
	}
	return 0;
}

/* Owner first: chown clears set-id bits and capabilities. */
static int copy_attributes(struct copy *c, int from, int to,
			   const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return fail(c, errno, "set owner of");
	if (fchmod(to, st->st_mode & 07777) < 0)
		return fail(c, errno, "set mode of");
	r = copy_xattrs(c, from, to);
	if (r == 0 && futimens(to, times) < 0)
		r = fail(c, errno, "set times of");
	return r;
}

/* LEN bytes from START on, to the same place. */
static int copy_range(int from, int to, off_t start, off_t len)
{
	if (lseek(to, start, SEEK_SET) < 0)
		return -errno;
	while (len > 0) {
		size_t chunk = len < 1 << 30 ? (size_t)len : 1 << 30;
		ssize_t n = sendfile(to, from, &start, chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		len -= n;
	}
	return 0;
}

/* Holes stay holes: a small image can have files larger than the disk. */
static int copy_data(int from, int to, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t start = lseek(from, at, SEEK_DATA);
		off_t end;
		int r;

		if (start < 0 && errno == ENXIO)
			break;
		end = start < 0 ? -1 : lseek(from, start, SEEK_HOLE);
		if (end < 0)
			return -errno;
		r = copy_range(from, to, start, end - start);
		if (r < 0)
			return r;
		at = end;
	}
	return ftruncate(to, size) < 0 ? -errno : 0;
}

static int copy_file(struct copy *c, int from_dir, int to_dir, const char *name,
		     const struct stat *st)
{
	cleanup_fd int from = -EBADF;
	cleanup_fd int to = -EBADF;
	int r;

	from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return fail(c, errno, "open");
	to = openat(to_dir, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return fail(c, errno, "create");
	if (ioctl(to, FICLONE, from) < 0) {
		r = copy_data(from, to, st->st_size);
		if (r < 0)
			return fail(c, -r, "copy");
	}
	return copy_attributes(c, from, to, st);
}

static int copy_symlink(struct copy *c, int from_dir, int to_dir,
			const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return fail(c, errno, "read link");
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0 ||
	    fchownat(to_dir, name, st->st_uid, st->st_gid,
		     AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(c, errno, "create link");
	return 0;
}

static int copy_node(struct copy *c, int to_dir, const char *name,
		     const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (mknodat(to_dir, name, st->st_mode & ~07777U, st->st_rdev) < 0 ||
	    fchownat(to_dir, name, st->st_uid, st->st_gid,
		     AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0 ||
	    utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(c, errno, "create");
	return 0;
}

static int copy_subdir(struct copy *c, int from_dir, int to_dir,
		       const char *name, const struct stat *st)
{
	cleanup_fd int from = -EBADF;
	cleanup_fd int to = -EBADF;
	int r;

	if (++c->depth > DEPTH_MAX)
		return fail(c, ELOOP, "enter");
	from = openat(from_dir, name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return fail(c, errno, "open");
	if (mkdirat(to_dir, name, 0700) < 0)
		return fail(c, errno, "create");
	to = openat(to_dir, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return fail(c, errno, "open");
	r = copy_dir(c, from, to);
	if (r == 0)
		r = copy_attributes(c, from, to, st);
	c->depth--;
	return r;
}

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* 1 if the file was copied under another name already and is linked now. */
static int copy_link(struct copy *c, int to_dir, const char *name,
		     const struct stat *st)
{
	struct link *link, **found;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return 0;
	link = xmalloc(sizeof(*link) + c->path_len + 1);
	link->ino = st->st_ino;
	memcpy(link->path, c->path + 1, c->path_len);
	found = tsearch(link, &c->links, compare_links);
	if (!found) {
		free(link);
		return fail(c, ENOMEM, "link");
	}
	if (*found == link)
		return 0;
	free(link);
	if (linkat(c->to_root, (*found)->path, to_dir, name, 0) < 0)
		return fail(c, errno, "link");
	return 1;
}

static int copy_entry(struct copy *c, int from_dir, int to_dir,
		      const char *name)
{
	struct stat st;
	int r;

	if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(c, errno, "examine");
	r = copy_link(c, to_dir, name, &st);
	if (r != 0)
		return r < 0 ? r : 0;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(c, from_dir, to_dir, name, &st);
	case S_IFDIR:
		return copy_subdir(c, from_dir, to_dir, name, &st);
	case S_IFLNK:
		return copy_symlink(c, from_dir, to_dir, name, &st);
	case S_IFSOCK:
		return 0;
	default:
		return copy_node(c, to_dir, name, &st);
	}
}

static int copy_dir(struct copy *c, int from, int to)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	int r = 0;
	int fd;

	fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return fail(c, errno, "read");
	}
	while (r == 0 && (de = readdir(dir)) != NULL) {
		size_t len = c->path_len;
		int n;

		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			continue;
		n = snprintf(c->path + len, sizeof(c->path) - len, "/%s",
			     de->d_name);
		if (n < 0 || (size_t)n >= sizeof(c->path) - len)
			return fail(c, ENAMETOOLONG, "copy");
		c->path_len += (size_t)n;
		r = copy_entry(c, fd, to, de->d_name);
		c->path_len = len;
		c->path[len] = '\0';
	}
	return r;
}

int tree_copy(int from, int to, struct error *err)
{
	struct copy c = {.to_root = to, .err = err};
	cleanup_fd int fd = -EBADF;
	struct stat st;
	int r;

	fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(&c, errno, "open");
	r = copy_dir(&c, fd, to);
	if (r == 0)
		r = copy_attributes(&c, fd, to, &st);
	tdestroy(c.links, free);
	return r;
}
