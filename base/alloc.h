/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

/*
 * Allocation that cannot fail: out of memory ends the program.  Sizes that
 * come from outside are bounded before they get here; arrays are sized with
 * xreallocarray(), which checks the multiplication.
 */

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...)
	__attribute__((__format__(__printf__, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap)
	__attribute__((__format__(__printf__, 1, 0)));

#endif
