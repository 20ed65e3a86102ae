/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_INDEX_MAKE_H
#define ACI_INDEX_MAKE_H

/* Archives -> the index that shows them as one file system.  Reads hostile
 * bytes: only inside the sandbox. */

#include <stdint.h>

struct aci_contents;
struct aci_limits;
struct error;
struct image_pool;
struct image_tree;
struct index_plan;

/*
 * aci_read() with an index of the one archive in INDEX_FD (an empty file, not
 * synced).  *ret_size is the index's size, 0 if it cannot say all that is in
 * the image.
 */
int index_import(int image_fd, int blob_fd, int index_fd,
		 const struct aci_limits *limits, struct aci_contents *ret,
		 uint64_t *ret_size, struct error *err);

/* What PLAN makes of its archives, which are open as BLOB_FDS, out of POOL;
 * devices are numbered as the plan's layers.  -EFBIG as below. */
int index_tree_make(const struct index_plan *plan, const int *blob_fds,
		    struct image_pool *pool, struct image_tree **ret,
		    struct error *err);

/*
 * The index of PLAN's archives, which are open as BLOB_FDS, in INDEX_FD.
 * -EFBIG if an index cannot say all that is in them.
 */
int index_make(const struct index_plan *plan, const int *blob_fds, int index_fd,
	       uint64_t *ret_size, struct error *err);

/*
 * The same as an App Container Image with the manifest in MANIFEST_FD, in
 * OUT_FD, an empty file.
 */
int index_flatten(const struct index_plan *plan, const int *blob_fds,
		  int manifest_fd, int out_fd, struct error *err);

#endif
