/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/name_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/acidentifier.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

void name_values_release(struct name_values *nv)
{
	for (size_t i = 0; i < nv->n; i++) {
		free(nv->v[i].name);
		free(nv->v[i].value);
	}
	free(nv->v);
	*nv = (struct name_values)NAME_VALUES_INIT;
}

static struct name_value *find(const struct name_values *nv, const char *name)
{
	for (size_t i = 0; i < nv->n; i++)
		if (strcmp(nv->v[i].name, name) == 0)
			return &nv->v[i];
	return NULL;
}

const char *name_values_get(const struct name_values *nv, const char *name)
{
	const struct name_value *found = find(nv, name);

	return found ? found->value : NULL;
}

static void add_take(struct name_values *nv, char *name, char *value)
{
	/* There is always room up to the next power of two: lists come from
	 * outside and may be long. */
	if ((nv->n & (nv->n - 1)) == 0)
		nv->v = xreallocarray(nv->v, nv->n ? 2 * nv->n : 1,
				      sizeof(*nv->v));
	nv->v[nv->n++] = (struct name_value){.name = name, .value = value};
}

void name_values_add(struct name_values *nv, const char *name,
		     const char *value)
{
	add_take(nv, xstrdup(name), xstrdup(value));
}

void name_values_set(struct name_values *nv, const char *name,
		     const char *value)
{
	struct name_value *found = find(nv, name);
	char *copy;

	if (!found) {
		name_values_add(nv, name, value);
		return;
	}
	copy = xstrdup(value);
	free(found->value);
	found->value = copy;
}

void name_values_copy(struct name_values *ret, const struct name_values *nv)
{
	*ret = (struct name_values)NAME_VALUES_INIT;
	for (size_t i = 0; i < nv->n; i++)
		name_values_add(ret, nv->v[i].name, nv->v[i].value);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *names_find_duplicate(const char **names, size_t n)
{
	if (n < 2)
		return NULL;
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 1; i < n; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return names[i];
	return NULL;
}

/* --- JSON ------------------------------------------------------------------
 */

static int label_name_check(const char *s, struct error *err)
{
	if (strcmp(s, "name") == 0)
		return error_set(err, EINVAL,
				 "a label cannot be called \"name\"");
	return acidentifier_check(s, err);
}

static int any_value_check(const char *name, const char *value,
			   struct error *err)
{
	(void)name;
	(void)value;
	(void)err;
	return 0;
}

static int annotation_value_check(const char *name, const char *value,
				  struct error *err)
{
	if (strcmp(name, "created") == 0)
		return date_check(value, err);
	if (strcmp(name, "homepage") == 0 || strcmp(name, "documentation") == 0)
		return url_check(value, err);
	return 0;
}

static const struct {
	const char *what;
	int (*check_name)(const char *name, struct error *err);
	int (*check_value)(const char *name, const char *value,
			   struct error *err);
} kinds[] = {
	[NAME_VALUES_LABELS] = {"label", label_name_check, any_value_check},
	[NAME_VALUES_ANNOTATIONS] = {"annotation", acidentifier_check,
				     annotation_value_check},
	[NAME_VALUES_ENVIRONMENT] = {"environment variable",
				     environment_name_check, any_value_check},
};

static void read_item(const struct json_node *item, enum name_values_kind kind,
		      struct name_values *ret)
{
	struct error err = ERROR_INIT;
	char *value cleanup_free = NULL;
	char *name cleanup_free = NULL;
	struct json_node member;

	if (!json_want_object(item))
		return;
	if (!json_member_or_null(item, "name", &member)) {
		json_problem(item, "%s without a name", kinds[kind].what);
		return;
	}
	if (!json_get_checked(item, "name", kinds[kind].check_name, &name))
		return;
	if (json_member(item, "value", &member))
		value = json_read_string_dup(&member);
	else
		value = xstrdup("");
	if (!value)
		return;
	if (kinds[kind].check_value(name, value, &err) < 0)
		json_problem_error(&member, &err);
	add_take(ret, TAKE_PTR(name), TAKE_PTR(value));
}

static void check_unique(const struct json_node *array,
			 const struct name_values *nv, const char *what)
{
	const char **names cleanup_free = xcalloc(nv->n + 1, sizeof(*names));
	const char *duplicate;

	for (size_t i = 0; i < nv->n; i++)
		names[i] = nv->v[i].name;
	duplicate = names_find_duplicate(names, nv->n);
	if (duplicate)
		json_problem(array, "%s \"%s\" is given twice", what,
			     duplicate);
}

void name_values_read(const struct json_node *array, enum name_values_kind kind,
		      struct name_values *ret)
{
	struct error err = ERROR_INIT;
	struct json_node item;
	size_t n;

	if (!json_want_array(array))
		return;
	n = json_n_items(array);
	for (size_t i = 0; i < n; i++)
		if (json_item(array, i, &item))
			read_item(&item, kind, ret);
	check_unique(array, ret, kinds[kind].what);
	if (kind == NAME_VALUES_LABELS && labels_check(ret, &err) < 0)
		json_problem_error(array, &err);
}

void name_values_read_map(const struct json_node *object,
			  struct name_values *ret)
{
	struct json_node member = {0};

	if (!json_want_object(object))
		return;
	while (json_next_member(object, &member)) {
		const char *value = "";

		if (json_node_is_null(&member) ||
		    json_read_string(&member, &value))
			name_values_add(ret, member.key, value);
	}
}

void name_values_write(const struct name_values *nv, const char *key,
		       struct json_writer *w)
{
	if (nv->n == 0)
		return;
	json_open_array(w, key);
	for (size_t i = 0; i < nv->n; i++) {
		json_open_object(w, NULL);
		json_add_string(w, "name", nv->v[i].name);
		json_add_string(w, "value", nv->v[i].value);
		json_close_object(w);
	}
	json_close_array(w);
}

void name_values_write_map(const struct name_values *nv, const char *key,
			   struct json_writer *w)
{
	if (nv->n == 0)
		return;
	json_open_object(w, key);
	for (size_t i = 0; i < nv->n; i++)
		json_add_string(w, nv->v[i].name, nv->v[i].value);
	json_close_object(w);
}
