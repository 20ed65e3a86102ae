/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/json_read.h"
#include "spec/oci.h"
#include "spec/oci_digest.h"

void oci_config_release(struct oci_config *config)
{
	char *texts[] = {config->os,	      config->arch,
			 config->variant,     config->created,
			 config->author,      config->user,
			 config->working_dir, config->stop_signal};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		free(texts[i]);
	strv_release(&config->diff_ids);
	strv_release(&config->entrypoint);
	strv_release(&config->cmd);
	strv_release(&config->env);
	strv_release(&config->ports);
	strv_release(&config->volumes);
	name_values_release(&config->labels);
	*config = (struct oci_config)OCI_CONFIG_INIT;
}

/* A command: a list, or as docker allows one string. */
static void get_command(const struct json_node *object, const char *key,
			struct strv *ret)
{
	struct json_node node;
	const char *text;

	if (!json_member(object, key, &node))
		return;
	if (!json_node_is_string(&node))
		(void)json_read_strv(&node, ret);
	else if (json_read_string(&node, &text))
		strv_push(ret, text);
}

/* The names of an object whose values say nothing. */
static void get_set(const struct json_node *object, const char *key,
		    struct strv *ret)
{
	struct json_node node, item = {0};

	if (!json_member(object, key, &node) || !json_want_object(&node))
		return;
	while (json_next_member(&node, &item))
		strv_push(ret, item.key);
}

static void get_labels(const struct json_node *object, struct name_values *ret)
{
	struct json_node node, item = {0};
	const char *value;

	if (!json_member(object, "Labels", &node) || !json_want_object(&node))
		return;
	while (json_next_member(&node, &item))
		if (json_read_string(&item, &value))
			name_values_add(ret, item.key, value);
}

static void read_app(const struct json_node *node, struct oci_config *ret)
{
	json_get_string(node, "User", &ret->user);
	json_get_string(node, "WorkingDir", &ret->working_dir);
	json_get_string(node, "StopSignal", &ret->stop_signal);
	get_command(node, "Entrypoint", &ret->entrypoint);
	get_command(node, "Cmd", &ret->cmd);
	json_get_strv(node, "Env", &ret->env);
	get_set(node, "ExposedPorts", &ret->ports);
	get_set(node, "Volumes", &ret->volumes);
	get_labels(node, &ret->labels);
}

static void read_layers(const struct json_node *root, struct oci_config *ret)
{
	struct json_node rootfs;

	if (!json_member(root, "rootfs", &rootfs) || !json_want_object(&rootfs))
		return;
	json_get_strv(&rootfs, "diff_ids", &ret->diff_ids);
	for (size_t i = 0; i < ret->diff_ids.n; i++) {
		struct error err = ERROR_INIT;

		if (oci_digest_check(ret->diff_ids.v[i], &err) < 0)
			json_problem(&rootfs, "diff_ids[%zu]: %s", i, err.msg);
	}
}

int oci_config_parse(const char *buf, size_t len, struct oci_config *ret,
		     struct error *err)
{
	cleanup_oci_config struct oci_config config = OCI_CONFIG_INIT;
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root, app;
	int r = json_doc_parse(&doc, buf, len, NULL, err);

	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root)) {
		json_get_string(&root, "os", &config.os);
		json_get_string(&root, "architecture", &config.arch);
		json_get_string(&root, "variant", &config.variant);
		json_get_string(&root, "created", &config.created);
		json_get_string(&root, "author", &config.author);
		read_layers(&root, &config);
		if (json_member(&root, "config", &app) &&
		    json_want_object(&app))
			read_app(&app, &config);
	}
	r = json_doc_result(&doc);
	if (r < 0)
		return r;
	*ret = config;
	config = (struct oci_config)OCI_CONFIG_INIT;
	return 0;
}
