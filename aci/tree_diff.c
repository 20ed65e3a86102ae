/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tree_diff.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"

struct diff {
	struct strbuf path; /* of the entry at hand */
	struct tree_changes changes;
	struct error *err;
};

/* One side of an entry; dirfd < 0: it is not there. */
struct side {
	int dirfd;
	struct stat st;
};

static int fails(struct diff *d, int code)
{
	return error_sys(d->err, code, "compare %s",
			 d->path.len ? d->path.buf : "/");
}

void tree_changes_release(struct tree_changes *changes)
{
	for (size_t i = 0; i < changes->n; i++)
		free(changes->v[i].path);
	free(changes->v);
	*changes = (struct tree_changes)TREE_CHANGES_INIT;
}

static uint64_t file_size(const struct side *s)
{
	return s->dirfd >= 0 && S_ISREG(s->st.st_mode) ? (uint64_t)s->st.st_size
						       : 0;
}

static void add_change(struct diff *d, const struct side *a,
		       const struct side *b, unsigned int what)
{
	struct tree_changes *c = &d->changes;

	c->v = xreallocarray(c->v, c->n + 1, sizeof(*c->v));
	c->v[c->n++] = (struct tree_change){
		.kind = a->dirfd < 0   ? TREE_ADDED
			: b->dirfd < 0 ? TREE_REMOVED
				       : TREE_CHANGED,
		.what = what,
		.path = xstrdup(d->path.len ? d->path.buf : "/"),
		.before = file_size(a),
		.after = file_size(b),
	};
}

/* Of files and directories. */
static int compare_opened(const struct side *a, const struct side *b,
			  const char *name, unsigned int *what)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	cleanup_fd int x = openat(a->dirfd, name, flags);
	cleanup_fd int y = openat(b->dirfd, name, flags);
	int same;

	if (x < 0 || y < 0)
		return -errno;
	same = same_xattrs(x, y);
	if (same == 0)
		*what |= TREE_DIFFERS_XATTRS;
	if (same < 0 || S_ISDIR(a->st.st_mode))
		return same;
	same = a->st.st_size == b->st.st_size ? same_content(x, y) : 0;
	if (same == 0)
		*what |= TREE_DIFFERS_CONTENT;
	return same;
}

static int compare_link(const struct side *a, const struct side *b,
			const char *name, unsigned int *what)
{
	char x[PATH_MAX], y[PATH_MAX];
	ssize_t n = readlinkat(a->dirfd, name, x, sizeof(x));
	ssize_t m = readlinkat(b->dirfd, name, y, sizeof(y));

	if (n < 0 || m < 0)
		return -errno;
	if (n != m || memcmp(x, y, (size_t)n) != 0)
		*what |= TREE_DIFFERS_TARGET;
	return 0;
}

static unsigned int compare_stat(const struct stat *a, const struct stat *b)
{
	unsigned int what = 0;

	if ((a->st_mode & 07777) != (b->st_mode & 07777))
		what |= TREE_DIFFERS_MODE;
	if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		what |= TREE_DIFFERS_OWNER;
	if (a->st_rdev != b->st_rdev)
		what |= TREE_DIFFERS_DEVICE;
	return what;
}

/* Both are there, and of one type. */
static int compare_pair(struct diff *d, const struct side *a,
			const struct side *b, const char *name)
{
	unsigned int what = compare_stat(&a->st, &b->st);
	int r = 0;

	if (S_ISREG(a->st.st_mode) || S_ISDIR(a->st.st_mode))
		r = compare_opened(a, b, name, &what);
	else if (S_ISLNK(a->st.st_mode))
		r = compare_link(a, b, name, &what);
	if (r < 0)
		return fails(d, -r);
	if (what)
		add_change(d, a, b, what);
	return 0;
}

static int diff_dirs(struct diff *d, int before, int after);

static int open_side(const struct side *s, const char *name)
{
	if (s->dirfd < 0 || !S_ISDIR(s->st.st_mode))
		return -EBADF;
	return openat(s->dirfd, name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int diff_below(struct diff *d, const struct side *a,
		      const struct side *b, const char *name)
{
	cleanup_fd int x = open_side(a, name);
	cleanup_fd int y = open_side(b, name);

	return x < 0 && y < 0 ? 0 : diff_dirs(d, x, y);
}

static int diff_entry(struct diff *d, struct side *a, struct side *b,
		      const char *name)
{
	struct side *const sides[] = {a, b};
	int r = 0;

	for (size_t i = 0; i < 2; i++)
		if (sides[i]->dirfd >= 0 &&
		    fstatat(sides[i]->dirfd, name, &sides[i]->st,
			    AT_SYMLINK_NOFOLLOW) < 0)
			return fails(d, errno);
	d->changes.before += file_size(a);
	d->changes.after += file_size(b);
	if (a->dirfd < 0 || b->dirfd < 0)
		add_change(d, a, b, 0);
	else if ((a->st.st_mode & S_IFMT) != (b->st.st_mode & S_IFMT))
		add_change(d, a, b, TREE_DIFFERS_TYPE);
	else
		r = compare_pair(d, a, b, name);
	return r < 0 ? r : diff_below(d, a, b, name);
}

/* The names of both in one order; a side that has not the name is none. */
static int diff_dirs(struct diff *d, int before, int after)
{
	cleanup_strv struct strv a = STRV_INIT;
	cleanup_strv struct strv b = STRV_INIT;
	size_t len = d->path.len;
	size_t i = 0, k = 0;
	int r = before < 0 ? 0 : dir_names(before, &a);

	if (r >= 0 && after >= 0)
		r = dir_names(after, &b);
	if (r < 0)
		return fails(d, -r);
	while (r >= 0 && (i < a.n || k < b.n)) {
		int order = i == a.n   ? 1
			    : k == b.n ? -1
				       : strcmp(a.v[i], b.v[k]);
		const char *name = order <= 0 ? a.v[i] : b.v[k];
		struct side x = {.dirfd = order <= 0 ? before : -EBADF};
		struct side y = {.dirfd = order >= 0 ? after : -EBADF};

		strbuf_addf(&d->path, "/%s", name);
		r = diff_entry(d, &x, &y, name);
		strbuf_setlen(&d->path, len);
		i += order <= 0;
		k += order >= 0;
	}
	return r;
}

int tree_diff(int before, int after, struct tree_changes *ret,
	      struct error *err)
{
	struct diff d = {STRBUF_INIT, TREE_CHANGES_INIT, err};
	struct side a = {.dirfd = before}, b = {.dirfd = after};
	unsigned int what;
	int r;

	if (fstat(before, &a.st) < 0 || fstat(after, &b.st) < 0)
		return fails(&d, errno);
	what = compare_stat(&a.st, &b.st);
	if (what)
		add_change(&d, &a, &b, what);
	r = diff_dirs(&d, before, after);
	strbuf_release(&d.path);
	if (r < 0)
		tree_changes_release(&d.changes);
	else
		*ret = d.changes;
	return r;
}
