/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/http_headers.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strv.h"

/* RFC 9111, 1.2.2: a cache may take a greater number for this one. */
#define MAX_AGE_MAX 2147483648ULL

/* Without the blanks around; changes S. */
static char *trimmed(char *s)
{
	char *end;

	s += strspn(s, " \t");
	end = s + strlen(s);
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	return s;
}

/* One directive: seconds, or -1. */
static int64_t directive_age(char *text)
{
	static const char max_age[] = "max-age=";
	uint64_t seconds;
	char *value;

	if (strcasecmp(text, "no-cache") == 0 ||
	    strcasecmp(text, "no-store") == 0)
		return 0;
	if (strncasecmp(text, max_age, sizeof(max_age) - 1) != 0)
		return -1;
	value = text + sizeof(max_age) - 1;
	if (*value == '"' && strlen(value) > 1 &&
	    value[strlen(value) - 1] == '"') {
		value[strlen(value) - 1] = '\0';
		value++;
	}
	if (!*value || strspn(value, "0123456789") != strlen(value))
		return 0; /* stale, as the RFC advises */
	if (parse_uint(value, MAX_AGE_MAX, &seconds) < 0)
		seconds = MAX_AGE_MAX;
	return (int64_t)seconds;
}

int64_t http_max_age(const char *cache_control)
{
	cleanup_strv struct strv parts = STRV_INIT;
	int64_t ret = -1;

	if (!cache_control)
		return -1;
	strv_split(&parts, cache_control, ',');
	for (size_t i = 0; i < parts.n; i++) {
		int64_t age = directive_age(trimmed(parts.v[i]));

		/* The least that anything allows. */
		if (age >= 0 && (ret < 0 || age < ret))
			ret = age;
	}
	return ret;
}

static int parse_total(const char *text, uint64_t *ret)
{
	*ret = 0;
	return strcmp(text, "*") == 0 ? 0 : parse_uint(text, INT64_MAX, ret);
}

int http_content_range_parse(const char *value, struct content_range *ret)
{
	static const char unit[] = "bytes ";
	cleanup_strv struct strv halves = STRV_INIT;
	struct content_range range = {0};
	char *dash;

	if (!value || strncasecmp(value, unit, sizeof(unit) - 1) != 0)
		return -EINVAL;
	strv_split(&halves, value + sizeof(unit) - 1, '/');
	if (halves.n != 2 || parse_total(halves.v[1], &range.total) < 0)
		return -EINVAL;
	if (strcmp(halves.v[0], "*") == 0) {
		range.is_unsatisfied = true;
		*ret = range;
		return 0;
	}
	dash = strchr(halves.v[0], '-');
	if (!dash)
		return -EINVAL;
	*dash = '\0';
	if (parse_uint(halves.v[0], INT64_MAX, &range.first) < 0 ||
	    parse_uint(dash + 1, INT64_MAX, &range.last) < 0 ||
	    range.last < range.first ||
	    (range.total && range.last >= range.total))
		return -EINVAL;
	*ret = range;
	return 0;
}

bool http_etag_is_strong(const char *etag)
{
	size_t len = etag ? strlen(etag) : 0;

	return len >= 2 && etag[0] == '"' && etag[len - 1] == '"' &&
	       !memchr(etag + 1, '"', len - 2);
}

int64_t http_retry_after(const char *value, int64_t max)
{
	uint64_t seconds;

	if (!value || !*value || strspn(value, "0123456789") != strlen(value))
		return -1;
	if (parse_uint(value, (uint64_t)max, &seconds) < 0)
		return max;
	return (int64_t)seconds;
}
