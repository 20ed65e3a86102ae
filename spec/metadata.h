/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_METADATA_H
#define SPEC_METADATA_H

/*
 * What the metadata service is asked and answers (ace.md, "App Container
 * Metadata Service"; registration as in rkt 1.30), pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "spec/stage1_abi.h"
#include "spec/uuid.h"

struct error;
struct name_values;
struct pod_manifest;
struct strbuf;

/* Where pods are registered: a stream socket, HTTP/1.1, root only. */
#define METADATA_SOCKET "/run/rkt/metadata-svc.sock"
#define METADATA_PORT 18112

/* 128 random bits as hexadecimal digits. */
#define METADATA_TOKEN_LEN 32

enum metadata_what {
	METADATA_POD_ANNOTATIONS = 0,
	METADATA_POD_ANNOTATION,
	METADATA_POD_MANIFEST,
	METADATA_POD_UUID,
	METADATA_APP_ANNOTATIONS,
	METADATA_APP_ANNOTATION,
	METADATA_IMAGE_MANIFEST,
	METADATA_IMAGE_ID,
	METADATA_SIGN,
	METADATA_VERIFY,
};

/* GET, or POST for the last two. */
bool metadata_is_post(enum metadata_what what);

struct metadata_query {
	enum metadata_what what;
	char token[METADATA_TOKEN_LEN + 1];
	char app[APP_NAME_MAX + 1];
	const char *name; /* of an annotation; borrows from the path */
};

/*
 * The path of a request, without host, query and percent signs:
 * "/TOKEN/acMetadata/v1/pod/uuid".  -ENOENT nothing of that name.
 */
int metadata_query_parse(const char *path, struct metadata_query *ret);

/* "/pods/UUID" or "/pods/UUID/APP" (APP is "" for the first); -ENOENT. */
int metadata_registration_parse(const char *path, struct uuid *ret_uuid,
				char ret_app[APP_NAME_MAX + 1]);

bool metadata_token_is_valid(const char *token);

/* Annotations of an app: the image's in their order, with what the pod says
 * of them in place, and what only the pod has behind (reference code). */
void metadata_annotations_merge(const struct name_values *image,
				const struct name_values *app,
				struct name_values *ret);

/* As a JSON array of {"name","value"}, also when there are none. */
void metadata_annotations_write(const struct name_values *annotations,
				struct strbuf *out);

/* With "annotations": [] if it has none: clients expect the key. */
void metadata_pod_manifest_write(const struct pod_manifest *pm,
				 struct strbuf *out);

#endif
