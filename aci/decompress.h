/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_DECOMPRESS_H
#define ACI_DECOMPRESS_H

/*
 * An image file as a stream of uncompressed bytes.  Members, streams or
 * frames may follow one another; anything else after the end, a truncated
 * stream or a wrong checksum is an error.  All bytes of the file are read and
 * go into a digest, so that a signature can later be tied to them, or a
 * manifest.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "aci/compression.h"
#include "aci/digest.h"

struct decompressor;
struct error;

/*
 * Reads FD with pread(2) from offset 0; the descriptor stays the caller's.
 * BELL_FD, if not negative, tells when there is more in it (http_bell.h).
 * TYPE is the digest's.  Memory is bounded: xz dictionaries and zstd windows up
 * to 32 MiB.
 */
int decompressor_open(int fd, int bell_fd, enum digest_type type,
		      struct decompressor **ret, struct error *err);

/* From another thread: who waits for more of the file gives up at the next
 * ring, with -ECANCELED. */
void decompressor_cancel(struct decompressor *d);

/*
 * Fills BUF; less than SIZE only at the end, 0 once everything was read and
 * found intact.  -EINVAL: not a correct stream.
 */
ssize_t decompressor_read(struct decompressor *d, void *buf, size_t size,
			  struct error *err);

enum compression decompressor_type(const struct decompressor *d);
/* Bytes of the file consumed so far, and (at the end) their digest of
 * the type. */
uint64_t decompressor_input_size(const struct decompressor *d);
void decompressor_input_digest(struct decompressor *d,
			       uint8_t ret[DIGEST_SHA512_SIZE]);

void decompressor_free(struct decompressor *d);

#endif
