/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tree_merge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "aci/aci_check.h"
#include "aci/render.h"
#include "aci/whiteout.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"

struct merge {
	const struct render_pass *pass;
	struct strbuf path; /* of the directory at hand, "" = rootfs */
	struct error *err;
};

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int merge_dir(struct merge *m, int src, int dst);

static int fail(struct merge *m, int code, const char *what, const char *name)
{
	return error_sys(m->err, code, "%s %s/%s", what, m->path.buf, name);
}

/* Names first: entries leave the directory while it is worked on. */
static int read_names(int fd, struct strv *ret)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		int code = errno;

		fd_close(&copy);
		return -code;
	}
	rewinddir(dir);
	for (errno = 0; (e = readdir(dir)); errno = 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			strv_push(ret, e->d_name);
	return -errno;
}

#define XATTR_LIST_MAX 65536

static int clear_xattrs(int fd)
{
	cleanup_free char *list = xmalloc(XATTR_LIST_MAX);
	ssize_t n = flistxattr(fd, list, XATTR_LIST_MAX);

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = list; name < list + n; name += strlen(name) + 1)
		(void)fremovexattr(fd, name);
	return 0;
}

static int copy_xattrs(int src, int dst)
{
	cleanup_free char *list = xmalloc(XATTR_LIST_MAX);
	cleanup_free char *value = xmalloc(XATTR_SIZE_MAX);
	ssize_t n = flistxattr(src, list, XATTR_LIST_MAX);

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = list; name < list + n;
	     name += strlen(name) + 1) {
		ssize_t len = fgetxattr(src, name, value, XATTR_SIZE_MAX);

		if (len < 0 || fsetxattr(dst, name, value, (size_t)len, 0) < 0)
			return -errno;
	}
	return 0;
}

static int set_times(int fd, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	return futimens(fd, times) < 0 ? -errno : 0;
}

/*
 * ST is what SRC was before files were moved out of it: that changes times.
 * Mode after owner: a chown drops the set-ID bits.
 */
static int copy_attributes(int src, const struct stat *st, int dst)
{
	int r;

	if (fchown(dst, st->st_uid, st->st_gid) < 0)
		return -errno;
	r = clear_xattrs(dst);
	if (r >= 0)
		r = copy_xattrs(src, dst);
	if (r < 0)
		return r;
	if (fchmod(dst, st->st_mode & 07777) < 0)
		return -errno;
	return set_times(dst, st);
}

/* True if something below the directory SRC is kept; M's path leads to it. */
static bool any_kept(struct merge *m, int src)
{
	cleanup_strv struct strv names = STRV_INIT;
	size_t len = m->path.len;
	bool kept = false;

	if (read_names(src, &names) < 0)
		return false;
	for (size_t i = 0; i < names.n && !kept; i++) {
		cleanup_fd int fd = -EBADF;

		strbuf_addf(&m->path, "/%s", names.v[i]);
		kept = render_keeps(m->pass, m->path.buf);
		if (!kept)
			fd = openat(src, names.v[i], OPEN_DIR);
		if (fd >= 0)
			kept = any_kept(m, fd);
		strbuf_setlen(&m->path, len);
	}
	return kept;
}

static int move(struct merge *m, int src, int dst, const char *name)
{
	if (renameat(src, name, dst, name) < 0)
		return fail(m, errno, "put in place", name);
	return 0;
}

/* No entry of the layer: it says nothing about the directory's attributes. */
static bool is_implied(const struct stat *st)
{
	return st->st_mtim.tv_sec == 0 &&
	       st->st_mtim.tv_nsec == ACI_IMPLIED_MTIME_NSEC;
}

/* NAME below DST as a directory, whatever it was; made 0755, 0:0. */
static int open_target(struct merge *m, int dst, const char *name)
{
	int fd = openat(dst, name, OPEN_DIR);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT && unlinkat(dst, name, 0) < 0)
		return fail(m, errno, "replace", name);
	if (mkdirat(dst, name, 0755) < 0)
		return fail(m, errno, "create directory", name);
	fd = openat(dst, name, OPEN_DIR);
	if (fd < 0 || fchmod(fd, 0755) < 0)
		return fail(m, errno, "open directory", name);
	return fd;
}

/* FROM over TO; KEPT: FROM itself is let through. */
static int merge_opened(struct merge *m, int from, int to, bool kept)
{
	struct stat upper, lower;
	int r;

	if (fstat(from, &upper) < 0 || fstat(to, &lower) < 0)
		return fail(m, errno, "stat", "");
	r = merge_dir(m, from, to);
	if (r < 0)
		return r;
	if (kept && !is_implied(&upper))
		r = copy_attributes(from, &upper, to);
	else
		r = set_times(to, &lower);
	return r < 0 ? fail(m, -r, "set attributes of", "") : 0;
}

static int merge_subdir(struct merge *m, int src, int dst, const char *name)
{
	cleanup_fd int from = openat(src, name, OPEN_DIR);
	cleanup_fd int to = -EBADF;
	size_t len = m->path.len;
	bool kept, wanted;
	int r;

	if (from < 0)
		return fail(m, errno, "open directory", name);
	strbuf_addf(&m->path, "/%s", name);
	kept = render_keeps(m->pass, m->path.buf);
	wanted = kept || any_kept(m, from);
	strbuf_setlen(&m->path, len);
	if (!wanted)
		return 0;
	to = open_target(m, dst, name);
	if (to < 0)
		return to;
	strbuf_addf(&m->path, "/%s", name);
	r = merge_opened(m, from, to, kept);
	strbuf_setlen(&m->path, len);
	return r;
}

/* --- whiteouts ------------------------------------------------------------ */

static int remove_all(struct merge *m, int dirfd)
{
	cleanup_strv struct strv names = STRV_INIT;
	int r = read_names(dirfd, &names);

	if (r < 0)
		return fail(m, -r, "read directory", "");
	for (size_t i = 0; r >= 0 && i < names.n; i++)
		r = remove_tree_at(dirfd, names.v[i], m->err);
	return r;
}

/* What NAME, in the layer's directory SRC, says of DST; then it goes. */
static int apply_whiteout(struct merge *m, int src, int dst, const char *name)
{
	const char *target = name + strlen(WHITEOUT_PREFIX);
	enum whiteout kind = whiteout_of(name);
	int r = 0;

	if (kind == WHITEOUT_ALL)
		r = remove_all(m, dst);
	else if (kind == WHITEOUT_NAME &&
		 faccessat(dst, target, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = remove_tree_at(dst, target, m->err);
	if (r >= 0 && unlinkat(src, name, 0) < 0)
		r = fail(m, errno, "remove whiteout", name);
	return r;
}

/* Before anything of the layer is there; NAMES are what then remains. */
static int apply_whiteouts(struct merge *m, int src, int dst,
			   const struct strv *all, struct strv *names)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < all->n; i++) {
		if (whiteout_of(all->v[i]) == WHITEOUT_NONE)
			strv_push(names, all->v[i]);
		else
			r = apply_whiteout(m, src, dst, all->v[i]);
	}
	return r;
}

/* Whiteouts in the directory NAME, which has nothing below it. */
static int strip_dir(struct merge *m, int dirfd, const char *name)
{
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_fd int fd = openat(dirfd, name, OPEN_DIR);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(m, errno, "open directory", name);
	r = read_names(fd, &names);
	if (r < 0)
		return fail(m, -r, "read directory", name);
	for (size_t i = 0; r >= 0 && i < names.n; i++) {
		struct stat entry;

		if (whiteout_of(names.v[i]) != WHITEOUT_NONE) {
			if (unlinkat(fd, names.v[i], 0) < 0)
				r = fail(m, errno, "remove whiteout", name);
		} else if (fstatat(fd, names.v[i], &entry,
				   AT_SYMLINK_NOFOLLOW) < 0) {
			r = fail(m, errno, "stat", names.v[i]);
		} else if (S_ISDIR(entry.st_mode)) {
			r = strip_dir(m, fd, names.v[i]);
		}
	}
	if (r >= 0 && set_times(fd, &st) < 0)
		r = fail(m, errno, "set times of", name);
	return r;
}

static int merge_entry(struct merge *m, int src, int dst, const char *name)
{
	struct stat from, to;
	bool exists = fstatat(dst, name, &to, AT_SYMLINK_NOFOLLOW) == 0;
	size_t len = m->path.len;
	bool kept;
	int r = 0;

	if (fstatat(src, name, &from, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(m, errno, "stat", name);
	if (S_ISDIR(from.st_mode) && !exists && !m->pass->is_filtered) {
		r = move(m, src, dst, name);
		return r < 0 || !m->pass->is_layer ? r
						   : strip_dir(m, dst, name);
	}
	if (S_ISDIR(from.st_mode))
		return merge_subdir(m, src, dst, name);
	strbuf_addf(&m->path, "/%s", name);
	kept = render_keeps(m->pass, m->path.buf);
	strbuf_setlen(&m->path, len);
	if (!kept)
		return 0;
	if (exists && S_ISDIR(to.st_mode))
		r = remove_tree_at(dst, name, m->err);
	return r < 0 ? r : move(m, src, dst, name);
}

static int merge_dir(struct merge *m, int src, int dst)
{
	cleanup_strv struct strv all = STRV_INIT;
	cleanup_strv struct strv visible = STRV_INIT;
	const struct strv *names = m->pass->is_layer ? &visible : &all;
	int r = read_names(src, &all);

	if (r < 0)
		return fail(m, -r, "read directory", "");
	if (m->pass->is_layer)
		r = apply_whiteouts(m, src, dst, &all, &visible);
	for (size_t i = 0; r >= 0 && i < names->n; i++)
		r = merge_entry(m, src, dst, names->v[i]);
	return r;
}

int tree_merge(int src, int dst, const struct render_pass *pass,
	       struct error *err)
{
	struct merge m = {.pass = pass, .path = STRBUF_INIT, .err = err};
	int r = merge_opened(&m, src, dst, true);

	strbuf_release(&m.path);
	return r;
}
