/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/json_read.h"
#include "spec/oci.h"
#include "spec/oci_digest.h"

#define INDEX_ENTRIES_MAX 1000
#define BLOB_SIZE_MAX (INT64_C(1) << 46)
#define REF_NAME_ANNOTATION "org.opencontainers.image.ref.name"
#define NO_MATCH (-1)

/* appc's architectures and Go's. */
static const struct {
	const char *appc, *arch, *variant;
} arches[] = {
	{"amd64", "amd64", ""},	    {"i386", "386", ""},
	{"aarch64", "arm64", "v8"}, {"armv7l", "arm", "v7"},
	{"armv6l", "arm", "v6"},    {"ppc64", "ppc64", ""},
	{"ppc64le", "ppc64le", ""}, {"s390x", "s390x", ""},
};

bool oci_want_make(const char *os, const char *arch, struct oci_want *ret)
{
	for (size_t i = 0; i < sizeof(arches) / sizeof(arches[0]); i++) {
		if (!arch || strcmp(arches[i].appc, arch) != 0)
			continue;
		*ret = (struct oci_want){
			.os = os,
			.arch = arches[i].arch,
			.variant = arches[i].variant,
		};
		return true;
	}
	return false;
}

static void descriptor_release(struct oci_descriptor *d)
{
	free(d->digest);
	*d = (struct oci_descriptor){0};
}

void oci_manifest_release(struct oci_manifest *m)
{
	descriptor_release(&m->config);
	for (size_t i = 0; i < m->n_layers; i++)
		descriptor_release(&m->layers[i]);
	free(m->layers);
	*m = (struct oci_manifest)OCI_MANIFEST_INIT;
}

static void descriptor_read(const struct json_node *node,
			    struct oci_descriptor *ret)
{
	struct json_node digest;
	int64_t size = -1;
	bool has_digest;

	if (!json_want_object(node))
		return;
	has_digest = json_member(node, "digest", &digest);
	json_get_checked(node, "digest", oci_digest_check, &ret->digest);
	json_get_int(node, "size", 0, BLOB_SIZE_MAX, &size);
	if (!has_digest || size < 0)
		json_problem(node, "it has no digest or no size");
	ret->size = size < 0 ? 0 : (uint64_t)size;
}

/* --- an index ------------------------------------------------------------ */

static void get_text(const struct json_node *object, const char *key,
		     char **ret)
{
	json_get_string(object, key, ret);
	if (!*ret)
		*ret = xstrdup("");
}

struct platform {
	char *os, *arch, *variant, *tag;
	bool is_given;
};

static void platform_release(struct platform *p)
{
	free(p->os);
	free(p->arch);
	free(p->variant);
	free(p->tag);
}

static void platform_read(const struct json_node *entry, struct platform *ret)
{
	struct json_node node, name;
	const char *tag = NULL;

	*ret = (struct platform){0};
	if (json_member(entry, "annotations", &node) &&
	    json_node_is_object(&node) &&
	    json_member(&node, REF_NAME_ANNOTATION, &name) &&
	    json_read_string(&name, &tag))
		ret->tag = xstrdup(tag);
	if (!json_member(entry, "platform", &node) || !json_want_object(&node))
		return;
	ret->is_given = true;
	get_text(&node, "os", &ret->os);
	get_text(&node, "architecture", &ret->arch);
	get_text(&node, "variant", &ret->variant);
}

/*
 * How well P suits: NO_MATCH, else more is better.  An arm runs what was made
 * for its variant and for those before it.
 */
static int suitability(const struct platform *p, const struct oci_want *want)
{
	bool is_arm = strcmp(want->arch, "arm") == 0;

	if (want->tag && (!p->tag || strcmp(p->tag, want->tag) != 0))
		return NO_MATCH;
	if (!p->is_given)
		return 0;
	if (strcmp(p->os, want->os) != 0 || strcmp(p->arch, want->arch) != 0)
		return NO_MATCH;
	if (strcmp(p->variant, want->variant) == 0)
		return 1000;
	if (!*p->variant)
		return 1;
	if (is_arm && strcmp(p->variant, want->variant) < 0)
		return 1 + p->variant[strlen(p->variant) - 1];
	return NO_MATCH;
}

static void name_platform(const struct platform *p, struct strbuf *sb)
{
	if (sb->len > ERROR_MSG_MAX / 2)
		return;
	strbuf_addstr(sb, sb->len ? ", " : "");
	if (p->tag)
		strbuf_addf(sb, "%s ", p->tag);
	if (p->is_given)
		strbuf_addf(sb, "%s/%s%s%s", p->os, p->arch,
			    *p->variant ? "/" : "", p->variant);
}

static int nothing_fits(const struct oci_want *want, const struct strbuf *have,
			struct error *err)
{
	return error_set(err, ENOENT,
			 "there is no image for %s/%s%s%s%s%s in the index, "
			 "but: %s",
			 want->os, want->arch, *want->variant ? "/" : "",
			 want->variant, want->tag ? " tagged " : "",
			 want->tag ? want->tag : "",
			 have->len ? have->buf : "nothing");
}

static int choose(const struct json_node *list, const struct oci_want *want,
		  struct json_node *ret, struct error *err)
{
	cleanup_strbuf struct strbuf have = STRBUF_INIT;
	size_t n = json_n_items(list), chosen = 0;
	int best = NO_MATCH;

	if (n > INDEX_ENTRIES_MAX)
		return error_set(err, EINVAL,
				 "the index has more than %d entries",
				 INDEX_ENTRIES_MAX);
	for (size_t i = 0; i < n; i++) {
		struct platform p;
		struct json_node entry;
		int fit;

		if (!json_item(list, i, &entry) || !json_want_object(&entry))
			continue;
		platform_read(&entry, &p);
		fit = suitability(&p, want);
		name_platform(&p, &have);
		platform_release(&p);
		if (fit > best) {
			best = fit;
			chosen = i;
		}
	}
	if (best == NO_MATCH)
		return nothing_fits(want, &have, err);
	(void)json_item(list, chosen, ret);
	return 0;
}

/* --- a manifest ---------------------------------------------------------- */

static void media_check(const struct json_node *layer)
{
	static const char *const known[] = {
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
	};
	static const char *const suffixes[] = {"", "+gzip", ".gzip", "+zstd"};
	struct json_node type;
	const char *text = "";

	/* What it is compressed with, its bytes tell. */
	if (!json_member(layer, "mediaType", &type) ||
	    !json_read_string(&type, &text))
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		size_t len = strlen(known[i]);

		if (strncmp(text, known[i], len) != 0)
			continue;
		for (size_t k = 0; k < sizeof(suffixes) / sizeof(*suffixes);
		     k++)
			if (strcmp(text + len, suffixes[k]) == 0)
				return;
	}
	json_problem(&type, "\"%s\" is no layer that can be unpacked", text);
}

static void layers_read(const struct json_node *root, struct oci_manifest *ret)
{
	struct json_node list, layer;
	size_t n;

	if (!json_member(root, "layers", &list) || !json_want_array(&list))
		return;
	n = json_n_items(&list);
	if (n > OCI_LAYERS_MAX) {
		json_problem(&list, "more than %d layers", OCI_LAYERS_MAX);
		return;
	}
	ret->layers = xcalloc(n + 1, sizeof(*ret->layers));
	for (size_t i = 0; i < n && json_item(&list, i, &layer); i++) {
		descriptor_read(&layer, &ret->layers[ret->n_layers++]);
		if (json_node_is_object(&layer))
			media_check(&layer);
	}
}

static int read_document(const struct json_node *root,
			 const struct oci_want *want, struct oci_manifest *ret,
			 struct error *err)
{
	struct json_node list, node;
	const char *type;
	int64_t version = 0;
	int r;

	json_get_int(root, "schemaVersion", 0, INT32_MAX, &version);
	if (version == 1)
		return error_set(err, ENOTSUP,
				 "the registry has only a manifest of schema "
				 "1, which docker gave up in 2017: push the "
				 "image again");
	if (json_member(root, "manifests", &list) && json_want_array(&list)) {
		r = choose(&list, want, &node, err);
		if (r < 0)
			return r;
		ret->is_index = true;
		descriptor_read(&node, &ret->config);
		return 0;
	}
	if (json_member(root, "mediaType", &list) &&
	    json_read_string(&list, &type))
		ret->is_docker = strcmp(type, OCI_TYPE_DOCKER) == 0;
	if (!json_member(root, "config", &node)) {
		json_problem(root, "neither a manifest nor an index");
		return 0;
	}
	descriptor_read(&node, &ret->config);
	layers_read(root, ret);
	return 0;
}

int oci_manifest_parse(const char *buf, size_t len, const struct oci_want *want,
		       struct oci_manifest *ret, struct error *err)
{
	cleanup_oci_manifest struct oci_manifest m = OCI_MANIFEST_INIT;
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root;
	int r = json_doc_parse(&doc, buf, len, NULL, err);

	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root))
		r = read_document(&root, want, &m, err);
	if (r == 0)
		r = json_doc_result(&doc);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct oci_manifest)OCI_MANIFEST_INIT;
	return 0;
}
