/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_QUANTITY_H
#define SPEC_QUANTITY_H

/*
 * Resource quantities, exact:
 *
 *	[+-] digits [. digits] suffix
 *	suffix = "" n u m k M G T P E | Ki Mi Gi Ti Pi Ei | (e|E)[+-]digits
 *
 * The value is mantissa * 10^exponent, negated if negative, rounded up
 * (away from zero) to 10^-9 when parsed; binary suffixes saturate at 2^63-1.
 * Negative and absurdly large amounts parse: quantity_check_usable() is for
 * whoever sets a limit from one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct strbuf;

enum quantity_format {
	QUANTITY_DECIMAL_SI = 0,
	QUANTITY_BINARY_SI,
	QUANTITY_DECIMAL_EXPONENT,
};

struct quantity {
	unsigned __int128 mantissa; /* no factor 10 left in it */
	int32_t exponent;	    /* of ten; >= -9 */
	bool negative;
	enum quantity_format format; /* how to print it */
};

/* -EINVAL malformed, -ERANGE more than 38 significant digits. */
int quantity_parse(const char *s, struct quantity *ret, struct error *err);

/* Base units / thousandths, rounded up away from zero; -ERANGE past int64. */
int quantity_value_ceil(const struct quantity *q, int64_t *ret);
int quantity_milli_ceil(const struct quantity *q, int64_t *ret);

int quantity_compare(const struct quantity *a, const struct quantity *b);

/* The canonical text: "1500m", "1Gi", "10e12". */
void quantity_format(const struct quantity *q, struct strbuf *out);

/*
 * What a limit may be: 0 <= q and q fits int64 in base units.  WHAT names it
 * in the message.  -ERANGE.
 */
int quantity_check_usable(const struct quantity *q, const char *what,
			  struct error *err);

#endif
