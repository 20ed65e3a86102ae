/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_LAYER_WRITE_H
#define ACI_LAYER_WRITE_H

/*
 * Layers of OCI images (image specification, "Image Layer Filesystem
 * Changeset") out of stored archives: gzip-compressed, and the same bytes for
 * the same input on every machine.  Reads hostile bytes: only inside the
 * sandbox.
 */

#include <stdbool.h>
#include <stdint.h>

#include "aci/digest.h"

struct error;
struct index_plan;

struct written_layer {
	uint8_t diff_id[32]; /* SHA-256 of the tar */
	uint8_t digest[64];  /* of what was written */
	uint64_t size;	     /* bytes written */
	bool is_empty;	     /* it says nothing of any file */
};

/* The file FD as it is, compressed, to the empty file OUT_FD; TYPE is that of
 * the digest. */
int layer_copy(int fd, int out_fd, enum digest_type type,
	       struct written_layer *ret, struct error *err);

/*
 * The root file system that PLAN makes of the archives BLOB_FDS to the empty
 * file OUT_FD.  Errors as tree_tar_write() has them, which is prepared; -EFBIG
 * also for what cannot be said.
 */
int layer_write(const struct index_plan *plan, const int *blob_fds, int out_fd,
		enum digest_type type, struct written_layer *ret,
		struct error *err);

#endif
