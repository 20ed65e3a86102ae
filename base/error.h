/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/*
 * Errors are values on the caller's stack.  A function that can fail returns
 * 0 (or a useful positive number) on success and a negative errno on failure;
 * when there is something to say its last argument is `struct error *err`,
 * which may be NULL and is untouched on success.
 *
 * The function that made the failing call writes the message (verb, object,
 * reason); a caller prefixes context it alone knows with error_wrap().  The
 * text reads outside-in, levels joined by ": ".  Only cmd/ prints errors and
 * chooses exit codes.
 *
 * Codes with one meaning across the tree: ENOENT no such image, pod or file;
 * EBADMSG digest or signature mismatch; EINVAL bad manifest or argument;
 * EBUSY locked; ESTALE state changed under us; ENOTSUP the kernel lacks it;
 * EPERM refused by policy (untrusted, unsigned).
 */

#include <limits.h>
#include <stddef.h>

#define ERROR_MSG_MAX 1024
#define ERROR_LEVELS_MAX 8

struct error {
	int code; /* positive errno, 0 = no error */
	char msg[ERROR_MSG_MAX];
	/* Byte offsets in msg where each wrapped level starts, outermost
	 * first; lets --debug print the chain as a tree. */
	unsigned short level[ERROR_LEVELS_MAX];
	unsigned short n_levels;
};

#define ERROR_INIT                                                             \
	{                                                                      \
		0                                                              \
	}

/* A forked child sends its whole error with one atomic pipe write. */
_Static_assert(sizeof(struct error) <= PIPE_BUF,
	       "struct error must fit one atomic pipe write");

/* Sets err to CODE (positive errno) and the message; returns -CODE. */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

/* Like error_set(), with ": " and the text of CODE appended. */
int error_sys(struct error *err, int code, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

/* Puts a prefix and ": " before the message of a failed call; returns R. */
int error_wrap(struct error *err, int r, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

/* Like error_wrap(), but the prefix belongs to the innermost level: for what
 * the message cannot be understood without, as the file of a line. */
int error_prefix(struct error *err, int r, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

/* The innermost level of the message: what rkt shows without --debug. */
const char *error_innermost(const struct error *err);

/* Replaces bytes that could drive a terminal by '?', in place. */
void error_sanitize(struct error *err);

#endif
