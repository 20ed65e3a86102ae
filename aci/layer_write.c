/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/layer_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aci/image_tree.h"
#include "aci/index_make.h"
#include "aci/index_plan.h"
#include "aci/tar_entry.h"
#include "aci/tree_tar.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#define COPY_SIZE (256 * 1024)

DEFINE_CLEANUP(struct image_pool *, image_pool_free);
#define cleanup_pool cleanup_with(image_pool_free_cleanup)

/* Digest, gzip, digest, file. */
struct out {
	struct archive *gzip; /* raw format */
	struct digest diff_id, digest;
	int fd;
	uint64_t size; /* bytes in the file */
	int failed;    /* errno of the first write that failed */
};

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

static int out_open(struct out *o, int fd, enum digest_type type,
		    struct error *err)
{
	int r = digest_init(&o->diff_id, DIGEST_SHA256, err);

	if (r == 0)
		r = digest_init(&o->digest, type, err);
	o->fd = fd;
	return r < 0 ? r : open_gzip(o, err);
}

static int out_close(struct out *o, struct written_layer *ret,
		     struct error *err)
{
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
	if (o->gzip)
		(void)archive_write_free(o->gzip);
	digest_release(&o->diff_id);
	digest_release(&o->digest);
}
#define cleanup_out cleanup_with(out_release)

/* --- one file as it is --------------------------------------------------- */

int layer_copy(int fd, int out_fd, enum digest_type type,
	       struct written_layer *ret, struct error *err)
{
	cleanup_free char *buf = xmalloc(COPY_SIZE);
	cleanup_out struct out o = {0};
	int r = out_open(&o, out_fd, type, err);
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

static int write_tar(void *arg, const void *data, size_t n)
{
	struct out *o = arg;

	(void)to_gzip(NULL, o, data, n);
	return o->failed ? -o->failed : 0;
}

int layer_write(const struct index_plan *plan, const int *blob_fds, int out_fd,
		enum digest_type type, struct written_layer *ret,
		struct error *err)
{
	cleanup_pool struct image_pool *pool = image_pool_new();
	cleanup_out struct out o = {0};
	struct tree_tar tar = {
		.write = write_tar,
		.arg = &o,
		.blob_fds = blob_fds,
		/* A directory that is only on the way is that of a layer
		 * below, if there is one. */
		.with_implied =
			plan->passes.n != 1 || plan->passes.v[0].is_filtered,
	};
	size_t n = 0;
	int r = index_tree_make(plan, blob_fds, pool, &tar.tree, err);

	if (r == 0)
		r = out_open(&o, out_fd, type, err);
	if (r == 0)
		r = tree_tar_write(&tar, &n, err);
	ret->is_empty = n == 0;
	return r < 0 ? r : out_close(&o, ret, err);
}
