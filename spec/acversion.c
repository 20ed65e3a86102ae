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

void acversion_format(const struct acversion *v, struct strbuf *out)
{
	strbuf_addf(out, "%" PRId64 ".%" PRId64 ".%" PRId64, v->major, v->minor,
		    v->patch);
	if (v->pre && *v->pre)
		strbuf_addf(out, "-%s", v->pre);
	if (v->metadata && *v->metadata)
		strbuf_addf(out, "+%s", v->metadata);
}
