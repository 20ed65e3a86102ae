/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void strv_release(struct strv *sv)
{
	for (size_t i = 0; i < sv->n; i++)
		free(sv->v[i]);
	free(sv->v);
	*sv = (struct strv)STRV_INIT;
}

void strv_take(struct strv *sv, char *s)
{
	sv->v = xreallocarray(sv->v, sv->n + 2, sizeof(*sv->v));
	sv->v[sv->n++] = s;
	sv->v[sv->n] = NULL;
}

void strv_push(struct strv *sv, const char *s)
{
	strv_take(sv, xstrdup(s));
}

void strv_pushf(struct strv *sv, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_take(sv, xvasprintf(fmt, ap));
	va_end(ap);
}

void strv_append(struct strv *sv, const struct strv *more)
{
	for (size_t i = 0; i < more->n; i++)
		strv_push(sv, more->v[i]);
}

bool strv_equal(const struct strv *a, const struct strv *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

bool strv_has(const struct strv *sv, const char *s)
{
	for (size_t i = 0; i < sv->n; i++)
		if (strcmp(sv->v[i], s) == 0)
			return true;
	return false;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *sv)
{
	if (sv->n > 1)
		qsort(sv->v, sv->n, sizeof(*sv->v), by_bytes);
}

bool strv_sorted_has(const struct strv *sorted, const char *s)
{
	return sorted->n > 0 && bsearch(&s, sorted->v, sorted->n,
					sizeof(*sorted->v), by_bytes) != NULL;
}

void strv_split(struct strv *ret, const char *s, char sep)
{
	for (;;) {
		const char *end = strchr(s, sep);

		if (!end) {
			strv_push(ret, s);
			return;
		}
		strv_take(ret, xstrndup(s, (size_t)(end - s)));
		s = end + 1;
	}
}

static char **env_find(const struct strv *env, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '=')
			return &env->v[i];
	return NULL;
}

const char *strv_env_get(const struct strv *env, const char *name)
{
	char **slot = env_find(env, name);

	return slot ? *slot + strlen(name) + 1 : NULL;
}

void strv_env_set(struct strv *env, const char *name, const char *value)
{
	char **slot = env_find(env, name);
	char *entry = xasprintf("%s=%s", name, value);

	if (!slot) {
		strv_take(env, entry);
		return;
	}
	free(*slot);
	*slot = entry;
}

void strv_env_unset(struct strv *env, const char *name)
{
	char **slot = env_find(env, name);

	if (!slot)
		return;
	free(*slot);
	env->n--;
	memmove(slot, slot + 1,
		(size_t)(env->v + env->n - slot + 1) * sizeof(*slot));
}
