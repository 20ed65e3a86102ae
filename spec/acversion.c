/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/acversion.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/strv.h"

void acversion_release(struct acversion *v)
{
	free(v->pre);
	free(v->metadata);
	*v = (struct acversion)ACVERSION_INIT;
}

/* Cuts TEXT at the first C; the rest as a copy, NULL if there is no C. */
static char *cut_tail(char *text, char c)
{
	char *tail = strchr(text, c);

	if (!tail)
		return NULL;
	*tail = '\0';
	return xstrdup(tail + 1);
}

static int parse_numbers(const char *s, struct acversion *v)
{
	struct strv part cleanup_strv = STRV_INIT;
	uint64_t number[3];

	strv_split(&part, s, '.');
	if (part.n != 3)
		return -EINVAL;
	for (size_t i = 0; i < 3; i++)
		if (parse_uint(part.v[i], INT64_MAX, &number[i]) < 0)
			return -EINVAL;
	v->major = (int64_t)number[0];
	v->minor = (int64_t)number[1];
	v->patch = (int64_t)number[2];
	return 0;
}

int acversion_parse(const char *s, struct acversion *ret, struct error *err)
{
	struct acversion v cleanup_acversion = ACVERSION_INIT;
	char *text cleanup_free = xstrdup(s);

	v.metadata = cut_tail(text, '+');
	v.pre = cut_tail(text, '-');
	if (parse_numbers(text, &v) < 0)
		return error_set(err, EINVAL,
				 "version '%s' is not MAJOR.MINOR.PATCH", s);
	if (!v.major && !v.minor && !v.patch && (!v.pre || !*v.pre) &&
	    (!v.metadata || !*v.metadata))
		return error_set(err, EINVAL, "version '%s' is zero", s);
	*ret = v;
	v = (struct acversion)ACVERSION_INIT;
	return 0;
}

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* semver.org 11.4: numeric identifiers compare as numbers, below words. */
static int compare_identifiers(const char *a, const char *b)
{
	uint64_t x, y;
	int a_is_word = parse_uint(a, UINT64_MAX, &x) < 0;
	int b_is_word = parse_uint(b, UINT64_MAX, &y) < 0;

	if (a_is_word != b_is_word)
		return a_is_word - b_is_word;
	if (!a_is_word)
		return (x > y) - (x < y);
	return strcmp(a, b);
}

static int compare_pre(const char *a, const char *b)
{
	struct strv x cleanup_strv = STRV_INIT;
	struct strv y cleanup_strv = STRV_INIT;

	/* A version without pre-release is the greater one. */
	if (!*a || !*b)
		return !*a - !*b;
	strv_split(&x, a, '.');
	strv_split(&y, b, '.');
	for (size_t i = 0; i < x.n && i < y.n; i++) {
		int r = compare_identifiers(x.v[i], y.v[i]);

		if (r != 0)
			return r;
	}
	return (x.n > y.n) - (x.n < y.n);
}

int acversion_compare(const struct acversion *a, const struct acversion *b)
{
	int r = compare_numbers(a->major, b->major);

	if (r == 0)
		r = compare_numbers(a->minor, b->minor);
	if (r == 0)
		r = compare_numbers(a->patch, b->patch);
	if (r == 0)
		r = compare_pre(a->pre ? a->pre : "", b->pre ? b->pre : "");
	return r;
}

void acversion_format(const struct acversion *v, struct strbuf *out)
{
	strbuf_addf(out, "%" PRId64 ".%" PRId64 ".%" PRId64, v->major, v->minor,
		    v->patch);
	if (v->pre && *v->pre)
		strbuf_addf(out, "-%s", v->pre);
	if (v->metadata && *v->metadata)
		strbuf_addf(out, "+%s", v->metadata);
}
