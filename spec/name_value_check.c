/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/name_value.h"

int environment_name_check(const char *name, struct error *err)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz_";
	static const char next[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "abcdefghijklmnopqrstuvwxyz_0123456789.-";

	if (!*name)
		return error_set(err, EINVAL,
				 "environment variable name is empty");
	if (strspn(name, first) == 0 || name[strspn(name, next)])
		return error_set(err, EINVAL,
				 "environment variable name '%s' holds other "
				 "characters than letters, digits, '_', '.' "
				 "and '-' or starts with none of letters and "
				 "'_'",
				 name);
	return 0;
}

/* --- os and arch -----------------------------------------------------------
 */

static const struct {
	const char *os;
	const char *const *arch;
} known[] = {
	{"linux",
	 (const char *const[]){"amd64", "i386", "aarch64", "aarch64_be",
			       "armv6l", "armv7l", "armv7b", "ppc64", "ppc64le",
			       "s390x", NULL}},
	{"freebsd", (const char *const[]){"amd64", "i386", "arm", NULL}},
	{"darwin", (const char *const[]){"x86_64", "i386", NULL}},
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static int unknown_arch(const char *os, const char *arch,
			const char *const *valid, struct error *err)
{
	struct strbuf list cleanup_strbuf = STRBUF_INIT;

	for (; *valid; valid++)
		strbuf_addf(&list, "%s%s", list.len ? " " : "", *valid);
	return error_set(err, EINVAL,
			 "arch \"%s\" is not known for %s (must be one of %s)",
			 arch, os, list.buf);
}

int labels_check_os_arch(const char *os, const char *arch, struct error *err)
{
	if (!os)
		return 0;
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (strcmp(os, known[i].os) != 0)
			continue;
		if (!arch)
			return 0;
		for (size_t k = 0; known[i].arch[k]; k++)
			if (strcmp(arch, known[i].arch[k]) == 0)
				return 0;
		return unknown_arch(os, arch, known[i].arch, err);
	}
	return error_set(err, EINVAL,
			 "os \"%s\" is not known (must be one of linux freebsd "
			 "darwin)",
			 os);
}

int labels_check(const struct name_values *labels, struct error *err)
{
	return labels_check_os_arch(name_values_get(labels, "os"),
				    name_values_get(labels, "arch"), err);
}

const char *labels_host_os(void)
{
	return "linux";
}

const char *labels_host_arch(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__i386__)
	return "i386";
#elif defined(__aarch64__) && defined(__AARCH64EB__)
	return "aarch64_be";
#elif defined(__aarch64__)
	return "aarch64";
#elif defined(__arm__) && defined(__ARMEB__)
	return "armv7b";
#elif defined(__arm__) && __ARM_ARCH >= 7
	return "armv7l";
#elif defined(__arm__)
	return "armv6l";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	return "ppc64le";
#elif defined(__powerpc64__)
	return "ppc64";
#elif defined(__s390x__)
	return "s390x";
#else
	return NULL;
#endif
}

/* --- RFC 3339 --------------------------------------------------------------
 */

/* N digits at *S as a number in MIN..MAX; moves *S. */
static bool scan_number(const char **s, int n, int min, int max, int *ret)
{
	int value = 0;

	for (; n > 0; n--, (*s)++) {
		if (!isdigit((unsigned char)**s))
			return false;
		value = value * 10 + (**s - '0');
	}
	if (ret)
		*ret = value;
	return value >= min && value <= max;
}

static bool scan_char(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30,
				   31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool scan_day(const char **s)
{
	int year, month;

	return scan_number(s, 4, 0, 9999, &year) && scan_char(s, '-') &&
	       scan_number(s, 2, 1, 12, &month) && scan_char(s, '-') &&
	       scan_number(s, 2, 1, days_in_month(year, month), NULL);
}

static bool scan_time(const char **s)
{
	size_t n;

	if (!scan_number(s, 2, 0, 23, NULL) || !scan_char(s, ':') ||
	    !scan_number(s, 2, 0, 59, NULL) || !scan_char(s, ':') ||
	    !scan_number(s, 2, 0, 59, NULL))
		return false;
	if (!scan_char(s, '.'))
		return true;
	n = strspn(*s, "0123456789");
	*s += n;
	return n > 0;
}

static bool scan_zone(const char **s)
{
	if (scan_char(s, 'Z'))
		return true;
	if (!scan_char(s, '+') && !scan_char(s, '-'))
		return false;
	return scan_number(s, 2, 0, 23, NULL) && scan_char(s, ':') &&
	       scan_number(s, 2, 0, 59, NULL);
}

int date_check(const char *s, struct error *err)
{
	const char *p = s;

	if (scan_day(&p) && scan_char(&p, 'T') && scan_time(&p) &&
	    scan_zone(&p) && !*p)
		return 0;
	return error_set(err, EINVAL,
			 "date '%s' is not as in 2006-01-02T15:04:05Z", s);
}

/* --- URLs ------------------------------------------------------------------
 */

static bool is_bad_escape(const char *s)
{
	return !isxdigit((unsigned char)s[1]) || !isxdigit((unsigned char)s[2]);
}

int url_check(const char *s, struct error *err)
{
	const char *query = s + strcspn(s, "?#");
	const char *rest;

	if (strncasecmp(s, "http:", 5) == 0)
		rest = s + 5;
	else if (strncasecmp(s, "https:", 6) == 0)
		rest = s + 6;
	else
		return error_set(
			err, EINVAL,
			"URL '%s' does not start with http: or https:", s);
	for (const char *p = rest; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return error_set(err, EINVAL,
					 "URL '%s' holds a control character",
					 s);
		if (*p == '%' && p < query && is_bad_escape(p))
			return error_set(err, EINVAL,
					 "URL '%s' holds a %% without two hex "
					 "digits",
					 s);
	}
	return 0;
}
