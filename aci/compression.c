/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/compression.h"

#include <errno.h>
#include <string.h>

static const struct magic {
	enum compression type;
	size_t offset, len;
	uint8_t bytes[6];
} magics[] = {
	{COMPRESSION_GZIP, 0, 2, {0x1f, 0x8b}},
	{COMPRESSION_BZIP2, 0, 3, {0x42, 0x5a, 0x68}},
	{COMPRESSION_XZ, 0, 6, {0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00}},
	{COMPRESSION_ZSTD, 0, 4, {0x28, 0xb5, 0x2f, 0xfd}},
	/* A skippable frame: what pzstd starts with. */
	{COMPRESSION_ZSTD, 0, 4, {0x50, 0x2a, 0x4d, 0x18}},
	{COMPRESSION_NONE, 257, 5, {'u', 's', 't', 'a', 'r'}},
};

int compression_detect(const uint8_t *head, size_t n, enum compression *ret)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		const struct magic *m = &magics[i];

		if (n >= m->offset + m->len &&
		    !memcmp(head + m->offset, m->bytes, m->len)) {
			*ret = m->type;
			return 0;
		}
	}
	/* The end of a tar without entries, as layers may be. */
	if (n >= COMPRESSION_HEAD && !*head &&
	    !memcmp(head, head + 1, COMPRESSION_HEAD - 1)) {
		*ret = COMPRESSION_NONE;
		return 0;
	}
	return -EINVAL;
}

const char *compression_name(unsigned int c)
{
	static const char *const names[] = {
		[COMPRESSION_NONE] = "none",   [COMPRESSION_GZIP] = "gzip",
		[COMPRESSION_BZIP2] = "bzip2", [COMPRESSION_XZ] = "xz",
		[COMPRESSION_ZSTD] = "zstd",
	};

	return c < sizeof(names) / sizeof(names[0]) ? names[c] : NULL;
}
