/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-metadata/answers.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "cmd/rkt-metadata/pods.h"
#include "spec/metadata.h"

#define KEY_LEN 64
#define DIGEST_LEN 64
#define SIGNATURE_LEN 88 /* base64 of it */

#define TYPE_JSON "application/json"

static unsigned char key[KEY_LEN];
static unsigned int listen_port;

static void refuse(struct http_server_request *request, unsigned int status,
		   const char *text)
{
	request->status = status;
	strbuf_addf(&request->answer, "%s\n", text);
}

static void refuse_method(struct http_server_request *request,
			  const char *allow)
{
	request->allow = allow;
	refuse(request, 405, "not with this method");
}

static bool is_get(const struct http_server_request *request)
{
	return strcmp(request->method, "GET") == 0 ||
	       strcmp(request->method, "HEAD") == 0;
}

/* --- signatures ------------------------------------------------------------
 */

/* rkt's: of the pod's UUID, 16 bytes, and what is signed. */
static bool make_digest(const struct uuid *uuid, const struct strbuf *content,
			unsigned char ret[DIGEST_LEN])
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	unsigned int len = 0;

	strbuf_add(&text, uuid->b, sizeof(uuid->b));
	strbuf_add(&text, content->buf, content->len);
	return HMAC(EVP_sha512(), key, KEY_LEN, (unsigned char *)text.buf,
		    text.len, ret, &len) &&
	       len == DIGEST_LEN;
}

int answers_prepare(unsigned int port, struct error *err)
{
	const struct strbuf nothing = STRBUF_INIT;
	const struct uuid uuid = {0};
	unsigned char digest[DIGEST_LEN];

	listen_port = port;
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return error_sys(err, errno, "make the key of signatures");
	/* The first time, the library reads files. */
	if (!make_digest(&uuid, &nothing, digest))
		return error_set(err, EIO, "cannot make signatures");
	return 0;
}

static bool take_content(struct http_server_request *request,
			 struct strbuf *ret)
{
	if (http_server_form_field(request, "content", ret) && ret->len)
		return true;
	refuse(request, 400, "the form has no content");
	return false;
}

static void sign(struct http_server_request *request,
		 const struct served_pod *pod)
{
	cleanup_strbuf struct strbuf content = STRBUF_INIT;
	unsigned char digest[DIGEST_LEN];
	unsigned char text[SIGNATURE_LEN + 1];

	if (!take_content(request, &content))
		return;
	if (!make_digest(&pod->uuid, &content, digest)) {
		refuse(request, 500, "signing failed");
		return;
	}
	(void)EVP_EncodeBlock(text, digest, DIGEST_LEN);
	strbuf_add(&request->answer, text, SIGNATURE_LEN);
}

static bool take_uuid(struct http_server_request *request, struct uuid *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (http_server_form_field(request, "uuid", &text) &&
	    strlen(text.buf) == text.len &&
	    uuid_parse(text.buf, ret, NULL) == 0)
		return true;
	refuse(request, 400, "the form has no uuid");
	return false;
}

static bool take_signature(struct http_server_request *request,
			   unsigned char ret[DIGEST_LEN])
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	unsigned char bytes[SIGNATURE_LEN / 4 * 3];

	if (http_server_form_field(request, "signature", &text) &&
	    text.len == SIGNATURE_LEN &&
	    strncmp(text.buf + SIGNATURE_LEN - 2, "==", 2) == 0 &&
	    EVP_DecodeBlock(bytes, (unsigned char *)text.buf, SIGNATURE_LEN) ==
		    (int)sizeof(bytes)) {
		memcpy(ret, bytes, DIGEST_LEN);
		return true;
	}
	refuse(request, 400, "the form has no signature");
	return false;
}

static void verify(struct http_server_request *request)
{
	cleanup_strbuf struct strbuf content = STRBUF_INIT;
	unsigned char given[DIGEST_LEN], digest[DIGEST_LEN];
	struct uuid uuid;

	if (!take_content(request, &content) || !take_uuid(request, &uuid) ||
	    !take_signature(request, given))
		return;
	if (!make_digest(&uuid, &content, digest))
		refuse(request, 500, "signing failed");
	else if (CRYPTO_memcmp(given, digest, DIGEST_LEN) != 0)
		refuse(request, 403, "it is not the signature");
}

/* --- pods ------------------------------------------------------------------
 */

static void answer_text(struct http_server_request *request, const char *text)
{
	strbuf_addstr(&request->answer, text);
}

static void answer_annotation(struct http_server_request *request,
			      const struct name_values *annotations,
			      const char *name)
{
	const char *value = name_values_get(annotations, name);

	if (value)
		answer_text(request, value);
	else
		refuse(request, 404, "no such annotation");
}

static void answer_annotations(struct http_server_request *request,
			       const struct name_values *annotations)
{
	request->type = TYPE_JSON;
	metadata_annotations_write(annotations, &request->answer);
}

static void answer_of_app(struct http_server_request *request,
			  const struct metadata_query *q,
			  const struct served_app *app,
			  const struct runtime_app *runtime)
{
	cleanup_name_values struct name_values merged = NAME_VALUES_INIT;

	metadata_annotations_merge(&app->manifest.annotations,
				   &runtime->annotations, &merged);
	if (q->what == METADATA_APP_ANNOTATIONS) {
		answer_annotations(request, &merged);
	} else if (q->what == METADATA_APP_ANNOTATION) {
		answer_annotation(request, &merged, q->name);
	} else if (q->what == METADATA_IMAGE_ID) {
		answer_text(request, runtime->image.id);
	} else {
		request->type = TYPE_JSON;
		answer_text(request, app->image);
	}
}

static void answer_app(struct http_server_request *request,
		       const struct metadata_query *q,
		       const struct served_pod *pod)
{
	const struct served_app *app = pod_app(pod, q->app);

	if (app && app->image)
		answer_of_app(request, q, app,
			      pod_manifest_find_app(&pod->manifest, q->app));
	else
		refuse(request, 404, "no such app");
}

static void answer_query(struct http_server_request *request,
			 const struct metadata_query *q,
			 const struct served_pod *pod)
{
	char uuid[UUID_TEXT_LEN + 1];

	switch (q->what) {
	case METADATA_POD_ANNOTATIONS:
		answer_annotations(request, &pod->manifest.annotations);
		break;
	case METADATA_POD_ANNOTATION:
		answer_annotation(request, &pod->manifest.annotations, q->name);
		break;
	case METADATA_POD_MANIFEST:
		request->type = TYPE_JSON;
		strbuf_add(&request->answer, pod->text.buf, pod->text.len);
		break;
	case METADATA_POD_UUID:
		uuid_format(&pod->uuid, uuid);
		answer_text(request, uuid);
		break;
	case METADATA_SIGN:
		sign(request, pod);
		break;
	case METADATA_VERIFY:
		verify(request);
		break;
	default:
		answer_app(request, q, pod);
	}
}

void answer_pod(struct http_server_request *request)
{
	struct metadata_query q;
	bool is_known = metadata_query_parse(request->path, &q) == 0;
	const struct served_pod *pod = pods_by_token(q.token);

	request->status = 200;
	if (!is_known)
		refuse(request, 404, "no such path");
	else if (!pod)
		refuse(request, 401, "no pod has this token");
	else if (!metadata_is_post(q.what) && !is_get(request))
		refuse_method(request, "GET, HEAD");
	else if (metadata_is_post(q.what) &&
		 strcmp(request->method, "POST") != 0)
		refuse_method(request, "POST");
	else
		answer_query(request, &q, pod);
}

const char *answers_name(const struct http_server_request *request)
{
	static char name[256];
	const char *path = request->path;
	size_t token = *path == '/' ? strcspn(path + 1, "/") : 0;

	/* Where the token is not the first, nobody knows where it is. */
	if (token != METADATA_TOKEN_LEN)
		return "/...";
	(void)snprintf(name, sizeof(name), "/%.4s...%s", path + 1,
		       path + 1 + token);
	return name;
}

/* --- registration ----------------------------------------------------------
 */

static void put(struct http_server_request *request, const struct uuid *uuid,
		const char *app)
{
	const char *token = http_server_argument(request, "token");
	struct error err = ERROR_INIT;
	int r;

	if (*app)
		r = pods_put_app(uuid, app, &request->body, &err);
	else if (token && metadata_token_is_valid(token))
		r = pods_put(uuid, token, &request->body, &err);
	else
		r = error_set(&err, EINVAL, "the token is not %d digits",
			      METADATA_TOKEN_LEN);
	if (r < 0)
		refuse(request,
		       r == -ENOENT   ? 404
		       : r == -EEXIST ? 409
		       : r == -ENOSPC ? 507
				      : 400,
		       err.msg);
	else
		strbuf_addf(&request->answer, "%u", listen_port);
}

void answer_registration(struct http_server_request *request)
{
	char app[APP_NAME_MAX + 1];
	struct uuid uuid;

	request->status = 200;
	if (metadata_registration_parse(request->path, &uuid, app) < 0)
		refuse(request, 404, "no such path");
	else if (strcmp(request->method, "PUT") == 0)
		put(request, &uuid, app);
	else if (strcmp(request->method, "DELETE") != 0 || *app)
		refuse_method(request, *app ? "PUT" : "PUT, DELETE");
	else if (pods_remove(&uuid) < 0)
		refuse(request, 404, "no such pod is registered");
}
