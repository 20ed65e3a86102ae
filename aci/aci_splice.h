/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_ACI_SPLICE_H
#define ACI_ACI_SPLICE_H

/*
 * An image with another manifest.  Every byte of the tar outside the
 * manifest's entry stays what it is; equal inputs give equal bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct aci_splice {
	int tar_fd; /* the checked, uncompressed image; read with pread(2) */
	uint64_t tar_size;
	/* The manifest's entry: struct fetch_image. */
	uint64_t manifest_start, manifest_end;
	const char *manifest; /* the new one */
	size_t manifest_len;
	bool no_compression; /* otherwise gzip, as aci_write() makes it */
};

/*
 * Writes the image to OUTFD.  The entry keeps mode, owner and time of its
 * header.  -EINVAL: it is no plain entry.
 */
int aci_splice(const struct aci_splice *s, int outfd, struct error *err);

#endif
