/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/printable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const struct {
	uint32_t first, last;
} unfit[] = {
	{0x0000, 0x001f},	{0x007f, 0x009f}, {0x00ad, 0x00ad},
	{0x061c, 0x061c},	{0x180e, 0x180e}, {0x200b, 0x200f},
	{0x2028, 0x202e},	{0x2060, 0x206f}, {0xd800, 0xdfff},
	{0xfeff, 0xfeff},	{0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
	{0x110000, UINT32_MAX},
};

static bool is_unfit(uint32_t c)
{
	for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++)
		if (c >= unfit[i].first && c <= unfit[i].last)
			return true;
	return false;
}

/* Decodes one character of the NUL-terminated P: its length, 0 if invalid. */
static size_t decode(const unsigned char *p, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80		   ? 1
		   : (p[0] & 0xe0) == 0xc0 ? 2
		   : (p[0] & 0xf0) == 0xe0 ? 3
		   : (p[0] & 0xf8) == 0xf0 ? 4
					   : 0;
	uint32_t c;

	if (n == 0)
		return 0;
	c = n == 1 ? p[0] : p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	*ret = c;
	return c < least[n] ? 0 : n;
}

void make_printable(char *s)
{
	unsigned char *p = (unsigned char *)s;
	char *out = s;

	while (*p) {
		uint32_t c = 0;
		size_t n = decode(p, &c);

		if (n == 0 || is_unfit(c)) {
			*out++ = '?';
			p += n ? n : 1;
			continue;
		}
		memmove(out, p, n);
		out += n;
		p += n;
	}
	*out = '\0';
}
