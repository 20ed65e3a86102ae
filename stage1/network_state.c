/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/network_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

struct network_attachment *network_state_add(struct network_state *state)
{
	state->v = xreallocarray(state->v, state->n + 1, sizeof(*state->v));
	state->v[state->n] = (struct network_attachment){0};
	return &state->v[state->n++];
}

struct network_plugin *network_attachment_add(struct network_attachment *at)
{
	at->plugins =
		xreallocarray(at->plugins, at->n + 1, sizeof(*at->plugins));
	at->plugins[at->n] = (struct network_plugin){0};
	return &at->plugins[at->n++];
}

/* --- writing --------------------------------------------------------------
 */

static void ports_write(struct json_writer *w,
			const struct network_state *state)
{
	json_open_array(w, "ports");
	for (size_t i = 0; i < state->n_ports; i++) {
		const struct network_mapping *m = &state->ports[i];

		json_open_object(w, NULL);
		json_add_string(w, "protocol", m->protocol);
		json_add_string_if(w, "hostIP", m->host_ip);
		json_add_uint(w, "hostPort", m->host_port);
		json_add_uint(w, "podPort", m->pod_port);
		json_close_object(w);
	}
	json_close_array(w);
}

static void attachment_write(struct json_writer *w,
			     const struct network_attachment *at)
{
	json_open_object(w, NULL);
	json_add_string(w, "name", at->name);
	json_add_string(w, "file", at->file);
	json_add_string(w, "ifName", at->ifname);
	json_add_string(w, "args", at->args);
	json_add_bool(w, "ipMasq", at->ip_masq);
	json_add_bool(w, "ownMasq", at->own_masq);
	json_add_string_if(w, "ip", at->ip);
	json_add_string_if(w, "mask", at->mask);
	if (at->result)
		json_add_raw(w, "result", at->result);
	json_open_array(w, "plugins");
	for (size_t i = 0; i < at->n; i++) {
		json_open_object(w, NULL);
		json_add_string(w, "path", at->plugins[i].path);
		json_add_string(w, "version", at->plugins[i].version);
		json_add_bool(w, "ports", at->plugins[i].ports);
		json_add_raw(w, "conf", at->plugins[i].conf);
		json_close_object(w);
	}
	json_close_array(w);
	json_close_object(w);
}

void network_state_write(const struct network_state *state, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_string(&w, "netns", state->netns);
	json_add_string(&w, "cniPath", state->cni_path);
	ports_write(&w, state);
	json_open_array(&w, "networks");
	for (size_t i = 0; i < state->n; i++)
		attachment_write(&w, &state->v[i]);
	json_close_array(&w);
	json_close_object(&w);
}

/* --- reading --------------------------------------------------------------
 */

/* A member that has to be there. */
static char *want_string(const struct json_node *node, const char *key)
{
	char *s = NULL;

	json_get_string(node, key, &s);
	if (!s)
		json_problem(node, "%s is missing", key);
	return s;
}

static char *get_object(const struct json_node *node, const char *key)
{
	struct json_node member;

	return json_member(node, key, &member) && json_want_object(&member)
		       ? json_read_raw(&member)
		       : NULL;
}

static void plugin_read(const struct json_node *node,
			struct network_plugin *ret)
{
	if (!json_want_object(node))
		return;
	ret->path = want_string(node, "path");
	ret->version = want_string(node, "version");
	json_get_bool(node, "ports", &ret->ports);
	ret->conf = get_object(node, "conf");
	if (ret->path && ret->path[0] != '/')
		json_problem(node, "path is not absolute");
	if (!ret->conf)
		json_problem(node, "conf is missing");
}

static void attachment_read(const struct json_node *node,
			    struct network_attachment *ret)
{
	struct json_node plugins, item;

	if (!json_want_object(node))
		return;
	ret->name = want_string(node, "name");
	ret->file = want_string(node, "file");
	ret->ifname = want_string(node, "ifName");
	ret->args = want_string(node, "args");
	json_get_bool(node, "ipMasq", &ret->ip_masq);
	json_get_bool(node, "ownMasq", &ret->own_masq);
	json_get_string(node, "ip", &ret->ip);
	json_get_string(node, "mask", &ret->mask);
	ret->result = get_object(node, "result");
	if (!json_member(node, "plugins", &plugins) ||
	    !json_want_array(&plugins))
		return;
	for (size_t i = 0; json_item(&plugins, i, &item); i++)
		plugin_read(&item, network_attachment_add(ret));
}

static void port_read(const struct json_node *node, struct network_mapping *ret)
{
	int64_t host = 0, pod = 0;

	if (!json_want_object(node))
		return;
	ret->protocol = want_string(node, "protocol");
	json_get_string(node, "hostIP", &ret->host_ip);
	json_get_int(node, "hostPort", 1, UINT16_MAX, &host);
	json_get_int(node, "podPort", 1, UINT16_MAX, &pod);
	if (!host || !pod)
		json_problem(node, "hostPort or podPort is missing");
	ret->host_port = (uint16_t)host;
	ret->pod_port = (uint16_t)pod;
}

static void state_read(const struct json_node *root, struct network_state *ret)
{
	struct json_node list, item;

	ret->netns = want_string(root, "netns");
	ret->cni_path = want_string(root, "cniPath");
	if (json_member(root, "ports", &list) && json_want_array(&list)) {
		ret->ports =
			xcalloc(json_n_items(&list) + 1, sizeof(*ret->ports));
		for (size_t i = 0; json_item(&list, i, &item); i++)
			port_read(&item, &ret->ports[ret->n_ports++]);
	}
	if (json_member(root, "networks", &list) && json_want_array(&list))
		for (size_t i = 0; json_item(&list, i, &item); i++)
			attachment_read(&item, network_state_add(ret));
}

int network_state_parse(const char *buf, size_t len, struct network_state *ret,
			struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root;
	int r;

	*ret = (struct network_state){0};
	r = json_doc_parse(&doc, buf, len, NULL, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root))
		state_read(&root, ret);
	r = json_doc_result(&doc);
	if (r < 0)
		network_state_release(ret);
	return r;
}

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

void network_state_take_results(struct network_state *new,
				const struct network_state *old)
{
	for (size_t i = 0; i < old->n && i < new->n; i++) {
		struct network_attachment *at = &new->v[i];

		free(at->ip);
		free(at->mask);
		at->result = copy(old->v[i].result);
		at->ip = copy(old->v[i].ip);
		at->mask = copy(old->v[i].mask);
	}
}

bool network_state_same(const struct network_state *a,
			const struct network_state *b)
{
	cleanup_strbuf struct strbuf x = STRBUF_INIT;
	cleanup_strbuf struct strbuf y = STRBUF_INIT;

	network_state_write(a, &x);
	network_state_write(b, &y);
	return strcmp(x.buf, y.buf) == 0;
}

static void attachment_release(struct network_attachment *at)
{
	for (size_t i = 0; i < at->n; i++) {
		free(at->plugins[i].path);
		free(at->plugins[i].conf);
		free(at->plugins[i].version);
	}
	free(at->plugins);
	free(at->name);
	free(at->file);
	free(at->ifname);
	free(at->args);
	free(at->result);
	free(at->ip);
	free(at->mask);
}

void network_state_release(struct network_state *state)
{
	for (size_t i = 0; i < state->n; i++)
		attachment_release(&state->v[i]);
	free(state->v);
	for (size_t i = 0; i < state->n_ports; i++) {
		free(state->ports[i].protocol);
		free(state->ports[i].host_ip);
	}
	free(state->ports);
	free(state->netns);
	free(state->cni_path);
	*state = (struct network_state){0};
}
