/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/docker_archive.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/docker_ref.h"
#include "spec/json_read.h"
#include "spec/oci.h"

#define IMAGES_MAX 1000
#define TAGS_MAX 1000 /* of one image */

void docker_archive_release(struct docker_archive *archive)
{
	free(archive->tag);
	free(archive->config);
	strv_release(&archive->layers);
	*archive = (struct docker_archive)DOCKER_ARCHIVE_INIT;
}

/* --- choosing ------------------------------------------------------------ */

static bool is_same(const struct docker_ref *want, const char *tag)
{
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;

	return docker_ref_parse(tag, &ref, NULL) == 0 && ref.tag && want->tag &&
	       strcmp(ref.registry, want->registry) == 0 &&
	       strcmp(ref.repository, want->repository) == 0 &&
	       strcmp(ref.tag, want->tag) == 0;
}

/* The tag of IMAGE that is WANT; without WANT the first that is one. */
static const char *find_tag(const struct json_node *image,
			    const struct docker_ref *want)
{
	struct json_node tags, node;
	size_t n;

	if (!json_member(image, "RepoTags", &tags) || !json_want_array(&tags))
		return NULL;
	n = json_n_items(&tags);
	if (n > TAGS_MAX) {
		json_problem(&tags, "more than %d tags", TAGS_MAX);
		return NULL;
	}
	for (size_t i = 0; i < n && json_item(&tags, i, &node); i++) {
		cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
		const char *tag;

		if (!json_read_string(&node, &tag))
			continue;
		if (want ? is_same(want, tag)
			 : docker_ref_parse(tag, &ref, NULL) == 0)
			return tag;
	}
	return NULL;
}

static void name_all(const struct json_node *list, struct strbuf *sb)
{
	struct json_node image;
	size_t n = json_n_items(list);

	for (size_t i = 0; i < n && json_item(list, i, &image); i++) {
		const char *tag = json_node_is_object(&image)
					  ? find_tag(&image, NULL)
					  : NULL;

		if (sb->len > ERROR_MSG_MAX / 2) {
			strbuf_addstr(sb, ", ...");
			return;
		}
		strbuf_addstr(sb, sb->len ? ", " : "");
		if (tag)
			strbuf_addstr(sb, tag);
		else
			strbuf_addf(sb, "@%zu", i);
	}
}

static int not_found(const struct json_node *list, const char *want,
		     struct error *err)
{
	cleanup_strbuf struct strbuf names = STRBUF_INIT;
	size_t n = json_n_items(list);

	name_all(list, &names);
	if (n == 0)
		return error_set(err, ENOENT, "there is no image in it");
	if (!want)
		return error_set(err, ENOENT,
				 "there are %zu images in it, say which by "
				 "FILE:NAME:TAG or FILE:@N: %s",
				 n, names.buf);
	return error_set(err, ENOENT, "there is no image %s in it, but: %s",
			 want, names.buf);
}

/* 0 not found, 1 found, or -EINVAL. */
static int find_name(const struct json_node *list, const char *want,
		     struct json_node *ret, const char **ret_tag,
		     struct error *err)
{
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
	size_t n = json_n_items(list);
	int r = docker_ref_parse(want, &ref, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && json_item(list, i, ret); i++) {
		*ret_tag = json_want_object(ret) ? find_tag(ret, &ref) : NULL;
		if (*ret_tag)
			return 1;
	}
	return 0;
}

/* WANT NULL: the only one. */
static int find_number(const struct json_node *list, const char *want,
		       struct json_node *ret, const char **ret_tag)
{
	uint64_t number = 0;

	if (want ? parse_uint(want, IMAGES_MAX, &number) < 0
		 : json_n_items(list) != 1)
		return 0;
	if (!json_item(list, number, ret) || !json_want_object(ret))
		return 0;
	*ret_tag = find_tag(ret, NULL);
	return 1;
}

static int find_image(const struct json_node *list, const char *want,
		      struct json_node *ret, const char **ret_tag,
		      struct error *err)
{
	int r;

	if (want && *want != '@')
		r = find_name(list, want, ret, ret_tag, err);
	else
		r = find_number(list, want ? want + 1 : NULL, ret, ret_tag);
	if (r == 0)
		r = json_doc_result(list->doc);
	return r == 0 ? not_found(list, want, err) : r;
}

/* --- one image ----------------------------------------------------------- */

static void read_image(const struct json_node *image,
		       struct docker_archive *ret)
{
	struct json_node layers;

	json_get_string(image, "Config", &ret->config);
	if (!ret->config)
		json_problem(image, "it has no Config");
	if (json_member(image, "Layers", &layers))
		(void)json_read_strv(&layers, &ret->layers);
	if (ret->layers.n > OCI_LAYERS_MAX)
		json_problem(image, "more than %d layers", OCI_LAYERS_MAX);
}

int docker_archive_parse(const char *buf, size_t len, const char *want,
			 struct docker_archive *ret, struct error *err)
{
	cleanup_docker_archive struct docker_archive a = DOCKER_ARCHIVE_INIT;
	cleanup_json_doc struct json_doc doc = {0};
	struct error why = ERROR_INIT;
	struct json_node root, image;
	const char *tag = NULL;
	int r = json_doc_parse(&doc, buf, len, NULL, &why);

	if (r == 0) {
		root = json_root(&doc);
		if (json_want_array(&root) && json_n_items(&root) > IMAGES_MAX)
			json_problem(&root, "more than %d images", IMAGES_MAX);
		r = json_doc_result(&doc);
	}
	if (r == 0)
		r = find_image(&root, want, &image, &tag, &why);
	if (r > 0) {
		a.tag = tag ? xstrdup(tag) : NULL;
		read_image(&image, &a);
		r = json_doc_result(&doc);
	}
	if (r < 0) {
		if (err)
			*err = why;
		return r;
	}
	*ret = a;
	a = (struct docker_archive)DOCKER_ARCHIVE_INIT;
	return 0;
}
