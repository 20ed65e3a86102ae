/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_FUZZ_TAR_H
#define FUZZ_FUZZ_TAR_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Sets the headers' checksums right: no mutation would get past them. */
static inline void fuzz_tar_checksums(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + 512 <= size; at += 512) {
		uint8_t *h = data + at;
		unsigned int sum = 0;
		char text[8];

		if (memcmp(h + 257, "ustar", 5) != 0)
			continue;
		memset(h + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += h[i];
		(void)snprintf(text, sizeof(text), "%06o", sum);
		memcpy(h + 148, text, 7);
	}
}

#endif
