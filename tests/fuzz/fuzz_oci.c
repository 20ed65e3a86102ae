/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What registries say.  The first byte chooses: a manifest or an index, a
 * configuration, a challenge, a token, a reference, a refusal, a whiteout.
 * What is made of a configuration is a valid image manifest, and of that a
 * configuration that says what it was made of.
 */
#include <stdlib.h>
#include <string.h>

#include "aci/image_tree.h"
#include "aci/render.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/docker_ref.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"
#include "spec/oci_digest.h"
#include "tests/fuzz/fuzz.h"

#define OCI_FUZZ_MAX (1UL << 20)

static void try_manifest(const char *text, size_t len)
{
	cleanup_oci_manifest struct oci_manifest m = OCI_MANIFEST_INIT;
	const struct oci_want want = {
		.os = "linux", .arch = "arm", .variant = "v7"};
	struct error err = ERROR_INIT;
	int r = oci_manifest_parse(text, len, &want, &m, &err);

	fuzz_expect((r < 0) == (*err.msg != '\0'));
	if (r < 0)
		return;
	fuzz_expect(oci_digest_check(m.config.digest, NULL) == 0);
	fuzz_expect(m.n_layers <= OCI_LAYERS_MAX);
	for (size_t i = 0; i < m.n_layers; i++)
		fuzz_expect(oci_digest_check(m.layers[i].digest, NULL) == 0);
}

/* What is pushed can be read, and is believed. */
static void try_push(const struct image_manifest *im)
{
	cleanup_oci_config struct oci_config config = OCI_CONFIG_INIT;
	cleanup_oci_config struct oci_config again = OCI_CONFIG_INIT;
	cleanup_image_manifest struct image_manifest back = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (oci_config_make(im, &config, NULL) < 0)
		return;
	oci_config_write(&config, &text);
	if (text.len > OCI_FUZZ_MAX)
		return;
	fuzz_expect(oci_config_parse(text.buf, text.len, &again, NULL) == 0);
	fuzz_expect(oci_config_original(&again, &back));
}

static void try_config(const char *text, size_t len)
{
	cleanup_oci_config struct oci_config config = OCI_CONFIG_INIT;
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_image_manifest struct image_manifest back = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf json = STRBUF_INIT;
	static const struct strv none = STRV_INIT;
	const struct oci_origin origin = {
		.registry = "r.example",
		.repository = "a",
		.name = "r.example/a",
		.tag = "1",
		.layers = &none,
	};

	if (oci_config_parse(text, len, &config, NULL) < 0 ||
	    oci_image_make(&config, &origin, &im, NULL) < 0)
		return;
	image_manifest_write(&im, JSON_COMPACT_STYLE, &json);
	fuzz_expect(image_manifest_parse(json.buf, json.len, &back, NULL) == 0);
	try_push(&back);
}

static void try_challenge(const char *text)
{
	cleanup_oci_challenge struct oci_challenge c = {0};

	if (oci_challenge_parse(text, &c, NULL) == 0)
		fuzz_expect(!c.is_bearer || c.realm);
}

static void try_token(const char *text, size_t len)
{
	cleanup_free char *token = NULL;

	if (oci_token_parse(text, len, &token, NULL) == 0)
		fuzz_expect(*token && !strpbrk(token, " \r\n"));
}

static void try_refusal(const char *text, size_t len)
{
	cleanup_free char *line = NULL;

	if (oci_refusal_parse(text, len, &line, NULL) == 0)
		fuzz_expect(*line);
}

static void try_reference(const char *text)
{
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
	cleanup_docker_ref struct docker_ref again = DOCKER_REF_INIT;
	cleanup_oci_layout_ref struct oci_layout_ref layout =
		OCI_LAYOUT_REF_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	(void)oci_layout_ref_parse(text, &layout, NULL);
	if (docker_ref_parse(text, &ref, NULL) < 0)
		return;
	docker_ref_format(&ref, &out);
	fuzz_expect(!strpbrk(out.buf, " \r\n\"\\?#"));
	fuzz_expect(docker_ref_parse(out.buf, &again, NULL) == 0);
	fuzz_expect(strcmp(ref.repository, again.repository) == 0);
}

/* Lines: "+path" a file, "/path" a directory, "-path" a whiteout, "*path" an
 * opaque directory, "=" the next layer. */
static void try_merge(char *text)
{
	static const struct render_pass pass = {.is_layer = true};
	struct image_pool *pool = image_pool_new();
	struct image_tree *tree = image_tree_new(pool);
	struct image_tree *layer = image_tree_new(pool);
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		cleanup_free char *path = xasprintf("rootfs/%s", line + 1);
		struct image_entry *e;

		if (strstr(path, "//") || path[strlen(path) - 1] == '/')
			continue;
		if (*line == '+') {
			(void)image_tree_put(layer, path,
					     image_inode_new(pool, 0100644));
		} else if (*line == '/') {
			(void)image_tree_put(layer, path,
					     image_inode_new(pool, 0040755));
		} else if (*line == '-') {
			(void)image_tree_whiteout(layer, path);
		} else if (*line == '*') {
			e = image_tree_put(layer, path, NULL);
			if (e)
				e->is_opaque = true;
		} else {
			(void)image_tree_merge(tree, layer, &pass, NULL);
			layer = image_tree_new(pool);
		}
	}
	(void)image_tree_merge(tree, layer, &pass, NULL);
	for (size_t i = 0; i < tree->n_slots; i++)
		for (struct image_entry *e = tree->slots[i]; e; e = e->chain)
			fuzz_expect(!e->is_whiteout &&
				    image_entry_is_dir(e->parent));
	image_pool_free(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = NULL;

	if (size == 0)
		return 0;
	text = xstrndup((const char *)data + 1, size - 1);
	switch ((data[0] + 1) % 7) {
	case 0:
		try_manifest((const char *)data + 1, size - 1);
		break;
	case 1:
		try_config((const char *)data + 1, size - 1);
		break;
	case 2:
		try_challenge(text);
		break;
	case 3:
		try_token((const char *)data + 1, size - 1);
		break;
	case 4:
		try_reference(text);
		break;
	case 6:
		try_refusal((const char *)data + 1, size - 1);
		break;
	default:
		try_merge(text);
	}
	return 0;
}
