/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TREE_TAR_H
#define ACI_TREE_TAR_H

/*
 * A tree in memory (image_tree.h) as a pax archive: sorted by the bytes of the
 * names, which are written as UTF-8, or as bytes when they are not; equal
 * trees give equal bytes.  Holes are written as zeros, sockets are left out.
 * Reads hostile bytes: only inside the sandbox.
 */

#include <archive.h>
#include <stdbool.h>

struct error;
struct image_tree;
struct strbuf;

/* Before the sandbox. */
int tree_tar_prepare(struct error *err);

struct tree_tar {
	/* Gets the archive's bytes; 0, or a negative errno: then it is not
	 * called again. */
	int (*write)(void *arg, const void *data, size_t n);
	void *arg;
	struct image_tree *tree; /* its inodes are scratch afterwards */
	const int *blob_fds;	 /* the files' data, by number of the device */
	/* Comes first, and "rootfs" before every name; NULL: a layer of an OCI
	 * image, where neither is, nor what would be a whiteout. */
	const struct strbuf *manifest;
	/* Also directories that nobody said anything of. */
	bool with_implied;
};

/*
 * *ret_n is the number of entries.  -EINVAL: a layer's file that would be a
 * whiteout; -EFBIG: longer than FETCH_TAR_SIZE_MAX.
 */
int tree_tar_write(const struct tree_tar *t, size_t *ret_n, struct error *err);

#endif
