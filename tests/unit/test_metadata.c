/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/metadata.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "spec/name_value.h"
#include "spec/pod_manifest.h"
#include "stage1/metadata.h"

#define T "00112233445566778899aabbccddeeff"
#define V1 "/" T "/acMetadata/v1"

Test(metadata, queries)
{
	static const struct {
		const char *path;
		int what; /* -1: there is no such thing */
		const char *app, *name;
	} rows[] = {
		{V1 "/pod/annotations", METADATA_POD_ANNOTATIONS, "", NULL},
		{V1 "/pod/annotations/a/b", METADATA_POD_ANNOTATION, "", "a/b"},
		{V1 "/pod/manifest", METADATA_POD_MANIFEST, "", NULL},
		{V1 "/pod/uuid", METADATA_POD_UUID, "", NULL},
		{V1 "/pod/hmac/sign", METADATA_SIGN, "", NULL},
		{V1 "/pod/hmac/verify", METADATA_VERIFY, "", NULL},
		{V1 "/apps/x/annotations", METADATA_APP_ANNOTATIONS, "x", NULL},
		{V1 "/apps/x/annotations/a", METADATA_APP_ANNOTATION, "x", "a"},
		{V1 "/apps/x/image/manifest", METADATA_IMAGE_MANIFEST, "x",
		 NULL},
		{V1 "/apps/x/image/id", METADATA_IMAGE_ID, "x", NULL},
		{"", -1, NULL, NULL},
		{"/", -1, NULL, NULL},
		{V1, -1, NULL, NULL},
		{V1 "/", -1, NULL, NULL},
		{V1 "/pod", -1, NULL, NULL},
		{V1 "/pod/", -1, NULL, NULL},
		{V1 "/pod/annotations/", -1, NULL, NULL},
		{V1 "/pod/uuid/", -1, NULL, NULL},
		{V1 "/pod/uuidx", -1, NULL, NULL},
		{V1 "/pod/hmac", -1, NULL, NULL},
		{V1 "//pod/uuid", -1, NULL, NULL},
		{V1 "/apps/x", -1, NULL, NULL},
		{V1 "/apps//image/id", -1, NULL, NULL},
		{"/" T "0/acMetadata/v1/pod/uuid", -1, NULL, NULL},
		{"/" T "/acmetadata/v1/pod/uuid", -1, NULL, NULL},
		{"/" T "/acMetadata/v2/pod/uuid", -1, NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct metadata_query q;
		int r = metadata_query_parse(rows[i].path, &q);

		cr_expect_eq(r, rows[i].what < 0 ? -ENOENT : 0, "%s",
			     rows[i].path);
		if (r < 0 || rows[i].what < 0)
			continue;
		cr_expect_eq((int)q.what, rows[i].what, "%s", rows[i].path);
		cr_expect_str_eq(q.token, T);
		cr_expect_str_eq(q.app, rows[i].app);
		cr_expect(rows[i].name
				  ? q.name && strcmp(q.name, rows[i].name) == 0
				  : !q.name,
			  "%s", rows[i].path);
	}
}

Test(metadata, registrations)
{
	static const struct {
		const char *path, *app; /* NULL: none */
	} rows[] = {
		{"/pods/f81d4fae-7dec-11d0-a765-00a0c91e6bf6", ""},
		{"/pods/f81d4fae7dec11d0a76500a0c91e6bf6", ""},
		{"/pods/f81d4fae-7dec-11d0-a765-00a0c91e6bf6/a-b", "a-b"},
		{"/pods/f81d4fae-7dec-11d0-a765-00a0c91e6bf6/", NULL},
		{"/pods/f81d4fae-7dec-11d0-a765-00a0c91e6bf6/..", NULL},
		{"/pods/f81d4fae-7dec-11d0-a765-00a0c91e6bf6/a/b", NULL},
		{"/pods/f81d4fae-7dec-11d0-a765-00a0c91e6bf", NULL},
		{"/pods/", NULL},
		{"/pods", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char app[APP_NAME_MAX + 1];
		struct uuid uuid;
		int r = metadata_registration_parse(rows[i].path, &uuid, app);

		cr_expect_eq(r, rows[i].app ? 0 : -ENOENT, "%s", rows[i].path);
		if (r == 0 && rows[i].app)
			cr_expect_str_eq(app, rows[i].app);
	}
}

Test(metadata, annotations)
{
	cleanup_name_values struct name_values image = NAME_VALUES_INIT;
	cleanup_name_values struct name_values app = NAME_VALUES_INIT;
	cleanup_name_values struct name_values merged = NAME_VALUES_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	name_values_add(&image, "b", "1");
	name_values_add(&image, "a", "1");
	name_values_add(&app, "c", "2");
	name_values_add(&app, "b", "2");
	metadata_annotations_merge(&image, &app, &merged);
	metadata_annotations_write(&merged, &text);
	cr_expect_str_eq(text.buf, "[{\"name\":\"b\",\"value\":\"2\"},"
				   "{\"name\":\"a\",\"value\":\"1\"},"
				   "{\"name\":\"c\",\"value\":\"2\"}]");
}

Test(metadata, manifest_without_annotations)
{
	static const char json[] = "{\"acVersion\":\"0.8.11\",\"acKind\":"
				   "\"PodManifest\"}";
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_pod_manifest struct pod_manifest again = POD_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	cr_assert_eq(pod_manifest_parse(json, strlen(json), &pm, NULL), 0);
	metadata_pod_manifest_write(&pm, &text);
	cr_expect_not_null(strstr(text.buf, ",\"annotations\":[]}"));
	cr_expect_eq(pod_manifest_parse(text.buf, text.len, &again, NULL), 0);
}

Test(metadata, urls)
{
	cleanup_free char *v4 = metadata_url_make("172.16.28.1", 18112, T);
	cleanup_free char *v6 = metadata_url_make("fd00::1", 80, T);

	cr_expect_str_eq(v4, "http://172.16.28.1:18112/" T);
	cr_expect_str_eq(v6, "http://[fd00::1]:80/" T);
}

Test(metadata, answers_of_the_service)
{
	const char *body;

	cr_expect_eq(metadata_answer_parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\nx",
					   &body),
		     200);
	cr_expect_str_eq(body, "x");
	cr_expect_eq(metadata_answer_parse("HTTP/1.0 404 Not\r\n", &body), 404);
	cr_expect_str_eq(body, "");
	cr_expect_eq(metadata_answer_parse("", &body), -EINVAL);
	cr_expect_eq(metadata_answer_parse("SSH-2.0", &body), -EINVAL);
}
