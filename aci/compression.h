/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_COMPRESSION_H
#define ACI_COMPRESSION_H

/*
 * What an image file is, told by its content and never by its name (aci.md,
 * Image Archives; the order of the reference code): gzip, bzip2, xz, zstd, or
 * a tar with "ustar" at offset 257.
 */

#include <stddef.h>
#include <stdint.h>

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_GZIP,
	COMPRESSION_BZIP2,
	COMPRESSION_XZ,
	COMPRESSION_ZSTD,
};

#define COMPRESSION_HEAD 512 /* bytes compression_detect() looks at */

/* What starts with the N bytes HEAD: 0, or -EINVAL when it is no image. */
int compression_detect(const uint8_t *head, size_t n, enum compression *ret);
/* "none", "gzip", ...; NULL for a value out of range. */
const char *compression_name(unsigned int c);

#endif
