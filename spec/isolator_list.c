/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/isolator.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

#define MEMORY_LIMIT_MIN 4096 /* a page: below it no program can start */

void isolators_release(struct isolators *list)
{
	for (size_t i = 0; i < list->n; i++)
		isolator_release(&list->v[i]);
	free(list->v);
	*list = (struct isolators)ISOLATORS_INIT;
}

const struct isolator *isolators_find(const struct isolators *list,
				      enum isolator_kind kind)
{
	for (size_t i = list->n; i > 0; i--)
		if (list->v[i - 1].kind == kind)
			return &list->v[i - 1];
	return NULL;
}

void isolators_add(struct isolators *list, struct isolator *isolator)
{
	list->v = xreallocarray(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = *isolator;
	*isolator = (struct isolator){0};
}

void isolators_remove(struct isolators *list, enum isolator_kind kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].kind == kind)
			isolator_release(&list->v[i]);
		else
			list->v[kept++] = list->v[i];
	}
	list->n = kept;
}

void isolators_set(struct isolators *list, struct isolator *isolator)
{
	isolators_remove(list, isolator->kind);
	isolators_add(list, isolator);
}

/* --- making one ------------------------------------------------------------
 */

static int make_from_text(enum isolator_kind kind, const struct strbuf *value,
			  struct isolator *ret, struct error *err)
{
	return isolator_parse(isolator_kind_name(kind), value->buf, ret, err);
}

int isolator_make_resource(enum isolator_kind kind, const char *limit,
			   struct isolator *ret, struct error *err)
{
	struct strbuf value cleanup_strbuf = STRBUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &value, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	if (kind != ISOLATOR_CPU && kind != ISOLATOR_MEMORY)
		json_add_bool(&w, "default", true);
	json_add_string(&w, "limit", limit);
	json_close_object(&w);
	return make_from_text(kind, &value, ret, err);
}

int isolator_make_number(enum isolator_kind kind, int64_t number,
			 struct isolator *ret, struct error *err)
{
	struct strbuf value cleanup_strbuf = STRBUF_INIT;

	strbuf_addf(&value, "%" PRId64, number);
	return make_from_text(kind, &value, ret, err);
}

int isolator_make_caps(enum isolator_kind kind, const struct strv *set,
		       struct isolator *ret, struct error *err)
{
	return isolator_make_seccomp(kind, set, NULL, ret, err);
}

int isolator_make_seccomp(enum isolator_kind kind, const struct strv *set,
			  const char *errno_name, struct isolator *ret,
			  struct error *err)
{
	struct strbuf value cleanup_strbuf = STRBUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &value, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_strv(&w, "set", set);
	json_add_string_if(&w, "errno", errno_name);
	json_close_object(&w);
	return make_from_text(kind, &value, ret, err);
}

/* --- rules -----------------------------------------------------------------
 */

static const enum isolator_kind exclusive[][2] = {
	{ISOLATOR_SECCOMP_REMOVE_SET, ISOLATOR_SECCOMP_RETAIN_SET},
	{ISOLATOR_CAPS_REMOVE_SET, ISOLATOR_CAPS_RETAIN_SET},
};

int isolators_check(const struct isolators *list, struct error *err)
{
	size_t count[ISOLATOR_KIND_MAX] = {0};

	for (size_t i = 0; i < list->n; i++)
		count[list->v[i].kind]++;
	for (int k = 0; k < ISOLATOR_KIND_MAX; k++)
		if (count[k] > 1 && isolator_kind_is_single(k))
			return error_set(err, EINVAL,
					 "isolator %s is given more than once",
					 isolator_kind_name(k));
	for (size_t i = 0; i < sizeof(exclusive) / sizeof(exclusive[0]); i++)
		if (count[exclusive[i][0]] && count[exclusive[i][1]])
			return error_set(
				err, EINVAL,
				"isolators %s and %s exclude each other",
				isolator_kind_name(exclusive[i][0]),
				isolator_kind_name(exclusive[i][1]));
	return 0;
}

static int check_amount(enum isolator_kind kind, const struct quantity *limit,
			struct error *err)
{
	int64_t n = 0;

	if (kind == ISOLATOR_CPU && quantity_milli_ceil(limit, &n) < 0)
		return error_set(err, ERANGE, "limit is too large");
	if (kind == ISOLATOR_CPU && n < 1)
		return error_set(err, ERANGE, "limit is less than 1m");
	if (kind == ISOLATOR_MEMORY && quantity_value_ceil(limit, &n) == 0 &&
	    n < MEMORY_LIMIT_MIN)
		return error_set(err, ERANGE,
				 "limit of %" PRId64 " bytes is too low, at "
				 "least %d are needed",
				 n, MEMORY_LIMIT_MIN);
	return 0;
}

static int resource_check_usable(const struct isolator *isolator,
				 struct error *err)
{
	const struct isolator_resource *r = &isolator->u.resource;
	int ret = 0;

	if (r->has_limit)
		ret = quantity_check_usable(&r->limit, "limit", err);
	if (ret == 0 && r->has_request)
		ret = quantity_check_usable(&r->request, "request", err);
	if (ret < 0)
		return ret;
	return r->has_limit ? check_amount(isolator->kind, &r->limit, err) : 0;
}

int isolator_check_usable(const struct isolator *isolator, struct error *err)
{
	int r;

	switch (isolator->kind) {
	case ISOLATOR_CPU:
	case ISOLATOR_MEMORY:
	case ISOLATOR_BLOCK_BANDWIDTH:
	case ISOLATOR_BLOCK_IOPS:
	case ISOLATOR_NETWORK_BANDWIDTH:
		r = resource_check_usable(isolator, err);
		if (r < 0)
			return error_prefix(err, r, "isolator %s",
					    isolator->name);
		return 0;
	default:
		return 0;
	}
}

/* --- JSON ------------------------------------------------------------------
 */

void isolators_read(const struct json_node *array, bool is_app,
		    struct isolators *ret)
{
	struct error err = ERROR_INIT;
	struct json_node item;
	size_t n;

	if (!json_want_array(array))
		return;
	n = json_n_items(array);
	for (size_t i = 0; i < n; i++) {
		struct isolator isolator cleanup_isolator = {0};

		if (json_item(array, i, &item) &&
		    isolator_read(&item, &isolator))
			isolators_add(ret, &isolator);
	}
	if (is_app && isolators_check(ret, &err) < 0)
		json_problem_error(array, &err);
}

void isolators_copy(struct isolators *ret, const struct isolators *list)
{
	*ret = (struct isolators)ISOLATORS_INIT;
	for (size_t i = 0; i < list->n; i++) {
		struct isolator copy;

		isolator_copy(&copy, &list->v[i]);
		isolators_add(ret, &copy);
	}
}

void isolators_write(const struct isolators *list, const char *key,
		     struct json_writer *w)
{
	if (list->n == 0)
		return;
	json_open_array(w, key);
	for (size_t i = 0; i < list->n; i++)
		isolator_write(&list->v[i], NULL, w);
	json_close_array(w);
}
