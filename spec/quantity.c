/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"

typedef unsigned __int128 u128;

#define MANTISSA_DIGITS 38
#define NANO (-9)
#define EXPONENT_MAX 100000

static const struct suffix {
	const char *text;
	int exponent;
	enum quantity_format format;
} suffixes[] = {
	{"n", -9, QUANTITY_DECIMAL_SI},
	{"u", -6, QUANTITY_DECIMAL_SI},
	{"m", -3, QUANTITY_DECIMAL_SI},
	{"", 0, QUANTITY_DECIMAL_SI},
	{"k", 3, QUANTITY_DECIMAL_SI},
	{"M", 6, QUANTITY_DECIMAL_SI},
	{"G", 9, QUANTITY_DECIMAL_SI},
	{"T", 12, QUANTITY_DECIMAL_SI},
	{"P", 15, QUANTITY_DECIMAL_SI},
	{"E", 18, QUANTITY_DECIMAL_SI},
	{"Ki", 10, QUANTITY_BINARY_SI},
	{"Mi", 20, QUANTITY_BINARY_SI},
	{"Gi", 30, QUANTITY_BINARY_SI},
	{"Ti", 40, QUANTITY_BINARY_SI},
	{"Pi", 50, QUANTITY_BINARY_SI},
	{"Ei", 60, QUANTITY_BINARY_SI},
	/* ace.md spells kilo so, the reference code does not know it. */
	{"K", 3, QUANTITY_DECIMAL_SI},
};

#define N_SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

static u128 mantissa_limit(void)
{
	u128 limit = 1;

	for (int i = 0; i < MANTISSA_DIGITS; i++)
		limit *= 10;
	return limit;
}

/* *value *= FACTOR unless that needs more than MANTISSA_DIGITS. */
static int multiply(u128 *value, u128 factor)
{
	if (factor && *value > (mantissa_limit() - 1) / factor)
		return -ERANGE;
	*value *= factor;
	return 0;
}

static int multiply_pow10(u128 *value, int n)
{
	if (*value == 0)
		return 0;
	for (; n > 0; n--)
		if (multiply(value, 10) < 0)
			return -ERANGE;
	return 0;
}

/* Divides by 10^N, rounding up. */
static u128 divide_pow10_ceil(u128 value, int n)
{
	bool rest = false;

	for (; n > 0 && value; n--) {
		rest |= value % 10 != 0;
		value /= 10;
	}
	return value + rest;
}

static void normalise(struct quantity *q)
{
	if (q->mantissa == 0) {
		q->exponent = 0;
		q->negative = false;
		return;
	}
	while (q->mantissa % 10 == 0) {
		q->mantissa /= 10;
		q->exponent++;
	}
}

/* --- parsing ---------------------------------------------------------------
 */

struct digits {
	u128 mantissa;
	int64_t exponent;
	int64_t zeros; /* seen, not yet multiplied in */
};

/*
 * Adds digits; zeros wait until another digit follows, so that "1000..." and
 * "1.000..." of any length fit.
 */
static int add_digits(struct digits *d, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '0') {
			d->zeros += d->mantissa != 0;
			continue;
		}
		if (d->zeros > MANTISSA_DIGITS ||
		    multiply_pow10(&d->mantissa, (int)d->zeros + 1) < 0)
			return -ERANGE;
		d->mantissa += (u128)(s[i] - '0');
		d->zeros = 0;
	}
	return 0;
}

/* The number before the suffix; moves *S behind it. */
static int parse_number(const char **s, struct quantity *ret)
{
	struct digits d = {0};
	size_t whole, fraction = 0;

	if (**s == '-' || **s == '+')
		ret->negative = *(*s)++ == '-';
	whole = strspn(*s, "0123456789");
	if (add_digits(&d, *s, whole) < 0)
		return -ERANGE;
	*s += whole;
	if (**s == '.') {
		(*s)++;
		fraction = strspn(*s, "0123456789");
		if (add_digits(&d, *s, fraction) < 0)
			return -ERANGE;
		*s += fraction;
	}
	d.exponent = d.zeros - (int64_t)fraction;
	if (d.mantissa == 0)
		d.exponent = 0;
	if (d.exponent > EXPONENT_MAX)
		return -ERANGE;
	/* What lies below 10^-EXPONENT_MAX rounds up to one nano anyway. */
	ret->mantissa = d.mantissa;
	ret->exponent =
		d.exponent < -EXPONENT_MAX ? -EXPONENT_MAX : (int)d.exponent;
	return 0;
}

static int parse_exponent_suffix(const char *s, struct suffix *ret)
{
	int64_t exponent;

	if (*s != 'e' && *s != 'E')
		return -EINVAL;
	s++;
	s += *s == '+';
	if (s[-1] == '+' && *s == '-')
		return -EINVAL;
	if (parse_int(s, -EXPONENT_MAX, EXPONENT_MAX, &exponent) < 0)
		return -EINVAL;
	*ret = (struct suffix){
		.exponent = (int)exponent,
		.format = QUANTITY_DECIMAL_EXPONENT,
	};
	return 0;
}

static int parse_suffix(const char *s, struct suffix *ret)
{
	for (size_t i = 0; i < N_SUFFIXES; i++) {
		if (strcmp(s, suffixes[i].text) == 0) {
			*ret = suffixes[i];
			return 0;
		}
	}
	return parse_exponent_suffix(s, ret);
}

static void round_to_nano(struct quantity *q)
{
	if (q->exponent >= NANO)
		return;
	q->mantissa = divide_pow10_ceil(q->mantissa, NANO - q->exponent);
	q->exponent = NANO;
}

static void saturate(struct quantity *q)
{
	static const struct quantity max = {.mantissa = INT64_MAX};
	struct quantity magnitude = *q;

	magnitude.negative = false;
	if (quantity_compare(&magnitude, &max) <= 0)
		return;
	q->mantissa = max.mantissa;
	q->exponent = 0;
}

/* Multiplies by 2^SHIFT; too many digits for that are past 2^63 anyway. */
static int apply_binary(struct quantity *q, int shift)
{
	static const struct quantity one = {.mantissa = 1};
	struct quantity magnitude;

	if (multiply(&q->mantissa, (u128)1 << shift) < 0) {
		if (q->exponent < 0)
			return -ERANGE;
		q->mantissa = (u128)INT64_MAX + 1;
	}
	round_to_nano(q);
	normalise(q);
	saturate(q);
	magnitude = *q;
	magnitude.negative = false;
	if (q->mantissa && quantity_compare(&magnitude, &one) < 0)
		q->format = QUANTITY_DECIMAL_SI;
	return 0;
}

static int quantity_make(const char *s, struct quantity *ret)
{
	struct quantity q = {0};
	struct suffix suffix;
	int r;

	if (!*s)
		return -EINVAL;
	r = parse_number(&s, &q);
	if (r == 0)
		r = parse_suffix(s, &suffix);
	if (r < 0)
		return r;
	q.format = suffix.format;
	if (suffix.format == QUANTITY_BINARY_SI) {
		r = apply_binary(&q, suffix.exponent);
		if (r < 0)
			return r;
	} else {
		q.exponent += suffix.exponent;
		round_to_nano(&q);
	}
	normalise(&q);
	*ret = q;
	return 0;
}

int quantity_parse(const char *s, struct quantity *ret, struct error *err)
{
	int r = quantity_make(s, ret);

	if (r == -ERANGE)
		return error_set(err, ERANGE,
				 "quantity '%.80s' has more than %d digits", s,
				 MANTISSA_DIGITS);
	if (r < 0)
		return error_set(err, EINVAL,
				 "quantity '%.80s' is not a number with one of "
				 "n u m k M G T P E Ki Mi Gi Ti Pi Ei or an "
				 "exponent",
				 s);
	return 0;
}

/* --- values ----------------------------------------------------------------
 */

static int scaled_ceil(const struct quantity *q, int scale, int64_t *ret)
{
	u128 value = q->mantissa;
	int exponent = q->exponent + scale;

	if (exponent < 0)
		value = divide_pow10_ceil(value, -exponent);
	else if (multiply_pow10(&value, exponent) < 0)
		return -ERANGE;
	if (value > INT64_MAX)
		return -ERANGE;
	*ret = q->negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

int quantity_value_ceil(const struct quantity *q, int64_t *ret)
{
	return scaled_ceil(q, 0, ret);
}

int quantity_milli_ceil(const struct quantity *q, int64_t *ret)
{
	return scaled_ceil(q, 3, ret);
}

static int n_digits(u128 value)
{
	int n = 0;

	for (; value; value /= 10)
		n++;
	return n;
}

static int compare_magnitude(const struct quantity *a, const struct quantity *b)
{
	int a_order = n_digits(a->mantissa) + a->exponent;
	int b_order = n_digits(b->mantissa) + b->exponent;
	u128 x = a->mantissa, y = b->mantissa;

	if (x == 0 || y == 0)
		return (x != 0) - (y != 0);
	if (a_order != b_order)
		return a_order < b_order ? -1 : 1;
	/* Same order, so neither can outgrow MANTISSA_DIGITS. */
	(void)multiply_pow10(&x, a->exponent - b->exponent);
	(void)multiply_pow10(&y, b->exponent - a->exponent);
	return (x > y) - (x < y);
}

int quantity_compare(const struct quantity *a, const struct quantity *b)
{
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	return a->negative ? compare_magnitude(b, a) : compare_magnitude(a, b);
}

/* --- text ------------------------------------------------------------------
 */

static void add_u128(u128 value, struct strbuf *out)
{
	char text[MANTISSA_DIGITS + 2];
	char *p = text + sizeof(text);

	*--p = '\0';
	do {
		*--p = (char)('0' + (int)(value % 10));
		value /= 10;
	} while (value && p > text);
	strbuf_addstr(out, p);
}

static const char *suffix_of(int exponent, enum quantity_format format)
{
	for (size_t i = 0; i < N_SUFFIXES; i++)
		if (suffixes[i].format == format &&
		    suffixes[i].exponent == exponent)
			return suffixes[i].text;
	return NULL;
}

static void format_decimal(const struct quantity *q, struct strbuf *out)
{
	/* The next lower multiple of three. */
	int exponent = q->exponent - (q->exponent % 3 + 3) % 3;
	const char *suffix = NULL;

	add_u128(q->mantissa, out);
	for (int i = exponent; i < q->exponent; i++)
		strbuf_addch(out, '0');
	if (q->format != QUANTITY_DECIMAL_EXPONENT || exponent == 0)
		suffix = suffix_of(exponent, QUANTITY_DECIMAL_SI);
	if (suffix)
		strbuf_addstr(out, suffix);
	else
		strbuf_addf(out, "e%d", exponent);
}

/* With a binary suffix; false if none fits, as for 100.5Ki. */
static bool format_binary(const struct quantity *q, struct strbuf *out)
{
	u128 value = q->mantissa;
	int shift = 0;

	if (q->exponent < 0 || multiply_pow10(&value, q->exponent) < 0 ||
	    value < 1024)
		return false;
	while (value % 1024 == 0 && shift < 60) {
		value /= 1024;
		shift += 10;
	}
	if (shift == 0)
		return false;
	add_u128(value, out);
	strbuf_addstr(out, suffix_of(shift, QUANTITY_BINARY_SI));
	return true;
}

void quantity_format(const struct quantity *q, struct strbuf *out)
{
	if (q->mantissa == 0) {
		strbuf_addch(out, '0');
		return;
	}
	if (q->negative)
		strbuf_addch(out, '-');
	if (q->format == QUANTITY_BINARY_SI && format_binary(q, out))
		return;
	format_decimal(q, out);
}

int quantity_check_usable(const struct quantity *q, const char *what,
			  struct error *err)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	int64_t value;

	if (!q->negative && quantity_value_ceil(q, &value) == 0)
		return 0;
	quantity_format(q, &text);
	return error_set(err, ERANGE, "%s of %s is %s", what, text.buf,
			 q->negative ? "negative" : "too large");
}
