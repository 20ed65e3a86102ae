/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/net_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"

static bool takes_no_args(const char *name)
{
	return strcmp(name, "all") == 0 || strcmp(name, "host") == 0;
}

/* Go's %v of what stood behind the name: "[a b]". */
static int too_many_args(const char *name, const struct strv *fields,
			 struct error *err)
{
	cleanup_strbuf struct strbuf args = STRBUF_INIT;

	for (size_t i = 1; i < fields->n; i++)
		strbuf_addf(&args, "%s%s", i > 1 ? " " : "", fields->v[i]);
	return error_set(err, EINVAL,
			 "network \"%s\" provided with invalid arguments: [%s]",
			 name, args.buf);
}

static int add_one(struct net_list *list, const char *text, struct error *err)
{
	cleanup_strv struct strv fields = STRV_INIT;
	struct net_list_entry *entry;
	const char *name;

	strv_split(&fields, text, ':');
	name = fields.v[0];
	if (!*name)
		return error_set(err, EINVAL, "netname must not be empty");
	if (net_list_find(list, name))
		return error_set(err, EINVAL, "found duplicate netname \"%s\"",
				 name);
	if (fields.n > 2)
		return too_many_args(name, &fields, err);
	if (fields.n == 2 && takes_no_args(name))
		return error_set(
			err, EINVAL,
			"arguments are not supported by special netname \"%s\"",
			name);
	if (list->n == NET_LIST_MAX)
		return error_set(err, EINVAL, "more than %d networks",
				 NET_LIST_MAX);
	list->v = xreallocarray(list->v, list->n + 1, sizeof(*list->v));
	entry = &list->v[list->n++];
	entry->name = xstrdup(name);
	entry->args = xstrdup(fields.n == 2 ? fields.v[1] : "");
	return 0;
}

/* What stands beside them would be ignored. */
static int check_alone(const struct net_list *list, struct error *err)
{
	static const char *const alone[] = {"none", "host"};

	for (size_t i = 0; list->n > 1 && i < 2; i++)
		if (net_list_find(list, alone[i]))
			return error_set(err, EINVAL,
					 "network \"%s\" excludes all others",
					 alone[i]);
	return 0;
}

int net_list_add(struct net_list *list, const char *value, struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;
	int r = 0;

	strv_split(&parts, value, ',');
	for (size_t i = 0; i < parts.n && r == 0; i++)
		r = add_one(list, parts.v[i], err);
	return r < 0 ? r : check_alone(list, err);
}

void net_list_release(struct net_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].name);
		free(list->v[i].args);
	}
	free(list->v);
	*list = (struct net_list)NET_LIST_INIT;
}

const struct net_list_entry *net_list_find(const struct net_list *list,
					   const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].name, name) == 0)
			return &list->v[i];
	return NULL;
}

enum net_kind net_list_kind(const struct net_list *list)
{
	if (net_list_find(list, "host"))
		return NET_KIND_HOST;
	if (net_list_find(list, "none"))
		return NET_KIND_NONE;
	return NET_KIND_CNI;
}

char *net_list_text(const struct net_list *list)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < list->n; i++)
		strbuf_addf(&text, "%s%s%s%s", i ? "," : "", list->v[i].name,
			    *list->v[i].args ? ":" : "", list->v[i].args);
	if (!list->n)
		strbuf_addstr(&text, "default");
	return strbuf_detach(&text);
}
