/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/syscalls.h"

#define IN_ROOT_TRIES 1000
#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

bool path_equal(const char *a, const char *b)
{
	cleanup_free char *clean_a = path_clean(a);
	cleanup_free char *clean_b = path_clean(b);

	return strcmp(clean_a, clean_b) == 0;
}

bool path_is_absolute(const char *path)
{
	return path[0] == '/';
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool path_is_below(const char *path, const char *below)
{
	size_t len = strlen(below);

	if (strcmp(below, "/") == 0)
		return path[0] == '/';
	return strncmp(path, below, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}

/* Drops the last component of what was written behind ROOT bytes. */
static bool drop_last(struct strbuf *out, size_t root)
{
	size_t len = out->len;

	if (len <= root)
		return false;
	if (len - root >= 2 && strcmp(out->buf + len - 2, "..") == 0 &&
	    (len - root == 2 || out->buf[len - 3] == '/'))
		return false;
	while (len > root && out->buf[len - 1] != '/')
		len--;
	if (len > root)
		len--;
	strbuf_setlen(out, len);
	return true;
}

char *path_clean(const char *path)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	size_t root = path[0] == '/' ? 1 : 0;

	if (root)
		strbuf_addch(&out, '/');
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 0) {
			path++;
			continue;
		}
		if (len == 2 && strncmp(path, "..", 2) == 0) {
			if (!drop_last(&out, root) && !root) {
				if (out.len)
					strbuf_addch(&out, '/');
				strbuf_addstr(&out, "..");
			}
		} else if (!(len == 1 && path[0] == '.')) {
			if (out.len > root)
				strbuf_addch(&out, '/');
			strbuf_add(&out, path, len);
		}
		path += len;
	}
	if (out.len == 0)
		strbuf_addch(&out, '.');
	return strbuf_detach(&out);
}

static int open_below(int dirfd, const char *path, uint64_t flags,
		      uint64_t resolve)
{
	int fd = -EAGAIN;

	/* ".." is refused with EAGAIN while anything is renamed or mounted
	 * anywhere on the machine; openat2(2) says try again. */
	for (int i = 0; fd == -EAGAIN && i < IN_ROOT_TRIES; i++)
		fd = sys_openat2(dirfd, *path ? path : ".", flags | O_CLOEXEC,
				 0, resolve);
	return fd;
}

int open_in_root(int rootfd, const char *path, uint64_t flags)
{
	return open_below(rootfd, path, flags, IN_ROOT);
}

int open_beneath(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	return open_below(dirfd, path, flags,
			  RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve);
}

/* Opens or makes the directory at the first LEN bytes of PATH. */
static int step_in_root(int rootfd, const char *path, size_t len, mode_t mode)
{
	cleanup_free char *prefix = xstrndup(path, len);
	cleanup_free char *parent = NULL;
	cleanup_fd int dirfd = -EBADF;
	char *slash;
	int fd;

	fd = open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY);
	if (fd != -ENOENT)
		return fd;
	slash = strrchr(prefix, '/');
	parent = slash ? xstrndup(prefix, (size_t)(slash - prefix))
		       : xstrdup(".");
	dirfd = open_in_root(rootfd, *parent ? parent : "/",
			     O_PATH | O_DIRECTORY);
	if (dirfd < 0)
		return dirfd;
	/* A dangling symlink is EEXIST here and stays ENOENT below. */
	if (mkdirat(dirfd, path_base(prefix), 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = sys_openat2(dirfd, path_base(prefix),
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (fd >= 0 && fchmod(fd, mode) < 0) {
		fd_close(&fd);
		return -errno;
	}
	return fd;
}

int mkdir_in_root(int rootfd, const char *path, mode_t mode)
{
	cleanup_free char *clean = path_clean(path);
	cleanup_fd int fd = -EBADF;
	size_t len = strlen(clean);

	fd = open_in_root(rootfd, "/", O_PATH | O_DIRECTORY);
	for (size_t i = clean[0] == '/' ? 1 : 0; i < len && fd >= 0; i++) {
		size_t end = i + strcspn(clean + i, "/");

		fd_close(&fd);
		fd = step_in_root(rootfd, clean, end, mode);
		i = end;
	}
	return TAKE_FD(fd);
}

int mkfile_in_root(int rootfd, const char *path, mode_t mode)
{
	cleanup_free char *clean = path_clean(path);
	cleanup_free char *parent = NULL;
	cleanup_fd int dirfd = -EBADF;
	cleanup_fd int made = -EBADF;
	int fd;

	fd = open_in_root(rootfd, clean, O_PATH);
	if (fd != -ENOENT)
		return fd;
	parent = xstrndup(clean, (size_t)(path_base(clean) - clean));
	dirfd = mkdir_in_root(rootfd, *parent ? parent : "/", 0755);
	if (dirfd < 0)
		return dirfd;
	made = openat(dirfd, path_base(clean),
		      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      mode);
	if (made < 0)
		return -errno;
	return sys_openat2(dirfd, path_base(clean), O_PATH | O_CLOEXEC, 0,
			   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

int dir_names(int fd, struct strv *ret)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		int code = errno;

		fd_close(&copy);
		return -code;
	}
	for (errno = 0; (e = readdir(dir)); errno = 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			strv_push(ret, e->d_name);
	if (errno)
		return -errno;
	strv_sort(ret);
	return 0;
}

int mkdir_p_at(int dirfd, const char *path, mode_t mode)
{
	cleanup_free char *copy = xstrdup(path);

	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int remove_entries(int fd, dev_t dev);

static int remove_dir(int dirfd, const char *name, dev_t dev)
{
	cleanup_fd int fd = -EBADF;
	struct stat st;
	int r;

	fd = openat(dirfd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (dev && st.st_dev != dev)
		return -EXDEV;
	r = remove_entries(TAKE_FD(fd), st.st_dev);
	if (r < 0)
		return r;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static int remove_entry(int dirfd, const char *name, dev_t dev)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	return remove_dir(dirfd, name, dev);
}

/* Empties the directory FD, which it takes. */
static int remove_entries(int fd, dev_t dev)
{
	cleanup_dir DIR *dir = fdopendir(fd);
	struct dirent *de;

	if (!dir) {
		fd_close(&fd);
		return -errno;
	}
	while ((de = readdir(dir))) {
		int r;

		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			continue;
		r = remove_entry(dirfd(dir), de->d_name, dev);
		if (r < 0)
			return r;
	}
	return 0;
}

int remove_tree_at(int dirfd, const char *name, struct error *err)
{
	int r = remove_entry(dirfd, name, 0);

	if (r < 0 && r != -ENOENT)
		return error_sys(err, -r, "remove %s", name);
	return 0;
}

int path_libexec(char **ret, struct error *err)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return error_sys(err, errno, "read /proc/self/exe");
	exe[n] = '\0';
	for (int level = 0; level < 2; level++) {
		char *slash = strrchr(exe, '/');

		if (!slash)
			return error_set(err, ENOENT,
					 "find libexec: %s has no parent", exe);
		*slash = '\0';
	}
	*ret = xasprintf("%s/libexec/rkt", exe);
	return 0;
}

const char *proc_fd_path(int fd, char *buf)
{
	(void)snprintf(buf, PROC_FD_MAX, "/proc/self/fd/%d", fd);
	return buf;
}
