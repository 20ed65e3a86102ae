/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set_message(struct error *err, int code, const char *fmt,
			va_list ap)
	__attribute__((__format__(__printf__, 3, 0)));

static void set_message(struct error *err, int code, const char *fmt,
			va_list ap)
{
	err->code = code;
	err->n_levels = 1;
	err->level[0] = 0;
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	assert(code > 0);
	if (err) {
		va_start(ap, fmt);
		set_message(err, code, fmt, ap);
		va_end(ap);
	}
	return -code;
}

int error_sys(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	assert(code > 0);
	if (!err)
		return -code;
	va_start(ap, fmt);
	set_message(err, code, fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s",
		       strerrordesc_np(code) ? strerrordesc_np(code)
					     : "unknown error");
	return -code;
}

/* Puts the text and ": " at the offset AT of the message; returns how many
 * bytes that were, 0 if there is no room. */
static size_t insert_prefix(struct error *err, size_t at, const char *fmt,
			    va_list ap)
	__attribute__((__format__(__printf__, 3, 0)));

static size_t insert_prefix(struct error *err, size_t at, const char *fmt,
			    va_list ap)
{
	char prefix[ERROR_MSG_MAX];
	size_t n, old;

	(void)vsnprintf(prefix, sizeof(prefix) - 2, fmt, ap);
	(void)strcat(prefix, ": ");
	n = strlen(prefix);
	old = strlen(err->msg);
	if (n >= sizeof(err->msg))
		n = sizeof(err->msg) - 1;
	if (n + old >= sizeof(err->msg)) {
		/* The innermost text matters most: cut the prefix first. */
		if (old >= sizeof(err->msg) - 1)
			return 0;
		n = sizeof(err->msg) - 1 - old;
	}
	memmove(err->msg + at + n, err->msg + at, old - at + 1);
	memcpy(err->msg + at, prefix, n);
	return n;
}

int error_prefix(struct error *err, int r, const char *fmt, ...)
{
	va_list ap;

	assert(r < 0);
	if (!err)
		return r;
	va_start(ap, fmt);
	(void)insert_prefix(err, (size_t)(error_innermost(err) - err->msg), fmt,
			    ap);
	va_end(ap);
	return r;
}

int error_wrap(struct error *err, int r, const char *fmt, ...)
{
	size_t n;
	va_list ap;

	assert(r < 0);
	if (!err)
		return r;
	va_start(ap, fmt);
	n = insert_prefix(err, 0, fmt, ap);
	va_end(ap);
	if (n == 0)
		return r;
	if (err->n_levels == 0)
		err->n_levels = 1;
	if (err->n_levels == ERROR_LEVELS_MAX)
		err->n_levels--;
	for (size_t i = err->n_levels; i > 0; i--)
		err->level[i] = (unsigned short)(err->level[i - 1] + n);
	err->level[0] = 0;
	err->n_levels++;
	return r;
}

const char *error_innermost(const struct error *err)
{
	if (err->n_levels == 0)
		return err->msg;
	return err->msg + err->level[err->n_levels - 1];
}

void error_sanitize(struct error *err)
{
	for (char *p = err->msg; *p; p++)
		if (iscntrl((unsigned char)*p) && *p != '\n' && *p != '\t')
			*p = '?';
}
