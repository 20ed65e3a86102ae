/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tree_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/image_tree.h"
#include "aci/layout.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"

#define COPY_SIZE (256UL << 10)

struct writer {
	struct archive *a;
	struct image_tree *tree;
	const int *blob_fds;
	int out_fd;
	int failed; /* errno of the first write that failed */
	struct strbuf path;
	uint8_t *buf; /* COPY_SIZE */
};

static void tar_entry_free(struct archive_entry *e)
{
	archive_entry_free(e);
}
DEFINE_CLEANUP(struct archive_entry *, tar_entry_free);
#define cleanup_tar_entry cleanup_with(tar_entry_free_cleanup)

/* Never fails for the library: an archive it has given up it does not free. */
static la_ssize_t on_write(struct archive *a, void *arg, const void *data,
			   size_t n)
{
	struct writer *w = arg;
	int r = w->failed ? 0 : write_full(w->out_fd, data, n);

	(void)a;
	if (r < 0)
		w->failed = -r;
	return (la_ssize_t)n;
}

/* After a call of the library that answered R. */
static int check(struct writer *w, int r, struct error *err)
{
	const char *text = archive_error_string(w->a);

	if (w->failed)
		return error_sys(err, w->failed, "write the image");
	if (r == ARCHIVE_OK)
		return 0;
	return error_set(err, EIO, "write the image: %s",
			 text ? text : "unknown error");
}

/* --- data ---------------------------------------------------------------- */

static int write_data(struct writer *w, const void *data, size_t n,
		      struct error *err)
{
	bool done = archive_write_data(w->a, data, n) == (la_ssize_t)n;

	return check(w, done ? ARCHIVE_OK : ARCHIVE_FATAL, err);
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

static int write_extent(struct writer *w, const struct image_extent *e,
			uint64_t len, struct error *err)
{
	const struct strbuf *literals = image_pool_literals(w->tree->pool);
	uint64_t at = e->physical;
	int r = 0;

	if (e->device == IMAGE_LITERAL)
		return write_data(w, literals->buf + at, (size_t)len, err);
	while (r == 0 && len > 0) {
		size_t part = len < COPY_SIZE ? (size_t)len : COPY_SIZE;
		ssize_t n = pread_full(w->blob_fds[e->device], w->buf, part,
				       (off_t)at);

		if (n != (ssize_t)part)
			return error_set(err, EIO, "read a stored tar: %s",
					 n < 0 ? strerrordesc_np((int)-n)
					       : "it is too short");
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
		uint64_t left = inode->size - e->logical;
		uint64_t len = e->len < left ? e->len : left;

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
	struct archive_entry *e = archive_entry_new();

	archive_entry_copy_pathname(e, w->path.buf);
	archive_entry_set_mode(e, inode->mode);
	archive_entry_set_uid(e, inode->uid);
	archive_entry_set_gid(e, inode->gid);
	archive_entry_set_mtime(e, inode->mtime, inode->mtime_nsec);
	archive_entry_set_size(e, S_ISREG(inode->mode) ? (la_int64_t)inode->size
						       : 0);
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
		archive_entry_set_rdevmajor(e, inode->major);
		archive_entry_set_rdevminor(e, inode->minor);
	}
	if (S_ISLNK(inode->mode))
		archive_entry_copy_symlink(e, inode->target);
	for (size_t i = 0; i < inode->n_xattrs; i++)
		archive_entry_xattr_add_entry(e, inode->xattrs[i].name,
					      inode->xattrs[i].value,
					      inode->xattrs[i].len);
	return e;
}

/* The first name of an inode brings it, the others are links to that. */
static int write_inode(struct writer *w, struct image_inode *inode,
		       struct error *err)
{
	cleanup_tar_entry struct archive_entry *e = entry_make(w, inode);
	bool is_link = inode->visited == w;
	int r;

	if (is_link) {
		archive_entry_set_size(e, 0);
		archive_entry_copy_hardlink(e, inode->link);
	} else if (!S_ISDIR(inode->mode)) {
		inode->visited = w;
		inode->link = image_pool_copy(w->tree->pool, w->path.buf,
					      w->path.len);
	}
	r = check(w, archive_write_header(w->a, e), err);
	if (r < 0 || is_link || !S_ISREG(inode->mode))
		return r;
	return write_content(w, inode, err);
}

static int by_name(const void *a, const void *b)
{
	const struct image_entry *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int write_entry(struct writer *w, const struct image_entry *entry,
		       struct error *err)
{
	cleanup_free const struct image_entry **children = NULL;
	size_t n = 0, len = w->path.len;
	int r;

	strbuf_addf(&w->path, "%s%s", len ? "/" : "", entry->name);
	r = write_inode(w, entry->inode, err);
	for (const struct image_entry *c = entry->first; c; c = c->next)
		n++;
	children = xreallocarray(NULL, n + 1, sizeof(*children));
	n = 0;
	for (const struct image_entry *c = entry->first; c; c = c->next)
		children[n++] = c;
	qsort(children, n, sizeof(*children), by_name);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = write_entry(w, children[i], err);
	strbuf_setlen(&w->path, len);
	return r;
}

static int write_manifest(struct writer *w, const struct strbuf *manifest,
			  struct error *err)
{
	struct image_inode inode = {
		.mode = S_IFREG | 0644,
		.size = manifest->len,
	};
	cleanup_tar_entry struct archive_entry *e = NULL;
	int r;

	strbuf_addstr(&w->path, ACI_MANIFEST);
	e = entry_make(w, &inode);
	strbuf_reset(&w->path);
	r = check(w, archive_write_header(w->a, e), err);
	return r < 0 ? r : write_data(w, manifest->buf, manifest->len, err);
}

static int write_all(struct writer *w, const struct strbuf *manifest,
		     struct error *err)
{
	const struct image_entry *rootfs = image_tree_child(
		w->tree, w->tree->top, ACI_ROOTFS, strlen(ACI_ROOTFS));
	int r;

	if (!rootfs)
		return error_set(err, EINVAL, "the image has no rootfs");
	/* Names are bytes; one form of attributes, which every reader knows. */
	if (archive_write_set_format_pax(w->a) != ARCHIVE_OK ||
	    archive_write_set_options(w->a,
				      "pax:xattrheader=SCHILY,"
				      "pax:hdrcharset=BINARY") != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(w->a, 1) != ARCHIVE_OK ||
	    archive_write_open(w->a, w, NULL, on_write, NULL) != ARCHIVE_OK)
		return check(w, ARCHIVE_FATAL, err);
	r = write_manifest(w, manifest, err);
	if (r == 0)
		r = write_entry(w, rootfs, err);
	return r < 0 ? r : check(w, archive_write_close(w->a), err);
}

int tree_tar_write(struct image_tree *tree, const int *blob_fds,
		   const struct strbuf *manifest, int out_fd, struct error *err)
{
	struct writer w = {
		.a = archive_write_new(),
		.tree = tree,
		.blob_fds = blob_fds,
		.out_fd = out_fd,
		.path = STRBUF_INIT,
		.buf = xmalloc(COPY_SIZE),
	};
	int r = write_all(&w, manifest, err);

	/* After a failure closing would still write: drop what is buffered. */
	if (r < 0 && !w.failed)
		w.failed = -r;
	(void)archive_write_free(w.a);
	strbuf_release(&w.path);
	free(w.buf);
	return r;
}
