/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_HTTP_AUTH_H
#define ACI_HTTP_AUTH_H

/* Whose credentials go with a URL.  Pure. */

struct config;
struct config_auth;
struct strbuf;

/* HOST or HOST:PORT of URL, in lower case; "" if it has none. */
void http_url_host(const char *url, struct strbuf *ret);

/* What CONFIG (may be NULL) has for the URL's host, borrowed; NULL if
 * nothing, and for anything but https. */
const struct config_auth *http_auth_for_url(const struct config *config,
					    const char *url);

#endif
