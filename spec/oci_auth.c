/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/json_read.h"
#include "spec/oci.h"

#define TOKEN_MAX 65536
#define BLANKS " \t"
/* RFC 7230, token; RFC 6750, b64token */
#define NAME_CHARS                                                             \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"       \
	"!#$%&'*+-.^_`|~"
#define TOKEN_CHARS                                                            \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"       \
	"-._~+/="

void oci_challenge_release(struct oci_challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	*c = (struct oci_challenge){0};
}

/* A value, quoted or not; false if it does not end. */
static bool take_value(const char **p, struct strbuf *ret)
{
	const char *s = *p;

	if (*s != '"') {
		size_t n = strcspn(s, BLANKS ",");

		strbuf_add(ret, s, n);
		*p = s + n;
		return true;
	}
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1])
			s++;
		strbuf_addch(ret, *s);
	}
	*p = *s ? s + 1 : s;
	return *s == '"';
}

static void keep_value(struct oci_challenge *c, const char *name, size_t len,
		       const char *value)
{
	const struct {
		const char *name;
		char **at;
	} known[] = {
		{"realm", &c->realm},
		{"service", &c->service},
		{"scope", &c->scope},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strlen(known[i].name) != len ||
		    strncasecmp(known[i].name, name, len) != 0)
			continue;
		free(*known[i].at);
		*known[i].at = xstrdup(value);
	}
}

/* NAME=VALUE, NAME="VALUE" ... */
static bool take_values(const char *p, struct oci_challenge *c)
{
	for (p += strspn(p, BLANKS ","); *p; p += strspn(p, BLANKS ",")) {
		cleanup_strbuf struct strbuf value = STRBUF_INIT;
		const char *name = p;
		size_t len = strspn(p, NAME_CHARS);

		p += len;
		/* Another scheme begins: we have the first we know. */
		if (*p != '=')
			return len > 0;
		p++;
		if (len == 0 || !take_value(&p, &value))
			return false;
		keep_value(c, name, len, value.buf);
	}
	return true;
}

int oci_challenge_parse(const char *text, struct oci_challenge *ret,
			struct error *err)
{
	cleanup_oci_challenge struct oci_challenge c = {0};
	size_t len = strcspn(text, BLANKS);

	c.is_bearer = len == strlen("bearer") &&
		      strncasecmp(text, "bearer", len) == 0;
	if (!c.is_bearer &&
	    (len != strlen("basic") || strncasecmp(text, "basic", len) != 0))
		return error_set(err, ENOTSUP,
				 "the registry asks for credentials of another "
				 "kind than Bearer and Basic");
	if (!take_values(text + len, &c) || (c.is_bearer && !c.realm))
		return error_set(err, EINVAL,
				 "the registry's WWW-Authenticate header is "
				 "malformed");
	*ret = c;
	c = (struct oci_challenge){0};
	return 0;
}

int oci_refusal_parse(const char *buf, size_t len, char **ret,
		      struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct json_node root, list, item;
	int r = json_doc_parse(&doc, buf, len, NULL, err);

	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root) && json_member(&root, "errors", &list))
		for (size_t i = 0; json_item(&list, i, &item); i++) {
			cleanup_free char *code = NULL;
			cleanup_free char *message = NULL;

			if (!json_want_object(&item))
				break;
			json_get_string(&item, "code", &code);
			json_get_string(&item, "message", &message);
			strbuf_addf(&text, "%s%s%s%s", i ? "; " : "",
				    code ? code : "",
				    code && message ? ": " : "",
				    message ? message : "");
		}
	r = json_doc_result(&doc);
	if (r == 0 && text.len == 0)
		r = error_set(err, EINVAL, "it holds no errors");
	if (r == 0)
		*ret = strbuf_detach(&text);
	return r;
}

int oci_token_parse(const char *buf, size_t len, char **ret, struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	cleanup_free char *token = NULL;
	struct json_node root;
	int r = json_doc_parse(&doc, buf, len, NULL, err);

	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root)) {
		json_get_string(&root, "access_token", &token);
		json_get_string(&root, "token", &token);
	}
	r = json_doc_result(&doc);
	if (r < 0)
		return r;
	if (!token || !*token || strlen(token) > TOKEN_MAX ||
	    token[strspn(token, TOKEN_CHARS)])
		return error_set(err, EINVAL,
				 "the answer of the token server holds no "
				 "token");
	*ret = TAKE_PTR(token);
	return 0;
}
