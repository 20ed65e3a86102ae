/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/uuid.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/parse.h"

int uuid_parse(const char *s, struct uuid *ret, struct error *err)
{
	char hex[33];
	size_t n = 0;

	for (const char *p = s; *p; p++) {
		if (*p == '-')
			continue;
		if (n == 32)
			goto bad;
		hex[n++] = *p;
	}
	hex[n] = '\0';
	if (parse_hex(hex, ret->b, sizeof(ret->b)) < 0)
		goto bad;
	return 0;
bad:
	return error_set(err, EINVAL, "UUID '%s' is not 32 hex digits", s);
}

int uuid_random(struct uuid *ret, struct error *err)
{
	ssize_t n = getrandom(ret->b, sizeof(ret->b), 0);

	if (n != (ssize_t)sizeof(ret->b))
		return error_sys(err, n < 0 ? errno : EIO, "make a UUID");
	ret->b[6] = (uint8_t)((ret->b[6] & 0x0f) | 0x40);
	ret->b[8] = (uint8_t)((ret->b[8] & 0x3f) | 0x80);
	return 0;
}

void uuid_format(const struct uuid *u, char ret[UUID_TEXT_LEN + 1])
{
	static const size_t group[] = {4, 2, 2, 2, 6};
	const uint8_t *from = u->b;

	for (size_t i = 0; i < sizeof(group) / sizeof(group[0]); i++) {
		if (i > 0)
			*ret++ = '-';
		format_hex(from, group[i], ret);
		from += group[i];
		ret += 2 * group[i];
	}
}
