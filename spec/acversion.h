/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_ACVERSION_H
#define SPEC_ACVERSION_H

/*
 * acVersion: MAJOR.MINOR.PATCH[-PRE][+METADATA].  Leading zeros are dropped,
 * 0.0.0 alone is refused, PRE and METADATA are free text (reference code).
 */

#include <stdint.h>

struct error;
struct strbuf;

struct acversion {
	int64_t major, minor, patch;
	char *pre;	/* NULL = none */
	char *metadata; /* NULL = none */
};

#define ACVERSION_INIT                                                         \
	{                                                                      \
		0                                                              \
	}

int acversion_parse(const char *s, struct acversion *ret, struct error *err);
void acversion_release(struct acversion *v);
#define cleanup_acversion __attribute__((__cleanup__(acversion_release)))

void acversion_format(const struct acversion *v, struct strbuf *out);

#endif
