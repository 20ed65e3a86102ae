/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/index_make.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "aci/aci_read.h"
#include "aci/erofs_write.h"
#include "aci/fetch_types.h"
#include "aci/image_tree.h"
#include "aci/index_plan.h"
#include "aci/tar_index.h"
#include "aci/tree_tar.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"

DEFINE_CLEANUP(struct image_pool *, image_pool_free);
DEFINE_CLEANUP(struct tar_index *, tar_index_free);
#define cleanup_pool cleanup_with(image_pool_free_cleanup)
#define cleanup_index cleanup_with(tar_index_free_cleanup)

int index_import(int image_fd, int blob_fd, int index_fd,
		 const struct aci_limits *limits, struct aci_contents *ret,
		 uint64_t *ret_size, struct error *err)
{
	cleanup_pool struct image_pool *pool = image_pool_new();
	struct image_tree *tree = image_tree_new(pool);
	cleanup_index struct tar_index *index = tar_index_new(tree, 0);
	struct erofs_device device;
	int r;

	*ret_size = 0;
	r = aci_read(image_fd, blob_fd, limits, index, ret, err);
	if (r < 0 || tar_index_unfit(index))
		return r;
	memcpy(device.digest, ret->totals.tar_digest, sizeof(device.digest));
	device.size = ret->totals.tar_size;
	r = erofs_write(tree, &device, 1, index_fd, ret_size, err);
	if (r < 0)
		*ret_size = 0;
	return r == -EFBIG ? 0 : r;
}

static int read_layer(struct image_pool *pool, const struct index_plan *plan,
		      size_t number, int blob_fd, struct image_tree **ret,
		      struct error *err)
{
	bool is_oci = plan->layers[number].format == INDEX_LAYER_OCI;
	cleanup_index struct tar_index *index = NULL;
	int r;

	*ret = image_tree_new(pool);
	index = tar_index_new(*ret, (uint32_t)number);
	if (is_oci)
		tar_index_take_whiteouts(index);
	r = aci_read_blob(blob_fd, is_oci, index, err);
	if (r == 0 && tar_index_unfit(index))
		r = error_set(err, EFBIG,
			      "make an EROFS index: it cannot hold %s",
			      tar_index_unfit(index));
	return r;
}

/* One image as it is needs no second tree; a layer may hold whiteouts. */
static int merge_all(struct image_pool *pool, const struct index_plan *plan,
		     struct image_tree **layers, struct image_tree **ret,
		     struct error *err)
{
	const struct render_plan *passes = &plan->passes;
	int r = 0;

	if (passes->n == 1 && !passes->v[0].is_filtered &&
	    plan->layers[passes->v[0].image].format == INDEX_LAYER_ACI) {
		*ret = layers[passes->v[0].image];
		return 0;
	}
	*ret = image_tree_new(pool);
	for (size_t i = 0; r == 0 && i < passes->n; i++)
		r = image_tree_merge(*ret, layers[passes->v[i].image],
				     &passes->v[i], err);
	return r;
}

int index_tree_make(const struct index_plan *plan, const int *blob_fds,
		    struct image_pool *pool, struct image_tree **ret,
		    struct error *err)
{
	cleanup_free struct image_tree **layers =
		xcalloc(plan->n_layers, sizeof(struct image_tree *));
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->n_layers; i++)
		r = read_layer(pool, plan, i, blob_fds[i], &layers[i], err);
	return r < 0 ? r : merge_all(pool, plan, layers, ret, err);
}

int index_make(const struct index_plan *plan, const int *blob_fds, int index_fd,
	       uint64_t *ret_size, struct error *err)
{
	cleanup_pool struct image_pool *pool = image_pool_new();
	cleanup_free struct erofs_device *devices =
		xcalloc(plan->n_layers, sizeof(*devices));
	struct image_tree *tree = NULL;
	int r;

	for (size_t i = 0; i < plan->n_layers; i++) {
		memcpy(devices[i].digest, plan->layers[i].digest,
		       sizeof(devices[i].digest));
		devices[i].size = plan->layers[i].size;
	}
	r = index_tree_make(plan, blob_fds, pool, &tree, err);
	return r < 0 ? r
		     : erofs_write(tree, devices, plan->n_layers, index_fd,
				   ret_size, err);
}

static int write_file(void *arg, const void *data, size_t n)
{
	return write_full(*(const int *)arg, data, n);
}

int index_flatten(const struct index_plan *plan, const int *blob_fds,
		  int manifest_fd, int out_fd, struct error *err)
{
	cleanup_pool struct image_pool *pool = image_pool_new();
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	struct tree_tar tar = {
		.write = write_file,
		.arg = &out_fd,
		.blob_fds = blob_fds,
		.manifest = &manifest,
		.with_implied = true,
	};
	size_t n;
	int r;

	if (lseek(manifest_fd, 0, SEEK_SET) < 0)
		return error_sys(err, errno, "read the manifest");
	r = strbuf_read_fd(&manifest, manifest_fd, FETCH_MANIFEST_MAX);
	if (r < 0)
		return error_sys(err, -r, "read the manifest");
	r = index_tree_make(plan, blob_fds, pool, &tar.tree, err);
	return r < 0 ? r : tree_tar_write(&tar, &n, err);
}
