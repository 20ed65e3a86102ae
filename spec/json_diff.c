/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/json_diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/json_read.h"

struct diff {
	struct strbuf path;
	struct json_changes changes;
};

void json_changes_release(struct json_changes *changes)
{
	for (size_t i = 0; i < changes->n; i++) {
		free(changes->v[i].path);
		free(changes->v[i].before);
		free(changes->v[i].after);
	}
	free(changes->v);
	*changes = (struct json_changes)JSON_CHANGES_INIT;
}

/* Takes the texts. */
static void add_change(struct diff *d, char *before, char *after)
{
	struct json_changes *c = &d->changes;

	c->v = xreallocarray(c->v, c->n + 1, sizeof(*c->v));
	c->v[c->n++] = (struct json_change){
		.path = xstrdup(d->path.len ? d->path.buf : "."),
		.before = before,
		.after = after,
	};
}

static void compare(struct diff *d, const struct json_node *a,
		    const struct json_node *b);

/* A and B, either of which may be NULL, are KEY of what the path says. */
static void compare_below(struct diff *d, const char *key, bool is_named,
			  const struct json_node *a, const struct json_node *b)
{
	size_t len = d->path.len;

	if (is_named)
		strbuf_addf(&d->path, "[%s]", key);
	else
		strbuf_addf(&d->path, "%s%s", len ? "." : "", key);
	if (a && b)
		compare(d, a, b);
	else
		add_change(d, a ? json_read_raw(a) : NULL,
			   b ? json_read_raw(b) : NULL);
	strbuf_setlen(&d->path, len);
}

static void compare_objects(struct diff *d, const struct json_node *a,
			    const struct json_node *b)
{
	struct json_node other;

	for (struct json_node it = {0}; json_next_member(a, &it);)
		compare_below(d, it.key, false, &it,
			      json_member_or_null(b, it.key, &other) ? &other
								     : NULL);
	for (struct json_node it = {0}; json_next_member(b, &it);)
		if (!json_member_or_null(a, it.key, &other))
			compare_below(d, it.key, false, NULL, &it);
}

/* The name of item I of LIST; NULL if it has none. */
static const char *item_name(const struct json_node *list, size_t i,
			     struct json_node *ret)
{
	struct json_node name;
	const char *s = NULL;

	if (!json_item(list, i, ret) || !json_node_is_object(ret) ||
	    !json_member(ret, "name", &name) || !json_node_is_string(&name))
		return NULL;
	(void)json_read_string(&name, &s);
	return s;
}

static bool find_named(const struct json_node *list, const char *name,
		       struct json_node *ret)
{
	for (size_t i = 0; i < json_n_items(list); i++) {
		const char *s = item_name(list, i, ret);

		if (s && strcmp(s, name) == 0)
			return true;
	}
	return false;
}

/* Every item has a name, and no two the same. */
static bool is_list_of_named(const struct json_node *list)
{
	size_t n = json_n_items(list);
	cleanup_free const char **names =
		xreallocarray(NULL, n + 1, sizeof(*names));
	struct json_node item;

	for (size_t i = 0; i < n; i++) {
		names[i] = item_name(list, i, &item);
		if (!names[i])
			return false;
		for (size_t k = 0; k < i; k++)
			if (strcmp(names[i], names[k]) == 0)
				return false;
	}
	return n > 0;
}

static void compare_named(struct diff *d, const struct json_node *a,
			  const struct json_node *b)
{
	struct json_node item, other;

	for (size_t i = 0; i < json_n_items(a); i++) {
		const char *name = item_name(a, i, &item);

		compare_below(d, name, true, &item,
			      find_named(b, name, &other) ? &other : NULL);
	}
	for (size_t i = 0; i < json_n_items(b); i++) {
		const char *name = item_name(b, i, &item);

		if (!find_named(a, name, &other))
			compare_below(d, name, true, NULL, &item);
	}
}

/* {"name", "value"} with a plain value is shown as the value. */
static bool plain_value(const struct json_node *node, struct json_node *ret)
{
	struct json_node it = {0};
	size_t n = 0;

	while (json_next_member(node, &it))
		n++;
	return n == 2 && json_member(node, "name", &it) &&
	       json_member(node, "value", ret) && !json_node_is_object(ret);
}

static void compare(struct diff *d, const struct json_node *a,
		    const struct json_node *b)
{
	cleanup_free char *before = json_read_raw(a);
	cleanup_free char *after = json_read_raw(b);
	struct json_node x, y;

	if (strcmp(before, after) == 0)
		return;
	if (json_node_is_object(a) && json_node_is_object(b)) {
		if (plain_value(a, &x) && plain_value(b, &y))
			compare(d, &x, &y);
		else
			compare_objects(d, a, b);
		return;
	}
	if (is_list_of_named(a) && is_list_of_named(b)) {
		compare_named(d, a, b);
		return;
	}
	add_change(d, TAKE_PTR(before), TAKE_PTR(after));
}

int json_diff(const char *before, size_t before_len, const char *after,
	      size_t after_len, struct json_changes *ret, struct error *err)
{
	cleanup_json_doc struct json_doc a = {0};
	cleanup_json_doc struct json_doc b = {0};
	struct diff d = {STRBUF_INIT, JSON_CHANGES_INIT};
	struct json_node x, y;
	int r;

	r = json_doc_parse(&a, before, before_len, NULL, err);
	if (r == 0)
		r = json_doc_parse(&b, after, after_len, NULL, err);
	if (r < 0)
		return r;
	x = json_root(&a);
	y = json_root(&b);
	compare(&d, &x, &y);
	strbuf_release(&d.path);
	*ret = d.changes;
	return 0;
}
