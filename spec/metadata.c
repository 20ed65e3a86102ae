/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/metadata.h"

#include <errno.h>
#include <string.h>

#include "base/strbuf.h"
#include "spec/acname.h"
#include "spec/json_write.h"
#include "spec/name_value.h"
#include "spec/pod_manifest.h"

bool metadata_is_post(enum metadata_what what)
{
	return what == METADATA_SIGN || what == METADATA_VERIFY;
}

/* --- paths -----------------------------------------------------------------
 */

/* The next "/SEGMENT" of *PATH; NULL when there is none. */
static const char *next_segment(const char **path, size_t *ret_len)
{
	const char *start = *path;

	if (*start != '/' || !start[1] || start[1] == '/')
		return NULL;
	*ret_len = strcspn(++start, "/");
	*path = start + *ret_len;
	return start;
}

static bool take_word(const char **path, const char *word)
{
	const char *at = *path;
	size_t len;
	const char *segment = next_segment(&at, &len);

	if (!segment || strlen(word) != len || strncmp(segment, word, len) != 0)
		return false;
	*path = at;
	return true;
}

/* A segment of at most MAX bytes, copied. */
static bool take_segment(const char **path, char *ret, size_t max)
{
	size_t len;
	const char *segment = next_segment(path, &len);

	if (!segment || len > max)
		return false;
	memcpy(ret, segment, len);
	ret[len] = '\0';
	return true;
}

bool metadata_token_is_valid(const char *token)
{
	return strspn(token, "0123456789abcdef") == METADATA_TOKEN_LEN &&
	       !token[METADATA_TOKEN_LEN];
}

struct row {
	const char *words[2];
	enum metadata_what what;
	bool has_name;
};

static const struct row pod_rows[] = {
	{{"annotations", NULL}, METADATA_POD_ANNOTATIONS, false},
	{{"annotations", NULL}, METADATA_POD_ANNOTATION, true},
	{{"manifest", NULL}, METADATA_POD_MANIFEST, false},
	{{"uuid", NULL}, METADATA_POD_UUID, false},
	{{"hmac", "sign"}, METADATA_SIGN, false},
	{{"hmac", "verify"}, METADATA_VERIFY, false},
	{{NULL, NULL}, 0, false},
};

static const struct row app_rows[] = {
	{{"annotations", NULL}, METADATA_APP_ANNOTATIONS, false},
	{{"annotations", NULL}, METADATA_APP_ANNOTATION, true},
	{{"image", "manifest"}, METADATA_IMAGE_MANIFEST, false},
	{{"image", "id"}, METADATA_IMAGE_ID, false},
	{{NULL, NULL}, 0, false},
};

static int find_row(const struct row *rows, const char *path,
		    struct metadata_query *ret)
{
	for (const struct row *row = rows; row->words[0]; row++) {
		const char *at = path;

		if (!take_word(&at, row->words[0]) ||
		    (row->words[1] && !take_word(&at, row->words[1])))
			continue;
		/* Names of annotations may have a '/' in them. */
		if (row->has_name ? at[0] != '/' || !at[1] : *at)
			continue;
		ret->what = row->what;
		ret->name = row->has_name ? at + 1 : NULL;
		return 0;
	}
	return -ENOENT;
}

int metadata_query_parse(const char *path, struct metadata_query *ret)
{
	*ret = (struct metadata_query){0};
	if (!take_segment(&path, ret->token, METADATA_TOKEN_LEN) ||
	    !take_word(&path, "acMetadata") || !take_word(&path, "v1"))
		return -ENOENT;
	if (take_word(&path, "pod"))
		return find_row(pod_rows, path, ret);
	if (!take_word(&path, "apps") ||
	    !take_segment(&path, ret->app, APP_NAME_MAX))
		return -ENOENT;
	return find_row(app_rows, path, ret);
}

int metadata_registration_parse(const char *path, struct uuid *ret_uuid,
				char ret_app[APP_NAME_MAX + 1])
{
	char uuid[UUID_TEXT_LEN + 1];

	ret_app[0] = '\0';
	if (!take_word(&path, "pods") ||
	    !take_segment(&path, uuid, UUID_TEXT_LEN) ||
	    uuid_parse(uuid, ret_uuid, NULL) < 0)
		return -ENOENT;
	if (*path && (!take_segment(&path, ret_app, APP_NAME_MAX) ||
		      acname_check(ret_app, NULL) < 0))
		return -ENOENT;
	return *path ? -ENOENT : 0;
}

/* --- answers ---------------------------------------------------------------
 */

void metadata_annotations_merge(const struct name_values *image,
				const struct name_values *app,
				struct name_values *ret)
{
	name_values_copy(ret, image);
	for (size_t i = 0; i < app->n; i++)
		name_values_set(ret, app->v[i].name, app->v[i].value);
}

void metadata_annotations_write(const struct name_values *annotations,
				struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_COMPACT_STYLE);
	json_open_array(&w, NULL);
	for (size_t i = 0; i < annotations->n; i++) {
		json_open_object(&w, NULL);
		json_add_string(&w, "name", annotations->v[i].name);
		json_add_string(&w, "value", annotations->v[i].value);
		json_close_object(&w);
	}
	json_close_array(&w);
}

void metadata_pod_manifest_write(const struct pod_manifest *pm,
				 struct strbuf *out)
{
	pod_manifest_write(pm, JSON_COMPACT_STYLE, out);
	if (pm->annotations.n)
		return;
	/* The object is never empty: it begins with acKind. */
	strbuf_setlen(out, out->len - 1);
	strbuf_addstr(out, ",\"annotations\":[]}");
}
