/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_STREAM_H
#define ACI_IMAGE_STREAM_H

/*
 * One pass over an image file: decompressed by one thread, hashed by
 * another, written to the blob and handed on in chunks by the caller's.  At
 * most STREAM_CHUNKS chunks are in flight, whatever the image's size.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "aci/decompress.h"

struct error;
struct image_stream;

#define STREAM_CHUNKS 8
#define STREAM_CHUNK_SIZE (1UL << 20)

struct image_input {
	int fd;			 /* a regular file, read from offset 0 */
	int bell_fd;		 /* as in decompress.h; negative: none */
	enum digest_type digest; /* of the bytes as transported */
};

struct image_totals {
	enum compression compression;
	uint64_t image_size; /* bytes as transported */
	uint64_t tar_size;
	uint8_t image_digest[64]; /* as transported, of the type asked for */
	uint8_t tar_digest[64];	  /* SHA-512 of the tar */
};

/*
 * BLOB_FD (or a negative number) gets the bytes at their offsets, zero blocks
 * left as holes.  A stream longer than MAX_SIZE fails with -EFBIG.
 */
int image_stream_open(const struct image_input *input, int blob_fd,
		      uint64_t max_size, struct image_stream **ret,
		      struct error *err);

/* The next chunk, borrowed until the next call; 0 at the end. */
ssize_t image_stream_next(struct image_stream *s, const uint8_t **ret,
			  struct error *err);

/* After a 0 of image_stream_next() only: settles the blob's size too. */
int image_stream_finish(struct image_stream *s, struct image_totals *ret,
			struct error *err);

/* Stops the threads, at any time. */
void image_stream_free(struct image_stream *s);

#endif
