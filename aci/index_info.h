/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_INDEX_INFO_H
#define ACI_INDEX_INFO_H

/* What a stored index says of itself (erofs_format.h): our own bytes, read by
 * the trusted side. */

#include <stddef.h>
#include <stdint.h>

#include "spec/image_id.h"

struct error;

struct index_device {
	struct image_id id; /* of the image whose tar it is */
	uint64_t n_blocks;  /* of 512 bytes */
};

struct index_info {
	struct index_device *devices; /* in the order of their slots */
	size_t n_devices;
	uint64_t size;	    /* bytes the digest is of */
	uint8_t digest[64]; /* SHA-512, as the trailer has it */
};

#define INDEX_INFO_INIT                                                        \
	{                                                                      \
		0                                                              \
	}

void index_info_release(struct index_info *info);
#define cleanup_index_info __attribute__((__cleanup__(index_info_release)))

/* -EBADMSG: not an index as this version writes them. */
int index_info_read(int fd, struct index_info *ret, struct error *err);

#endif
