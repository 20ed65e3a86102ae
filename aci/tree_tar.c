/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tree_tar.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "aci/fetch_types.h"
#include "aci/image_tree.h"
#include "aci/layout.h"
#include "aci/tar_entry.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"

#define COPY_SIZE (256UL << 10)
#define WHITEOUT ".wh."

struct writer {
	const struct tree_tar *t;
	struct archive *a;
	int failed; /* errno of the first write that failed */
	struct strbuf path;
	uint64_t total; /* bytes of files' data */
	size_t n;	/* entries */
	uint8_t *buf;	/* COPY_SIZE */
};

static locale_t utf8;

int tree_tar_prepare(struct error *err)
{
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return utf8 ? 0 : error_sys(err, errno, "use the locale C.UTF-8");
}

/* Never fails for the library: an archive it has given up it does not free. */
static la_ssize_t on_write(struct archive *a, void *arg, const void *data,
			   size_t n)
{
	struct writer *w = arg;
	int r = w->failed ? 0 : w->t->write(w->t->arg, data, n);

	(void)a;
	if (r < 0)
		w->failed = -r;
	return (la_ssize_t)n;
}

static int fail(struct writer *w, struct error *err)
{
	const char *text = archive_error_string(w->a);
	int code = archive_errno(w->a);

	if (w->failed)
		return error_sys(err, w->failed, "write the image");
	return error_set(err, code > 0 ? code : EIO, "write the image: %s",
			 text ? text : "unknown error");
}

/* --- data ---------------------------------------------------------------- */

static int write_data(struct writer *w, const void *data, size_t n,
		      struct error *err)
{
	bool done = archive_write_data(w->a, data, n) == (la_ssize_t)n;

	return done && !w->failed ? 0 : fail(w, err);
}

static int write_zeros(struct writer *w, uint64_t n, struct error *err)
{
	int r = 0;

	memset(w->buf, 0, COPY_SIZE);
	while (r == 0 && n > 0) {
		size_t part = n < COPY_SIZE ? (size_t)n : COPY_SIZE;

		r = write_data(w, w->buf, part, err);
		n -= part;
	}
	return r;
}

static int too_short(struct error *err)
{
	return error_set(err, EBADMSG,
			 "read the stored image: it is too short");
}

static int write_extent(struct writer *w, const struct image_extent *e,
			uint64_t len, struct error *err)
{
	const struct strbuf *literals = image_pool_literals(w->t->tree->pool);
	uint64_t at = e->physical;
	int r = 0;

	if (e->device == IMAGE_LITERAL)
		return at > literals->len || len > literals->len - at
			       ? too_short(err)
			       : write_data(w, literals->buf + at, (size_t)len,
					    err);
	while (r == 0 && len > 0) {
		size_t part = len < COPY_SIZE ? (size_t)len : COPY_SIZE;
		ssize_t n = pread_full(w->t->blob_fds[e->device], w->buf, part,
				       (off_t)at);

		if (n < 0)
			return error_sys(err, (int)-n, "read the stored image");
		if (n != (ssize_t)part)
			return too_short(err);
		r = write_data(w, w->buf, part, err);
		at += part;
		len -= part;
	}
	return r;
}

/* An extent is whole blocks; the file ends where it ends. */
static int write_content(struct writer *w, const struct image_inode *inode,
			 struct error *err)
{
	uint64_t at = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < inode->n_extents; i++) {
		const struct image_extent *e = &inode->extents[i];
		uint64_t left, len;

		if (e->logical >= inode->size)
			break;
		left = inode->size - e->logical;
		len = e->len < left ? e->len : left;
		r = write_zeros(w, e->logical - at, err);
		if (r == 0)
			r = write_extent(w, e, len, err);
		at = e->logical + len;
	}
	return r < 0 ? r : write_zeros(w, inode->size - at, err);
}

/* --- entries ------------------------------------------------------------- */

static struct archive_entry *entry_make(const struct writer *w,
					const struct image_inode *inode)
{
	const struct stat st = {
		.st_mode = inode->mode,
		.st_uid = inode->uid,
		.st_gid = inode->gid,
		.st_rdev = makedev(inode->major, inode->minor),
		.st_size = (off_t)inode->size,
		.st_mtim = {inode->mtime, inode->mtime_nsec},
	};
	struct archive_entry *e =
		tar_entry_new(w->path.len ? w->path.buf : "./", &st);

	if (S_ISLNK(inode->mode))
		archive_entry_copy_symlink(e, inode->target);
	for (size_t i = 0; i < inode->n_xattrs; i++)
		archive_entry_xattr_add_entry(e, inode->xattrs[i].name,
					      inode->xattrs[i].value,
					      inode->xattrs[i].len);
	return e;
}

static int write_header(struct writer *w, struct archive_entry *e,
			struct error *err)
{
	bool is_put = tar_entry_put(w->a, e);

	w->n++;
	if (is_put && !w->failed)
		return 0;
	return error_prefix(err, fail(w, err), "%s", w->path.buf);
}

static int check_entry(struct writer *w, const struct image_entry *e,
		       struct error *err)
{
	uint64_t size = S_ISREG(e->inode->mode) ? e->inode->size : 0;

	if (!w->t->manifest && e->name_len >= strlen(WHITEOUT) &&
	    memcmp(e->name, WHITEOUT, strlen(WHITEOUT)) == 0)
		return error_set(err, EINVAL,
				 "%s: in an OCI image a file of this name "
				 "removes another",
				 w->path.buf);
	if (size > FETCH_TAR_SIZE_MAX - w->total)
		return error_set(err, EFBIG,
				 "write the image: it would be longer than "
				 "%llu GiB",
				 FETCH_TAR_SIZE_MAX >> 30);
	w->total += size;
	return 0;
}

/* The first name of an inode brings it, the others are links to that. */
static int write_inode(struct writer *w, struct image_inode *inode,
		       struct error *err)
{
	cleanup_entry struct archive_entry *e = entry_make(w, inode);
	bool is_link = inode->visited == w;
	int r;

	if (is_link) {
		archive_entry_set_size(e, 0);
		archive_entry_copy_hardlink(e, inode->link);
	} else if (!S_ISDIR(inode->mode)) {
		inode->visited = w;
		inode->link = image_pool_copy(w->t->tree->pool, w->path.buf,
					      w->path.len);
	}
	r = write_header(w, e, err);
	if (r < 0 || is_link || !S_ISREG(inode->mode))
		return r;
	return write_content(w, inode, err);
}

static int by_name(const void *a, const void *b)
{
	const struct image_entry *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int write_below(struct writer *w, const struct image_entry *dir,
		       struct error *err);

static int write_entry(struct writer *w, const struct image_entry *e,
		       struct error *err)
{
	int r = check_entry(w, e, err);

	if (r < 0 || S_ISSOCK(e->inode->mode))
		return r;
	if (!e->is_implied || w->t->with_implied)
		r = write_inode(w, e->inode, err);
	return r < 0 ? r : write_below(w, e, err);
}

/* The depth is bounded by that of paths (aci_check.h). */
static int write_below(struct writer *w, const struct image_entry *dir,
		       struct error *err)
{
	cleanup_free const struct image_entry **children = NULL;
	size_t n = 0, len = w->path.len;
	int r = 0;

	for (const struct image_entry *c = dir->first; c; c = c->next)
		n++;
	children = xreallocarray(NULL, n + 1, sizeof(*children));
	n = 0;
	for (const struct image_entry *c = dir->first; c; c = c->next)
		if (c->inode && !c->is_whiteout)
			children[n++] = c;
	qsort(children, n, sizeof(*children), by_name);
	for (size_t i = 0; r == 0 && i < n; i++) {
		strbuf_addf(&w->path, "%s%s", len ? "/" : "",
			    children[i]->name);
		r = write_entry(w, children[i], err);
		strbuf_setlen(&w->path, len);
	}
	return r;
}

static int write_manifest(struct writer *w, const struct strbuf *manifest,
			  struct error *err)
{
	struct image_inode inode = {
		.mode = S_IFREG | 0644,
		.size = manifest->len,
	};
	cleanup_entry struct archive_entry *e = NULL;
	int r;

	strbuf_addstr(&w->path, ACI_MANIFEST);
	e = entry_make(w, &inode);
	r = write_header(w, e, err);
	strbuf_reset(&w->path);
	return r < 0 ? r : write_data(w, manifest->buf, manifest->len, err);
}

static int write_entries(struct writer *w, struct error *err)
{
	const struct tree_tar *t = w->t;
	const struct image_entry *rootfs = image_tree_find(t->tree, ACI_ROOTFS);
	int r = 0;

	if (!rootfs && t->manifest)
		return error_set(err, EINVAL, "the image has no rootfs");
	if (t->manifest)
		r = write_manifest(w, t->manifest, err);
	if (r < 0 || !rootfs)
		return r;
	if (t->manifest)
		strbuf_addstr(&w->path, ACI_ROOTFS);
	return write_entry(w, rootfs, err);
}

static int write_all(struct writer *w, struct error *err)
{
	int r;

	if (archive_write_set_format_pax(w->a) != ARCHIVE_OK ||
	    archive_write_set_options(w->a, TAR_PAX_OPTIONS) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(w->a, 1) != ARCHIVE_OK ||
	    archive_write_open(w->a, w, NULL, on_write, NULL) != ARCHIVE_OK)
		return fail(w, err);
	r = write_entries(w, err);
	if (r < 0)
		return r;
	return archive_write_close(w->a) == ARCHIVE_OK && !w->failed
		       ? 0
		       : fail(w, err);
}

int tree_tar_write(const struct tree_tar *t, size_t *ret_n, struct error *err)
{
	struct writer w = {
		.t = t,
		.a = archive_write_new(),
		.path = STRBUF_INIT,
		.buf = xmalloc(COPY_SIZE),
	};
	locale_t before = uselocale(utf8);
	int r = write_all(&w, err);

	/* After a failure closing would still write: drop what is buffered. */
	if (r < 0 && !w.failed)
		w.failed = -r;
	(void)archive_write_free(w.a);
	(void)uselocale(before);
	strbuf_release(&w.path);
	free(w.buf);
	*ret_n = w.n;
	return r;
}
