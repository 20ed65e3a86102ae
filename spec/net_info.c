/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/net_info.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

#define NET_INFO_MAX 256

static const struct {
	const char *key;
	size_t offset;
} fields[] = {
	{"netName", offsetof(struct net_info, net_name)},
	{"netConf", offsetof(struct net_info, net_conf)},
	{"pluginPath", offsetof(struct net_info, plugin_path)},
	{"ifName", offsetof(struct net_info, if_name)},
	{"ip", offsetof(struct net_info, ip)},
	{"args", offsetof(struct net_info, args)},
	{"mask", offsetof(struct net_info, mask)},
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static char **field(const struct net_info *info, size_t i)
{
	return (char **)((const char *)info + fields[i].offset);
}

struct net_info *net_info_add(struct net_info_list *list)
{
	list->v = xreallocarray(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n] = (struct net_info){0};
	return &list->v[list->n++];
}

static void info_read(const struct json_node *node, struct net_info *ret)
{
	if (!json_want_object(node))
		return;
	for (size_t i = 0; i < N_FIELDS; i++) {
		json_get_string(node, fields[i].key, field(ret, i));
		if (!*field(ret, i))
			*field(ret, i) = xstrdup("");
	}
}

int net_info_parse(const char *buf, size_t len, struct net_info_list *ret,
		   struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root, item;
	int r;

	*ret = (struct net_info_list)NET_INFO_LIST_INIT;
	r = json_doc_parse(&doc, buf, len, NULL, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	/* Go writes an empty list as null. */
	if (!json_node_is_null(&root) && json_want_array(&root)) {
		if (json_n_items(&root) > NET_INFO_MAX)
			json_problem(&root, "more than %d networks",
				     NET_INFO_MAX);
		for (size_t i = 0;
		     i < NET_INFO_MAX && json_item(&root, i, &item); i++)
			info_read(&item, net_info_add(ret));
	}
	r = json_doc_result(&doc);
	if (r < 0)
		net_info_release(ret);
	return r;
}

void net_info_write(const struct net_info_list *list, const char *key,
		    struct json_writer *w)
{
	json_open_array(w, key);
	for (size_t i = 0; i < list->n; i++) {
		json_open_object(w, NULL);
		for (size_t k = 0; k < N_FIELDS; k++) {
			const char *s = *field(&list->v[i], k);

			json_add_string(w, fields[k].key, s ? s : "");
		}
		json_close_object(w);
	}
	json_close_array(w);
}

void net_info_release(struct net_info_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		for (size_t k = 0; k < N_FIELDS; k++)
			free(*field(&list->v[i], k));
	free(list->v);
	*list = (struct net_info_list)NET_INFO_LIST_INIT;
}
