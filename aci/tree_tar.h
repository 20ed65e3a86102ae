/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TREE_TAR_H
#define ACI_TREE_TAR_H

/*
 * A tree in memory (image_tree.h) as an App Container Image: the manifest,
 * then everything below "rootfs", sorted by the bytes of the names; equal
 * trees give equal bytes.  Holes are written as zeros.
 */

#include <stddef.h>

struct error;
struct image_tree;
struct strbuf;

/*
 * TREE's files have their data in BLOB_FDS, by the number of the device.  Its
 * inodes are scratch afterwards.  Writes to OUT_FD, an empty file.
 */
int tree_tar_write(struct image_tree *tree, const int *blob_fds,
		   const struct strbuf *manifest, int out_fd,
		   struct error *err);

#endif
