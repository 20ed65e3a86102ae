/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/semver.h"

#include <stddef.h>
#include <string.h>

#define DIGITS "0123456789"
#define IDENTIFIER_BYTES                                                       \
	DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-"

static bool is_number(const char *s, size_t len)
{
	return len > 0 && strspn(s, DIGITS) >= len;
}

/* A number without leading zeros at *S; moves behind it. */
static bool skip_number(const char **s)
{
	size_t len = strspn(*s, DIGITS);
	bool ok = len == 1 || (len > 1 && **s != '0');

	*s += len;
	return ok;
}

/* Identifiers between dots; STRICT: numbers have no leading zeros. */
static bool skip_identifiers(const char **s, bool strict)
{
	for (;; (*s)++) {
		size_t len = strspn(*s, IDENTIFIER_BYTES);

		if (len == 0 ||
		    (strict && len > 1 && **s == '0' && is_number(*s, len)))
			return false;
		*s += len;
		if (**s != '.')
			return true;
	}
}

bool semver_check(const char *s)
{
	for (int i = 0; i < 3; i++) {
		if (i > 0 && *s++ != '.')
			return false;
		if (!skip_number(&s))
			return false;
	}
	if (*s == '-') {
		s++;
		if (!skip_identifiers(&s, true))
			return false;
	}
	if (*s == '+') {
		s++;
		if (!skip_identifiers(&s, false))
			return false;
	}
	return *s == '\0';
}

/* Without leading zeros the longer number is the greater one. */
static int compare_numbers(const char *a, size_t a_len, const char *b,
			   size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

static int compare_words(const char *a, size_t a_len, const char *b,
			 size_t b_len)
{
	int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return r ? r : (a_len > b_len) - (a_len < b_len);
}

/* Section 11.4: numbers as numbers, and below words. */
static int compare_identifiers(const char *a, size_t a_len, const char *b,
			       size_t b_len)
{
	bool a_number = is_number(a, a_len), b_number = is_number(b, b_len);

	if (a_number != b_number)
		return a_number ? -1 : 1;
	return a_number ? compare_numbers(a, a_len, b, b_len)
			: compare_words(a, a_len, b, b_len);
}

/* What stands behind the '-'; a version without it is the greater one. */
static int compare_pre(const char *a, const char *b)
{
	if (*a != '-' || *b != '-')
		return (*b == '-') - (*a == '-');
	for (;;) {
		size_t a_len, b_len;
		int r;

		a++;
		b++;
		a_len = strcspn(a, ".+");
		b_len = strcspn(b, ".+");
		r = compare_identifiers(a, a_len, b, b_len);
		if (r)
			return r;
		a += a_len;
		b += b_len;
		if (*a != '.' || *b != '.')
			return (*a == '.') - (*b == '.');
	}
}

int semver_compare(const char *a, const char *b)
{
	for (int i = 0; i < 3; i++) {
		size_t a_len = strspn(a, DIGITS), b_len = strspn(b, DIGITS);
		int r = compare_numbers(a, a_len, b, b_len);

		if (r)
			return r;
		a += a_len + (i < 2);
		b += b_len + (i < 2);
	}
	return compare_pre(a, b);
}

static const char *build(const char *s)
{
	s += strcspn(s, "+");
	return *s ? s + 1 : s;
}

/* Leading zeros may be there. */
static size_t skip_zeros(const char **s)
{
	while (**s == '0' && strchr(DIGITS, (*s)[1]) && (*s)[1])
		(*s)++;
	return strspn(*s, DIGITS);
}

bool semver_compare_builds(const char *a, const char *b, int *ret)
{
	a = build(a);
	b = build(b);
	for (;;) {
		size_t a_len = skip_zeros(&a), b_len = skip_zeros(&b);

		if (a_len && b_len) {
			*ret = compare_numbers(a, a_len, b, b_len);
			if (*ret)
				return true;
			a += a_len;
			b += b_len;
		} else if (!*a || !*b) {
			*ret = (*a != '\0') - (*b != '\0');
			return true;
		} else if (*a++ != *b++) {
			return false;
		}
	}
}
