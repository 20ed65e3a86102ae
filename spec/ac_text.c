/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/ac_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_allowed(const struct ac_text *t, char c)
{
	return is_alnum(c) || (c && strchr(t->separators, c));
}

int ac_text_check(const struct ac_text *t, const char *s, struct error *err)
{
	size_t len = strlen(s);

	if (len == 0)
		return error_set(err, EINVAL, "%s is empty", t->what);
	for (size_t i = 0; i < len; i++)
		if (!is_allowed(t, s[i]))
			return error_set(err, EINVAL,
					 "%s '%s' holds other characters than "
					 "a-z, 0-9 and \"%s\"",
					 t->what, s, t->separators);
	if (!is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return error_set(
			err, EINVAL,
			"%s '%s' does not start and end with a-z or 0-9",
			t->what, s);
	return 0;
}

int ac_text_sanitize(const struct ac_text *t, const char *s, char **ret,
		     struct error *err)
{
	char *out cleanup_free = xstrdup(s);
	char *from, *end = out;

	for (char *p = out; *p; p++) {
		char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;

		/* One replacement for each character, not for each byte. */
		if (((unsigned char)c & 0xc0) == 0x80)
			continue;
		*end++ = is_allowed(t, c) ? c : t->replacement;
	}
	while (end > out && !is_alnum(end[-1]))
		end--;
	*end = '\0';
	for (from = out; *from && !is_alnum(*from);)
		from++;
	if (!*from)
		return error_set(err, EINVAL,
				 "cannot make %s from '%s': it has no usable "
				 "character",
				 t->what, s);
	*ret = xstrdup(from);
	return 0;
}
