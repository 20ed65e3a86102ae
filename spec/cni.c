/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/cni.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

#define DEFAULT_VERSION "0.1.0"

/* --- network configuration ------------------------------------------------ */

static bool is_file_name(const char *s)
{
	return *s && !strchr(s, '/') && strcmp(s, ".") != 0 &&
	       strcmp(s, "..") != 0;
}

static void plugin_read(const struct json_node *node,
			struct cni_plugin_conf *ret)
{
	struct json_node capabilities;

	*ret = (struct cni_plugin_conf){0};
	if (!json_want_object(node))
		return;
	json_get_string(node, "type", &ret->type);
	if (!ret->type || !is_file_name(ret->type))
		json_problem(node, "type must be the name of a plugin");
	json_get_bool(node, "ipMasq", &ret->ip_masq);
	if (json_member(node, "capabilities", &capabilities) &&
	    json_want_object(&capabilities))
		json_get_bool(&capabilities, "portMappings",
			      &ret->port_mappings);
	ret->json = json_read_raw(node);
}

static void chain_read(const struct json_node *plugins, struct cni_network *ret)
{
	size_t n = json_want_array(plugins) ? json_n_items(plugins) : 0;

	if (n == 0 || n > CNI_PLUGINS_MAX) {
		json_problem(plugins, "must have 1 to %d plugins",
			     CNI_PLUGINS_MAX);
		return;
	}
	ret->plugins = xcalloc(n, sizeof(*ret->plugins));
	for (size_t i = 0; i < n; i++) {
		struct json_node item;

		(void)json_item(plugins, i, &item);
		plugin_read(&item, &ret->plugins[ret->n++]);
	}
}

int cni_network_parse(const char *buf, size_t len, struct cni_network *ret,
		      struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root, plugins;
	int r;

	*ret = (struct cni_network){0};
	if (len > CNI_TEXT_MAX)
		return error_set(err, EFBIG, "longer than %lu bytes",
				 CNI_TEXT_MAX);
	r = json_doc_parse(&doc, buf, len, NULL, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root)) {
		json_get_string(&root, "name", &ret->name);
		json_get_string(&root, "cniVersion", &ret->version);
		if (!ret->name || !is_file_name(ret->name))
			json_problem(&root, "a network must have a name");
		if (json_member(&root, "plugins", &plugins)) {
			chain_read(&plugins, ret);
		} else {
			ret->plugins = xcalloc(1, sizeof(*ret->plugins));
			plugin_read(&root, &ret->plugins[ret->n++]);
		}
	}
	if (!ret->version)
		ret->version = xstrdup(DEFAULT_VERSION);
	r = json_doc_result(&doc);
	if (r < 0)
		cni_network_release(ret);
	return r;
}

void cni_network_release(struct cni_network *net)
{
	for (size_t i = 0; i < net->n; i++) {
		free(net->plugins[i].type);
		free(net->plugins[i].json);
	}
	free(net->plugins);
	free(net->name);
	free(net->version);
	*net = (struct cni_network){0};
}

/* --- results --------------------------------------------------------------
 */

static void cni_dns_release(struct cni_dns *dns)
{
	strv_release(&dns->nameservers);
	strv_release(&dns->search);
	strv_release(&dns->options);
	free(dns->domain);
	*dns = (struct cni_dns){0};
}

bool cni_dns_is_empty(const struct cni_dns *dns)
{
	return !dns->nameservers.n && !dns->search.n && !dns->options.n &&
	       (!dns->domain || !*dns->domain);
}

void cni_result_release(struct cni_result *result)
{
	free(result->json);
	free(result->address);
	free(result->gateway);
	cni_dns_release(&result->dns);
	*result = (struct cni_result){0};
}

static void dns_read(const struct json_node *root, struct cni_dns *ret)
{
	struct json_node dns;

	if (!json_member(root, "dns", &dns) || !json_want_object(&dns))
		return;
	json_get_strv(&dns, "nameservers", &ret->nameservers);
	json_get_strv(&dns, "search", &ret->search);
	json_get_strv(&dns, "options", &ret->options);
	json_get_string(&dns, "domain", &ret->domain);
}

static bool is_ipv4(const char *address)
{
	return !strchr(address, ':');
}

/* Takes one address of NODE unless an IPv4 one, or any, is there already. */
static void address_read(const struct json_node *node, const char *key,
			 struct cni_result *ret)
{
	cleanup_free char *address = NULL;

	if (!json_want_object(node))
		return;
	json_get_string(node, key, &address);
	if (!address) {
		json_problem(node, "%s is missing", key);
		return;
	}
	ret->has_ipv6 |= !is_ipv4(address);
	if (ret->address && (is_ipv4(ret->address) || !is_ipv4(address)))
		return;
	free(ret->address);
	ret->address = TAKE_PTR(address);
	free(ret->gateway);
	ret->gateway = NULL;
	json_get_string(node, "gateway", &ret->gateway);
}

static void addresses_read(const struct json_node *root, struct cni_result *ret)
{
	struct json_node node, item;

	if (json_member(root, "ip4", &node))
		address_read(&node, "ip", ret);
	if (json_member(root, "ip6", &node))
		address_read(&node, "ip", ret);
	if (!json_member(root, "ips", &node) || !json_want_array(&node))
		return;
	for (size_t i = 0; i < json_n_items(&node); i++)
		if (json_item(&node, i, &item))
			address_read(&item, "address", ret);
}

int cni_result_parse(const char *buf, size_t len, struct cni_result *ret,
		     struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root;
	int r;

	*ret = (struct cni_result){0};
	if (len > CNI_TEXT_MAX)
		return error_set(err, EFBIG, "longer than %lu bytes",
				 CNI_TEXT_MAX);
	r = json_doc_parse(&doc, buf, len, NULL, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root)) {
		addresses_read(&root, ret);
		dns_read(&root, &ret->dns);
		ret->json = json_read_raw(&root);
	}
	r = json_doc_result(&doc);
	if (r < 0)
		cni_result_release(ret);
	return r;
}

void cni_address_split(const char *address, char **ret_ip, char **ret_mask)
{
	size_t len = strcspn(address, "/");
	uint64_t bits;
	uint32_t mask;

	*ret_ip = xstrndup(address, len);
	*ret_mask = NULL;
	if (!is_ipv4(address) || address[len] != '/' ||
	    parse_uint(address + len + 1, 32, &bits) < 0)
		return;
	mask = bits ? ~0U << (32 - bits) : 0;
	*ret_mask = xasprintf("%u.%u.%u.%u", mask >> 24, mask >> 16 & 255,
			      mask >> 8 & 255, mask & 255);
}

char *cni_error_text(const char *buf, size_t len)
{
	cleanup_json_doc struct json_doc doc = {0};
	struct error why = ERROR_INIT;
	cleanup_free char *msg = NULL;
	cleanup_free char *details = NULL;

	if (json_doc_parse(&doc, buf, len, NULL, &why) == 0) {
		struct json_node root = json_root(&doc);

		if (json_want_object(&root)) {
			json_get_string(&root, "msg", &msg);
			json_get_string(&root, "details", &details);
		}
		if (json_doc_result(&doc) == 0 && msg)
			return xasprintf("%s%s%s", msg,
					 details && *details ? "; " : "",
					 details ? details : "");
		if (!why.code)
			(void)error_set(&why, EINVAL, "it has no msg");
	}
	return xasprintf("netplugin failed but error parsing its diagnostic "
			 "message \"%.*s\": %s",
			 (int)(len < 300 ? len : 300), buf, why.msg);
}

/* --- what a plugin gets on stdin ------------------------------------------ */

bool cni_version_has_chains(const char *version)
{
	return strncmp(version, "0.1.", 4) != 0 &&
	       strncmp(version, "0.2.", 4) != 0;
}

static bool is_replaced(const char *key, const struct cni_stdin *in)
{
	return strcmp(key, "name") == 0 || strcmp(key, "cniVersion") == 0 ||
	       strcmp(key, "prevResult") == 0 ||
	       (in->n_ports && strcmp(key, "runtimeConfig") == 0) ||
	       (in->no_masq && strcmp(key, "ipMasq") == 0);
}

static void ports_write(struct json_writer *w, const struct cni_stdin *in)
{
	json_open_object(w, "runtimeConfig");
	json_open_array(w, "portMappings");
	for (size_t i = 0; i < in->n_ports; i++) {
		const struct cni_port_mapping *p = &in->ports[i];

		json_open_object(w, NULL);
		json_add_uint(w, "hostPort", p->host_port);
		json_add_uint(w, "containerPort", p->container_port);
		json_add_string(w, "protocol", p->protocol);
		json_add_string_if(w, "hostIP", p->host_ip);
		json_close_object(w);
	}
	json_close_array(w);
	json_close_object(w);
}

int cni_stdin_make(const char *conf, const struct cni_stdin *in,
		   struct strbuf *ret, struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root, it = {0};
	struct json_writer w;
	int r;

	r = json_doc_parse(&doc, conf, strlen(conf), NULL, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	json_writer_init(&w, ret, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_string(&w, "cniVersion", in->version);
	json_add_string(&w, "name", in->name);
	while (json_next_member(&root, &it)) {
		cleanup_free char *raw = NULL;

		if (is_replaced(it.key, in))
			continue;
		raw = json_read_raw(&it);
		json_add_raw(&w, it.key, raw);
	}
	if (in->no_masq)
		json_add_bool(&w, "ipMasq", false);
	if (in->n_ports)
		ports_write(&w, in);
	if (in->prev_result)
		json_add_raw(&w, "prevResult", in->prev_result);
	json_close_object(&w);
	return 0;
}

void cni_result_upgrade(const struct cni_result *result, const char *ifname,
			const char *netns, struct strbuf *ret)
{
	struct json_writer w;

	json_writer_init(&w, ret, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_string(&w, "cniVersion", "0.4.0");
	json_open_array(&w, "interfaces");
	json_open_object(&w, NULL);
	json_add_string(&w, "name", ifname);
	json_add_string(&w, "sandbox", netns);
	json_close_object(&w);
	json_close_array(&w);
	json_open_array(&w, "ips");
	if (result->address) {
		json_open_object(&w, NULL);
		json_add_string(&w, "version",
				is_ipv4(result->address) ? "4" : "6");
		json_add_string(&w, "address", result->address);
		json_add_string_if(&w, "gateway", result->gateway);
		json_add_uint(&w, "interface", 0);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_close_object(&w);
}
