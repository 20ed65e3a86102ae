/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_EROFS_WRITE_H
#define ACI_EROFS_WRITE_H

/*
 * An image tree as an EROFS file system whose file data lies in other files
 * (erofs_format.h).  The same tree gives the same bytes.
 */

#include <stddef.h>
#include <stdint.h>

struct error;
struct image_tree;

/* A tar, by its number in the tree's extents. */
struct erofs_device {
	uint8_t digest[64]; /* SHA-512 */
	uint64_t size;	    /* bytes */
};

#define EROFS_DEVICES_MAX 240
/* Chunk tables of sparse files, all together. */
#define EROFS_CHUNKS_MAX (128UL << 20)

/*
 * Writes TREE to FD from offset 0; *ret_size is the file's size then.  -EFBIG:
 * more than the format, or our bounds, can hold.  Not synced.
 */
int erofs_write(struct image_tree *tree, const struct erofs_device *devices,
		size_t n_devices, int fd, uint64_t *ret_size,
		struct error *err);

#endif
