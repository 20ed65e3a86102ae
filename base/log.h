/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * Diagnostics on stderr, one line each: "PREFIX: text".  Messages start
 * lower case and have no full stop.  errno is never changed.  Libraries log
 * at debug and info; errors are returned and printed by cmd/ and stage1's
 * main.
 */

#include <stdbool.h>

struct error;

void log_init(const char *prefix, bool debug);
bool log_is_debug(void);

void log_error(const char *fmt, ...)
	__attribute__((__format__(__printf__, 1, 2)));
void log_warning(const char *fmt, ...)
	__attribute__((__format__(__printf__, 1, 2)));
void log_info(const char *fmt, ...)
	__attribute__((__format__(__printf__, 1, 2)));
void log_debug(const char *fmt, ...)
	__attribute__((__format__(__printf__, 1, 2)));

/*
 * Prints a failure: without debug "PREFIX: WHAT: innermost text", with debug
 * the chain as a tree, one level a line: two spaces a depth and "└─".
 * WHAT may be NULL.
 */
void log_failure(const struct error *err, const char *what);

#endif
