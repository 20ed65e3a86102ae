/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tree_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
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

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct compare {
	struct strbuf path; /* of the entry at hand */
	struct error *err;
};

static int differs(struct compare *c, const char *what)
{
	return error_set(c->err, EBADMSG, "%s of %s differs", what,
			 c->path.len ? c->path.buf : "/");
}

static int fails(struct compare *c, int code)
{
	return error_sys(c->err, code, "compare %s",
			 c->path.len ? c->path.buf : "/");
}

static int compare_stat(struct compare *c, const struct stat *a,
			const struct stat *b)
{
	bool is_dir = S_ISDIR(a->st_mode);

	if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
		return differs(c, "type");
	if (a->st_mode != b->st_mode)
		return differs(c, "mode");
	if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		return differs(c, "owner");
	if (!is_dir && a->st_size != b->st_size)
		return differs(c, "size");
	if (!is_dir && a->st_nlink != b->st_nlink)
		return differs(c, "number of links");
	if (a->st_rdev != b->st_rdev)
		return differs(c, "device number");
	if (!is_dir && a->st_mtim.tv_sec != b->st_mtim.tv_sec)
		return differs(c, "modification time");
	return 0;
}

static int compare_link(struct compare *c, int have, int want, const char *name)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t n = readlinkat(have, name, a, sizeof(a));
	ssize_t m = readlinkat(want, name, b, sizeof(b));

	if (n < 0 || m < 0)
		return fails(c, errno);
	if (n != m || memcmp(a, b, (size_t)n) != 0)
		return differs(c, "link target");
	return 0;
}

static int compare_content(struct compare *c, int a, int b)
{
	int r = same_content(a, b);

	if (r < 0)
		return fails(c, -r);
	return r ? 0 : differs(c, "content");
}

static int compare_xattrs(struct compare *c, int a, int b)
{
	int r = same_xattrs(a, b);

	if (r < 0)
		return fails(c, -r);
	return r ? 0 : differs(c, "an extended attribute");
}

static int compare_dir(struct compare *c, int have, int want);

static int compare_opened(struct compare *c, int have, int want,
			  const char *name, bool is_dir)
{
	int flags = is_dir ? OPEN_DIR
			   : O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	cleanup_fd int a = openat(have, name, flags);
	cleanup_fd int b = openat(want, name, flags);
	int r;

	if (a < 0 || b < 0)
		return fails(c, errno);
	if (is_dir)
		return compare_dir(c, a, b);
	r = compare_xattrs(c, a, b);
	return r < 0 ? r : compare_content(c, a, b);
}

static int compare_entry(struct compare *c, int have, int want,
			 const char *name)
{
	struct stat a, b;
	int r;

	if (fstatat(have, name, &a, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(want, name, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return fails(c, errno);
	r = compare_stat(c, &a, &b);
	if (r < 0)
		return r;
	if (S_ISLNK(a.st_mode))
		return compare_link(c, have, want, name);
	if (!S_ISREG(a.st_mode) && !S_ISDIR(a.st_mode))
		return 0;
	return compare_opened(c, have, want, name, S_ISDIR(a.st_mode));
}

static int compare_names(struct compare *c, const struct strv *a,
			 const struct strv *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->v[i], b->v[i]) == 0;
	return same ? 0 : differs(c, "the list of files");
}

static int compare_dir(struct compare *c, int have, int want)
{
	cleanup_strv struct strv a = STRV_INIT;
	cleanup_strv struct strv b = STRV_INIT;
	size_t len = c->path.len;
	int r;

	r = dir_names(have, &a);
	if (r >= 0)
		r = dir_names(want, &b);
	if (r < 0)
		return fails(c, -r);
	r = compare_names(c, &a, &b);
	if (r >= 0)
		r = compare_xattrs(c, have, want);
	for (size_t i = 0; r >= 0 && i < a.n; i++) {
		strbuf_addf(&c->path, "/%s", a.v[i]);
		r = compare_entry(c, have, want, a.v[i]);
		strbuf_setlen(&c->path, len);
	}
	return r;
}

int tree_compare(int have, int want, struct error *err)
{
	struct compare c = {.path = STRBUF_INIT, .err = err};
	struct stat a, b;
	int r;

	if (fstat(have, &a) < 0 || fstat(want, &b) < 0)
		return fails(&c, errno);
	r = compare_stat(&c, &a, &b);
	if (r >= 0)
		r = compare_dir(&c, have, want);
	strbuf_release(&c.path);
	return r;
}
