/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/say.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/io.h"

void say_as(const char *who, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	cleanup_free char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	line = xasprintf("%s: %s\n", who, text);
	(void)write_full(STDERR_FILENO, line, strlen(line));
}
