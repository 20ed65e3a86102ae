/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/url_login.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aci/http.h"
#include "aci/http_auth.h"
#include "base/alloc.h"
#include "base/parse.h"

/* What is no escape stays as it is. */
static char *unescape(const char *s, size_t len)
{
	char *ret = xstrndup(s, len);
	char *out = ret;

	for (const char *p = ret; *p; p++) {
		char hex[3] = {0};
		uint8_t byte;

		memcpy(hex, p + 1, strnlen(p + 1, 2));
		if (*p != '%' || parse_hex(hex, &byte, 1) < 0 || byte == 0) {
			*out++ = *p;
			continue;
		}
		*out++ = (char)byte;
		p += 2;
	}
	*out = '\0';
	return ret;
}

/* What follows "://"; NULL for other schemes. */
static const char *authority(const char *url)
{
	static const char *const schemes[] = {"https://", "http://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
			return url + strlen(schemes[i]);
	return NULL;
}

void url_login_make(const char *text, struct url_login *ret)
{
	const char *from = authority(text);
	const char *at = from ? memrchr(from, '@', strcspn(from, "/?#")) : NULL;
	const char *colon, *user_end;

	*ret = (struct url_login)URL_LOGIN_INIT;
	if (!at) {
		ret->url = xstrdup(text);
		return;
	}
	/* A user may be called like a mail address. */
	colon = memchr(from, ':', (size_t)(at - from));
	user_end = colon ? colon : at;
	ret->url = xasprintf("%.*s%s", (int)(from - text), text, at + 1);
	ret->is_given = true;
	ret->auth.type = CONFIG_AUTH_BASIC;
	ret->auth.user = unescape(from, (size_t)(user_end - from));
	ret->auth.secret = colon ? unescape(colon + 1, (size_t)(at - colon - 1))
				 : xstrdup("");
}

void url_login_release(struct url_login *login)
{
	free(login->url);
	free(login->auth.user);
	if (login->auth.secret)
		explicit_bzero(login->auth.secret, strlen(login->auth.secret));
	free(login->auth.secret);
	*login = (struct url_login)URL_LOGIN_INIT;
}

void url_login_apply(const struct url_login *login, const struct config *config,
		     struct http_request *req)
{
	if (!login || !login->is_given) {
		req->auth = http_auth_for_url(config, req->url);
		return;
	}
	req->auth = &login->auth;
	req->flags |= HTTP_AUTH_IN_CLEAR;
}
