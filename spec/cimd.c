/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/cimd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define VERSION "v=0:"

/* False if S is no escaped text. */
static bool unescape(const char *s, struct strbuf *ret)
{
	for (; *s; s++) {
		char hex[3] = {0};
		uint8_t byte;

		if (*s != '%') {
			strbuf_addch(ret, (char)(*s == '+' ? ' ' : *s));
			continue;
		}
		memcpy(hex, s + 1, strnlen(s + 1, 2));
		if (parse_hex(hex, &byte, 1) < 0 || byte == 0)
			return false;
		strbuf_addch(ret, (char)byte);
		s += 2;
	}
	return true;
}

static bool is_url(const char *s)
{
	static const char *const schemes[] = {"file://", "http://", "https://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (strncmp(s, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return false;
}

static const char *archive_make(const char *data, struct strbuf *ret)
{
	if (!unescape(data, ret))
		return "its URL is not escaped as in a query string";
	return is_url(ret->buf) ? NULL
				: "it holds no URL of file, http or https";
}

/* A label's text must not end where another begins. */
static bool add_label(const char *label, struct strbuf *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (!unescape(label, &text) || strchr(text.buf, ','))
		return false;
	strbuf_addf(ret, ",%s", text.buf);
	return true;
}

static const char *appc_make(const char *data, struct strbuf *ret)
{
	cleanup_strv struct strv labels = STRV_INIT;
	size_t len = strcspn(data, "?");

	if (len == 0 || strcspn(data, ":,") < len)
		return "it holds no name";
	strbuf_add(ret, data, len);
	if (!data[len] || !data[len + 1])
		return NULL;
	strv_split(&labels, data + len + 1, '&');
	for (size_t i = 0; i < labels.n; i++)
		if (!add_label(labels.v[i], ret))
			return "its labels are not escaped as in a query "
			       "string";
	return NULL;
}

static const char *docker_make(const char *data, struct strbuf *ret)
{
	strbuf_addf(ret, "docker://%s", data);
	return NULL;
}

int cimd_to_image_string(const char *uri, struct strbuf *ret, struct error *err)
{
	/* What is wrong with it, or NULL. */
	static const struct {
		const char *type;
		const char *(*make)(const char *data, struct strbuf *ret);
	} types[] = {
		{"aci-archive:", archive_make},
		{"appc:", appc_make},
		{"docker:", docker_make},
	};
	const char *type = uri + strlen(CIMD_SCHEME);
	const char *data, *why;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (strncmp(type, types[i].type, strlen(types[i].type)) != 0)
			continue;
		data = type + strlen(types[i].type);
		if (strncmp(data, VERSION, strlen(VERSION)) != 0)
			return error_set(err, ENOTSUP,
					 "invalid image string \"%s\": only "
					 "version v=0 is known",
					 uri);
		why = types[i].make(data + strlen(VERSION), ret);
		return why ? error_set(err, EINVAL,
				       "invalid image string \"%s\": %s", uri,
				       why)
			   : 0;
	}
	return error_set(err, ENOTSUP,
			 "invalid image string \"%s\": its type is none of "
			 "aci-archive, appc, docker",
			 uri);
}
