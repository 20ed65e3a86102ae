/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static struct {
	char prefix[64];
	bool debug;
} log_state = {.prefix = "rkt"};

void log_init(const char *prefix, bool debug)
{
	(void)snprintf(log_state.prefix, sizeof(log_state.prefix), "%s",
		       prefix);
	log_state.debug = debug;
}

bool log_is_debug(void)
{
	return log_state.debug;
}

/* One write(2) a line, so lines of several processes do not mix.  What could
 * drive a terminal, in names of others' making, is shown as '?'. */
static void write_line(const char *text)
{
	char line[ERROR_MSG_MAX + 128];
	int saved_errno = errno;
	int n;

	n = snprintf(line, sizeof(line) - 1, "%s: %s", log_state.prefix, text);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (char *p = line; p < line + n; p++)
		if (iscntrl((unsigned char)*p) && *p != '\n' && *p != '\t')
			*p = '?';
	line[n] = '\n';
	(void)!write(STDERR_FILENO, line, (size_t)n + 1);
	errno = saved_errno;
}

static void log_message(const char *level, const char *fmt, va_list ap)
	__attribute__((__format__(__printf__, 2, 0)));

static void log_message(const char *level, const char *fmt, va_list ap)
{
	char text[ERROR_MSG_MAX];
	int saved_errno = errno;
	int n;

	n = snprintf(text, sizeof(text), "%s", level);
	errno = saved_errno;
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	write_line(text);
	errno = saved_errno;
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message("", fmt, ap);
	va_end(ap);
}

void log_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message("warning: ", fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message("", fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!log_state.debug)
		return;
	va_start(ap, fmt);
	log_message("", fmt, ap);
	va_end(ap);
}

static void log_tree(const struct error *err, const char *what)
{
	int depth = 0;

	if (what) {
		write_line(what);
		depth = 1;
	}
	for (unsigned int i = 0; i < err->n_levels; i++, depth++) {
		size_t start = err->level[i];
		size_t end = i + 1 < err->n_levels ? err->level[i + 1] - 2U
						   : strlen(err->msg);
		char text[ERROR_MSG_MAX + 64];

		(void)snprintf(text, sizeof(text), "%*s%s%.*s", 2 * depth, "",
			       depth ? "└─" : "", (int)(end - start),
			       err->msg + start);
		write_line(text);
	}
}

void log_failure(const struct error *err, const char *what)
{
	if (log_state.debug)
		log_tree(err, what);
	else if (what)
		log_error("%s: %s", what, error_innermost(err));
	else
		log_error("%s", error_innermost(err));
}
