/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/pod_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "spec/json_read.h"

/* Members of OBJECT beside those of KNOWN, which ends with NULL. */
static void refuse_unknown(const struct json_node *object,
			   const char *const *known)
{
	struct json_node it = {0};

	while (json_next_member(object, &it)) {
		size_t i = 0;

		while (known[i] && strcmp(known[i], it.key) != 0)
			i++;
		if (!known[i])
			json_problem(&it, "nobody knows this member");
	}
}

static void want_value(const struct json_node *root, const char *key,
		       const char *value)
{
	cleanup_free char *s = NULL;
	struct json_node node;

	if (!json_member(root, key, &node)) {
		json_problem(root, "\"%s\" is missing", key);
		return;
	}
	json_get_string(root, key, &s);
	if (s && strcmp(s, value) != 0)
		json_problem(&node, "\"%s\" is not known (\"%s\" is)", s,
			     value);
}

static void read_flag(const struct json_node *item, void *arg)
{
	struct strv *words = arg;
	const char *s;

	if (!json_read_string(item, &s))
		return;
	if (strncmp(s, "--", 2) != 0 || s[2] == '-' || s[2] == '=' || !s[2])
		json_problem(item,
			     "\"%s\" is no flag: one word, --NAME or "
			     "--NAME=VALUE",
			     s);
	strv_push(words, s);
}

static void read_arg(const struct json_node *item, void *arg)
{
	struct strv *words = arg;
	const char *s;

	if (!json_read_string(item, &s))
		return;
	if (strcmp(s, "---") == 0)
		json_problem(item, "\"---\" cannot be an argument of an app");
	strv_push(words, s);
}

static void read_image(const struct json_node *app, struct strv *words)
{
	struct json_node node;
	const char *s;

	if (!json_member(app, "image", &node)) {
		json_problem(app, "\"image\" is missing");
		return;
	}
	if (!json_read_string(&node, &s))
		return;
	if (!*s || *s == '-')
		json_problem(&node, "\"%s\" is no image", s);
	strv_push(words, s);
}

static void read_app(const struct json_node *app, void *arg)
{
	static const char *const known[] = {"image", "flags", "args", NULL};
	struct strv *words = arg;
	struct json_node args;

	if (!json_want_object(app))
		return;
	refuse_unknown(app, known);
	read_image(app, words);
	json_for_each(app, "flags", read_flag, words);
	if (!json_member(app, "args", &args))
		return;
	strv_push(words, "--");
	json_for_each(app, "args", read_arg, words);
	strv_push(words, "---");
}

static void read_pod(const struct json_node *root, struct strv *words)
{
	static const char *const known[] = {"rktKind", "rktVersion", "flags",
					    "apps", NULL};
	struct json_node apps;

	refuse_unknown(root, known);
	want_value(root, "rktKind", "pod");
	want_value(root, "rktVersion", "v1");
	json_for_each(root, "flags", read_flag, words);
	if (!json_member(root, "apps", &apps))
		json_problem(root, "\"apps\" is missing");
	else if (json_want_array(&apps) && json_n_items(&apps) == 0)
		json_problem(&apps, "a pod has at least one app");
	json_for_each(root, "apps", read_app, words);
}

int pod_file_parse(const char *buf, size_t len, struct strv *ret,
		   struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	cleanup_strv struct strv words = STRV_INIT;
	struct json_node root;
	int r = json_doc_parse(&doc, buf, len, NULL, err);

	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root))
		read_pod(&root, &words);
	r = json_doc_result(&doc);
	if (r == 0)
		strv_append(ret, &words);
	return r;
}
