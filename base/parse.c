/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

int parse_uint(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		uint64_t digit;

		if (!isdigit((unsigned char)*s))
			return -EINVAL;
		digit = (uint64_t)(*s - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	if (value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = *s == '-';
	uint64_t magnitude;
	int64_t value;
	int r;

	r = parse_uint(s + negative, (uint64_t)INT64_MAX, &magnitude);
	if (r < 0)
		return r;
	value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_id(const char *s, uint32_t *ret)
{
	uint64_t value;
	int r = parse_uint(s, UINT32_MAX - 1, &value);

	if (r < 0)
		return r;
	*ret = (uint32_t)value;
	return 0;
}

int parse_mode(const char *s, mode_t *ret)
{
	mode_t value = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '7')
			return -EINVAL;
		value = value * 8 + (mode_t)(*s - '0');
		if (value > 07777)
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"1",	  "t",	  "T",
					  "TRUE", "true", "True"};
	static const char *const no[] = {"0",	  "f",	   "F",
					 "FALSE", "false", "False"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcmp(s, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcmp(s, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

static int duration_unit(const char **s, double *ret)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {
		{"ns", 1},  {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"ms", 1e6},
		{"s", 1e9}, {"m", 60e9}, {"h", 3600e9},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(*s, units[i].name, len) != 0)
			continue;
		*s += len;
		*ret = units[i].ns;
		return 0;
	}
	return -EINVAL;
}

static int duration_number(const char **s, double *ret)
{
	double value = 0, scale = 1;
	bool any = false, fraction = false;

	for (; isdigit((unsigned char)**s) || (**s == '.' && !fraction);
	     (*s)++) {
		if (**s == '.') {
			fraction = true;
			continue;
		}
		any = true;
		if (fraction)
			value += (scale /= 10) * (**s - '0');
		else
			value = value * 10 + (**s - '0');
	}
	if (!any)
		return -EINVAL;
	*ret = value;
	return 0;
}

int parse_duration(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	double total = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (strcmp(s, "0") == 0) {
		*ret = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		double number, unit;

		if (duration_number(&s, &number) < 0 ||
		    duration_unit(&s, &unit) < 0)
			return -EINVAL;
		total += number * unit;
	}
	if (total > 9e18)
		return -ERANGE;
	*ret = (int64_t)(negative ? -total : total);
	return 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int parse_hex(const char *s, uint8_t *ret, size_t n)
{
	if (strlen(s) != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < 2 * n; i++)
		if (hex_value(s[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)(hex_value(s[2 * i]) * 16 +
				   hex_value(s[2 * i + 1]));
	return 0;
}

void format_hex(const uint8_t *data, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digits[data[i] >> 4];
		ret[2 * i + 1] = digits[data[i] & 15];
	}
	ret[2 * n] = '\0';
}

/* What is behind "RTMIN" and "RTMAX". */
static int parse_realtime(const char *s, int from, char sign, int *ret)
{
	int span = SIGRTMAX - SIGRTMIN;
	uint64_t n = 0;

	if (*s && (*s != sign || parse_uint(s + 1, (uint64_t)span, &n) < 0))
		return -EINVAL;
	*ret = from + (sign == '+' ? (int)n : -(int)n);
	return 0;
}

int parse_signal(const char *s, int *ret)
{
	uint64_t n;

	if (parse_uint(s, (uint64_t)SIGRTMAX, &n) == 0) {
		if (n == 0)
			return -ERANGE;
		*ret = (int)n;
		return 0;
	}
	if (strncmp(s, "SIG", 3) == 0)
		s += 3;
	if (strncmp(s, "RTMIN", 5) == 0)
		return parse_realtime(s + 5, SIGRTMIN, '+', ret);
	if (strncmp(s, "RTMAX", 5) == 0)
		return parse_realtime(s + 5, SIGRTMAX, '-', ret);
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		const char *name = sigabbrev_np(sig);

		if (name && strcmp(s, name) == 0) {
			*ret = sig;
			return 0;
		}
	}
	return -EINVAL;
}
