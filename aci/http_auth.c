/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/http_auth.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "spec/config.h"

void http_url_host(const char *url, struct strbuf *ret)
{
	const char *from = strstr(url, "://");
	const char *at;
	size_t len;

	if (!from)
		return;
	from += strlen("://");
	len = strcspn(from, "/?#");
	at = memrchr(from, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - from);
		from = at + 1;
	}
	for (; len > 0; len--, from++)
		strbuf_addch(ret, (char)tolower((unsigned char)*from));
}

const struct config_auth *http_auth_for_url(const struct config *config,
					    const char *url)
{
	cleanup_strbuf struct strbuf host = STRBUF_INIT;

	if (!config || strncasecmp(url, "https://", strlen("https://")) != 0)
		return NULL;
	http_url_host(url, &host);
	return host.len ? config_auth_for_host(config, host.buf) : NULL;
}
