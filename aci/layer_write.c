/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/layer_write.h"

#include <errno.h>
#include <stdlib.h>

#include "aci/gzip_write.h"
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
	struct gzip_writer gzip;
	struct digest diff_id, digest;
	uint64_t size; /* bytes in the file */
};

/* --- output -------------------------------------------------------------- */

static void wrote(void *arg, const void *data, size_t n)
{
	struct out *o = arg;

	digest_update(&o->digest, data, n);
	o->size += n;
}

static int put(struct out *o, const void *data, size_t n, struct error *err)
{
	digest_update(&o->diff_id, data, n);
	return gzip_put(&o->gzip, data, n, err);
}

static int out_open(struct out *o, int fd, enum digest_type type,
		    struct error *err)
{
	int r = digest_init(&o->diff_id, DIGEST_SHA256, err);

	if (r == 0)
		r = digest_init(&o->digest, type, err);
	o->gzip = (struct gzip_writer){
		.what = "layer", .fd = fd, .wrote = wrote, .arg = o};
	return r < 0 ? r : gzip_open(&o->gzip, err);
}

static int out_close(struct out *o, struct written_layer *ret,
		     struct error *err)
{
	int r = gzip_close(&o->gzip, err);

	if (r < 0)
		return r;
	digest_final(&o->diff_id, ret->diff_id);
	digest_final(&o->digest, ret->digest);
	ret->size = o->size;
	return 0;
}

static void out_release(struct out *o)
{
	gzip_release(&o->gzip);
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
		r = put(&o, buf, (size_t)n, err);
		at += n;
	}
	return r < 0 ? r : out_close(&o, ret, err);
}

/* --- a tree -------------------------------------------------------------- */

static int write_tar(void *arg, const void *data, size_t n)
{
	struct out *o = arg;

	if (put(o, data, n, NULL) == 0)
		return 0;
	return o->gzip.failed ? -o->gzip.failed : -EIO;
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
