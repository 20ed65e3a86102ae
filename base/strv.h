/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_STRV_H
#define BASE_STRV_H

/*
 * String vectors: NULL-terminated arrays of malloc'ed strings, as argv and
 * the environment have them.  The empty vector is v == NULL, n == 0.
 */

#include <stdbool.h>
#include <stddef.h>

struct strv {
	char **v; /* NULL or NULL-terminated */
	size_t n;
};

#define STRV_INIT                                                              \
	{                                                                      \
		NULL, 0                                                        \
	}

void strv_release(struct strv *sv);
#define cleanup_strv __attribute__((__cleanup__(strv_release)))

void strv_push(struct strv *sv, const char *s);
/* Takes S, a malloc'ed string. */
void strv_take(struct strv *sv, char *s);
void strv_pushf(struct strv *sv, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
void strv_append(struct strv *sv, const struct strv *more);
bool strv_equal(const struct strv *a, const struct strv *b);
bool strv_has(const struct strv *sv, const char *s);
/* By bytes, as strcmp(3) orders; _sorted_has is a binary search. */
void strv_sort(struct strv *sv);
bool strv_sorted_has(const struct strv *sorted, const char *s);
/* Fields of S between SEP characters; empty fields are kept. */
void strv_split(struct strv *ret, const char *s, char sep);

/* Environment vectors of NAME=VALUE.  _get borrows, NULL when unset. */
const char *strv_env_get(const struct strv *env, const char *name);
void strv_env_set(struct strv *env, const char *name, const char *value);
void strv_env_unset(struct strv *env, const char *name);

#endif
