/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/layer_write.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/digest.h"
#include "aci/fetch_types.h"
#include "aci/image_tree.h"
#include "aci/index_make.h"
#include "aci/index_plan.h"
#include "aci/layout.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"

#define COPY_SIZE (256 * 1024)
#define WHITEOUT ".wh."

DEFINE_CLEANUP(struct image_pool *, image_pool_free);
#define cleanup_pool cleanup_with(image_pool_free_cleanup)

static inline void entry_cleanup(struct archive_entry **e)
{
	archive_entry_free(*e);
}
#define cleanup_entry __attribute__((__cleanup__(entry_cleanup)))

/* Tar, digest, gzip, digest, file: two archives, one inside the other. */
struct out {
	struct archive *tar;  /* NULL: the bytes are a tar already */
	struct archive *gzip; /* raw format */
	struct digest diff_id, digest;
	int fd;
	uint64_t size; /* bytes in the file */
	int failed;    /* errno of the first write that failed */
};

struct writer {
	struct out out;
	const int *blob_fds;
	const struct strbuf *literals;
	struct image_entry **firsts; /* of each inode, by number - 1 */
	size_t n_firsts, n_alloc;
	struct strbuf path;
	uint64_t total; /* bytes of files' data */
	bool is_flat;	/* nothing lies below this layer */
	bool has_entry;
	char *buf; /* COPY_SIZE */
};

static locale_t utf8;

int layer_write_prepare(struct error *err)
{
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (!utf8)
		return error_sys(err, errno, "use the locale C.UTF-8");
	return digest_prepare(err);
}

/* --- output -------------------------------------------------------------- */

static int fail(const struct out *o, struct archive *a, struct error *err)
{
	const char *text = archive_error_string(a);
	int code = o->failed ? o->failed : archive_errno(a);

	return error_set(err, code > 0 ? code : EIO, "write the layer: %s",
			 o->failed ? strerror(o->failed)
			 : text	   ? text
				   : "it failed");
}

/* Never fails for the library: an archive it has given up it does not free. */
static la_ssize_t to_file(struct archive *a, void *arg, const void *data,
			  size_t n)
{
	struct out *o = arg;
	int r = o->failed ? 0 : write_full(o->fd, data, n);

	(void)a;
	if (r < 0)
		o->failed = -r;
	digest_update(&o->digest, data, n);
	o->size += n;
	return (la_ssize_t)n;
}

static la_ssize_t to_gzip(struct archive *a, void *arg, const void *data,
			  size_t n)
{
	struct out *o = arg;

	(void)a;
	digest_update(&o->diff_id, data, n);
	if (archive_write_data(o->gzip, data, n) != (la_ssize_t)n && !o->failed)
		o->failed = EIO;
	return (la_ssize_t)n;
}

static int open_gzip(struct out *o, struct error *err)
{
	cleanup_entry struct archive_entry *e = archive_entry_new();

	o->gzip = archive_write_new();
	archive_entry_set_pathname(e, "layer");
	archive_entry_set_filetype(e, AE_IFREG);
	if (archive_write_set_format_raw(o->gzip) != ARCHIVE_OK ||
	    archive_write_add_filter_gzip(o->gzip) != ARCHIVE_OK ||
	    archive_write_set_options(o->gzip, "gzip:!timestamp") !=
		    ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(o->gzip, 1) != ARCHIVE_OK ||
	    archive_write_open(o->gzip, o, NULL, to_file, NULL) != ARCHIVE_OK ||
	    archive_write_header(o->gzip, e) != ARCHIVE_OK)
		return fail(o, o->gzip, err);
	return 0;
}

static int open_tar(struct out *o, struct error *err)
{
	o->tar = archive_write_new();
	/* One form of extended attributes, the one every reader knows. */
	if (archive_write_set_format_pax(o->tar) != ARCHIVE_OK ||
	    archive_write_set_options(o->tar, "pax:xattrheader=SCHILY") !=
		    ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(o->tar, 1) != ARCHIVE_OK ||
	    archive_write_open(o->tar, o, NULL, to_gzip, NULL) != ARCHIVE_OK)
		return fail(o, o->tar, err);
	return 0;
}

static int out_open(struct out *o, int fd, struct error *err)
{
	int r = digest_init(&o->diff_id, DIGEST_SHA256, err);

	if (r == 0)
		r = digest_init(&o->digest, DIGEST_SHA256, err);
	o->fd = fd;
	return r < 0 ? r : open_gzip(o, err);
}

static int out_close(struct out *o, struct written_layer *ret,
		     struct error *err)
{
	if (o->tar && archive_write_close(o->tar) != ARCHIVE_OK)
		return fail(o, o->tar, err);
	if (archive_write_close(o->gzip) != ARCHIVE_OK || o->failed)
		return fail(o, o->gzip, err);
	digest_final(&o->diff_id, ret->diff_id);
	digest_final(&o->digest, ret->digest);
	ret->size = o->size;
	return 0;
}

/* What was not closed is given up: nothing of it is to be written any more. */
static void out_release(struct out *o)
{
	if (!o->failed)
		o->failed = ECANCELED;
	if (o->tar)
		(void)archive_write_free(o->tar);
	if (o->gzip)
		(void)archive_write_free(o->gzip);
	digest_release(&o->diff_id);
	digest_release(&o->digest);
}
#define cleanup_out cleanup_with(out_release)

/* --- one file as it is --------------------------------------------------- */

int layer_copy(int fd, int out_fd, struct written_layer *ret, struct error *err)
{
	cleanup_free char *buf = xmalloc(COPY_SIZE);
	cleanup_out struct out o = {0};
	int r = out_open(&o, out_fd, err);
	off_t at = 0;

	while (r == 0) {
		ssize_t n = pread_full(fd, buf, COPY_SIZE, at);

		if (n < 0)
			return error_sys(err, (int)-n, "read the layer");
		if (n == 0)
			break;
		(void)to_gzip(NULL, &o, buf, (size_t)n);
		if (o.failed)
			return fail(&o, o.gzip, err);
		at += n;
	}
	return r < 0 ? r : out_close(&o, ret, err);
}

/* --- a tree -------------------------------------------------------------- */

static int write_bytes(struct writer *w, const void *data, size_t n,
		       struct error *err)
{
	if (archive_write_data(w->out.tar, data, n) != (la_ssize_t)n ||
	    w->out.failed)
		return fail(&w->out, w->out.tar, err);
	return 0;
}

/* LEN bytes of the device at OFFSET; zeros where DEVICE_FD is negative. */
static int write_run(struct writer *w, int device_fd, uint64_t offset,
		     uint64_t len, struct error *err)
{
	int r = 0;

	if (device_fd < 0)
		memset(w->buf, 0, COPY_SIZE);
	while (r == 0 && len > 0) {
		size_t n = len < COPY_SIZE ? (size_t)len : COPY_SIZE;

		if (device_fd >= 0 && pread_full(device_fd, w->buf, n,
						 (off_t)offset) != (ssize_t)n)
			return error_set(err, EBADMSG,
					 "read the stored image: it is too "
					 "short");
		r = write_bytes(w, w->buf, n, err);
		offset += n;
		len -= n;
	}
	return r;
}

static int write_extent(struct writer *w, const struct image_extent *x,
			uint64_t len, struct error *err)
{
	if (x->device != IMAGE_LITERAL)
		return write_run(w, w->blob_fds[x->device], x->physical, len,
				 err);
	if (x->physical > w->literals->len ||
	    len > w->literals->len - x->physical)
		return error_set(err, EBADMSG,
				 "read the stored image: it is too short");
	return write_bytes(w, w->literals->buf + x->physical, len, err);
}

static int write_data(struct writer *w, const struct image_inode *inode,
		      struct error *err)
{
	uint64_t at = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < inode->n_extents; i++) {
		const struct image_extent *x = &inode->extents[i];
		uint64_t len = x->len;

		if (x->logical >= inode->size)
			break;
		/* The last one may go on to the end of its block. */
		if (len > inode->size - x->logical)
			len = inode->size - x->logical;
		r = write_run(w, -1, 0, x->logical - at, err);
		if (r == 0)
			r = write_extent(w, x, len, err);
		at = x->logical + len;
	}
	return r < 0 ? r : write_run(w, -1, 0, inode->size - at, err);
}

static bool is_utf8(const char *s)
{
	return !s || mbstowcs(NULL, s, 0) != (size_t)-1;
}

/* A warning means that something would be lost, except for names that are not
 * UTF-8: those are written as bytes. */
static int write_header(struct writer *w, struct archive_entry *e,
			struct error *err)
{
	int r = archive_write_header(w->out.tar, e);

	w->has_entry = true;
	if (!w->out.failed &&
	    (r == ARCHIVE_OK ||
	     (r == ARCHIVE_WARN && !(is_utf8(archive_entry_pathname(e)) &&
				     is_utf8(archive_entry_symlink(e)) &&
				     is_utf8(archive_entry_hardlink(e))))))
		return 0;
	r = fail(&w->out, w->out.tar, err);
	return error_prefix(err, r, "%s", w->path.buf);
}

static struct archive_entry *entry_make(const struct writer *w,
					const struct image_inode *inode)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_copy_pathname(e, w->path.len ? w->path.buf : "./");
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

static void add_path(const struct image_entry *e, struct strbuf *sb)
{
	/* Neither the top nor "rootfs" is part of it. */
	if (!e->parent || !e->parent->parent)
		return;
	add_path(e->parent, sb);
	if (sb->len)
		strbuf_addch(sb, '/');
	strbuf_add(sb, e->name, e->name_len);
}

/* The entry that had E's inode before, or NULL. */
static const struct image_entry *first_name(struct writer *w,
					    struct image_entry *e)
{
	if (e->inode->number)
		return w->firsts[e->inode->number - 1];
	if (w->n_firsts == w->n_alloc) {
		w->n_alloc = w->n_alloc ? 2 * w->n_alloc : 256;
		w->firsts = xreallocarray(w->firsts, w->n_alloc,
					  sizeof(struct image_entry *));
	}
	w->firsts[w->n_firsts++] = e;
	e->inode->number = w->n_firsts;
	return NULL;
}

static int write_link(struct writer *w, const struct image_entry *first,
		      struct archive_entry *e, struct error *err)
{
	cleanup_strbuf struct strbuf target = STRBUF_INIT;

	add_path(first, &target);
	archive_entry_set_size(e, 0);
	archive_entry_copy_hardlink(e, target.buf);
	return write_header(w, e, err);
}

static int check_entry(struct writer *w, const struct image_entry *e,
		       struct error *err)
{
	uint64_t size = S_ISREG(e->inode->mode) ? e->inode->size : 0;

	if (e->name_len >= strlen(WHITEOUT) && e->parent->parent &&
	    memcmp(e->name, WHITEOUT, strlen(WHITEOUT)) == 0)
		return error_set(err, EINVAL,
				 "%s: in an OCI image a file of this name "
				 "removes another",
				 w->path.buf);
	if (size > FETCH_TAR_SIZE_MAX - w->total)
		return error_set(err, EFBIG,
				 "the layer would be longer than %llu GiB",
				 FETCH_TAR_SIZE_MAX >> 30);
	w->total += size;
	return 0;
}

static int write_directory(struct writer *w, struct image_entry *dir,
			   struct error *err);

static int write_entry(struct writer *w, struct image_entry *e,
		       struct error *err)
{
	cleanup_entry struct archive_entry *ae = NULL;
	const struct image_entry *first = NULL;
	int r = check_entry(w, e, err);

	if (r < 0 || S_ISSOCK(e->inode->mode))
		return r;
	ae = entry_make(w, e->inode);
	if (!image_entry_is_dir(e))
		first = first_name(w, e);
	if (first)
		return write_link(w, first, ae, err);
	/* A directory that is only on the way is that of a layer below. */
	if (w->is_flat || !image_entry_is_dir(e) || !e->is_implied)
		r = write_header(w, ae, err);
	if (r < 0)
		return r;
	if (S_ISREG(e->inode->mode))
		return write_data(w, e->inode, err);
	return image_entry_is_dir(e) ? write_directory(w, e, err) : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct image_entry *x = *(struct image_entry *const *)a;
	const struct image_entry *y = *(struct image_entry *const *)b;
	size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
	int r = memcmp(x->name, y->name, n);

	return r ? r
		 : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

/* The depth is bounded by that of paths (aci_check.h). */
static int write_directory(struct writer *w, struct image_entry *dir,
			   struct error *err)
{
	cleanup_free struct image_entry **children = NULL;
	size_t n = 0, len = w->path.len;
	int r = 0;

	for (struct image_entry *c = dir->first; c; c = c->next)
		n++;
	children = xcalloc(n + 1, sizeof(struct image_entry *));
	n = 0;
	for (struct image_entry *c = dir->first; c; c = c->next)
		if (c->inode && !c->is_whiteout)
			children[n++] = c;
	qsort(children, n, sizeof(struct image_entry *), by_name);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (len)
			strbuf_addch(&w->path, '/');
		strbuf_add(&w->path, children[i]->name, children[i]->name_len);
		r = write_entry(w, children[i], err);
		strbuf_setlen(&w->path, len);
	}
	return r;
}

static int write_tree(struct writer *w, struct image_tree *tree, int out_fd,
		      struct written_layer *ret, struct error *err)
{
	struct image_entry *rootfs = image_tree_find(tree, ACI_ROOTFS);
	locale_t before = uselocale(utf8);
	int r = out_open(&w->out, out_fd, err);

	if (r == 0)
		r = open_tar(&w->out, err);
	if (r == 0 && rootfs)
		r = write_entry(w, rootfs, err);
	if (r == 0)
		r = out_close(&w->out, ret, err);
	ret->is_empty = !w->has_entry;
	(void)uselocale(before);
	return r;
}

int layer_write(const struct index_plan *plan, const int *blob_fds, int out_fd,
		struct written_layer *ret, struct error *err)
{
	cleanup_pool struct image_pool *pool = image_pool_new();
	struct writer w = {.blob_fds = blob_fds, .path = STRBUF_INIT};
	struct image_tree *tree = NULL;
	int r = index_tree_make(plan, blob_fds, pool, &tree, err);

	if (r < 0)
		return r;
	w.is_flat = plan->passes.n != 1 || plan->passes.v[0].is_filtered;
	w.literals = image_pool_literals(pool);
	w.buf = xmalloc(COPY_SIZE);
	r = write_tree(&w, tree, out_fd, ret, err);
	out_release(&w.out);
	strbuf_release(&w.path);
	free(w.firsts);
	free(w.buf);
	return r;
}
