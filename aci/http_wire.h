/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_HTTP_WIRE_H
#define ACI_HTTP_WIRE_H

/*
 * The texts of an HTTP job, as lists of strings in memory files, each string
 * with its NUL.
 *
 *	request: URL, method, kind of credentials, user, secret, region,
 *	         then header lines; what is not given is ""
 *	answer:  URL after redirects, what a refusal's body begins with (not
 *		 of a GET), then header lines "name: value"
 */

#include <stddef.h>

struct error;
struct strv;

enum http_wire_request {
	HTTP_WIRE_URL,
	HTTP_WIRE_METHOD,
	HTTP_WIRE_AUTH, /* "", "basic", "oauth", "aws" */
	HTTP_WIRE_USER,
	HTTP_WIRE_SECRET,
	HTTP_WIRE_REGION,
	HTTP_WIRE_HEADERS, /* the first of them */
};

#define HTTP_WIRE_MAX (256UL * 1024) /* bytes */

/* Writes LIST to the empty file FD; the number of bytes goes to *RET. */
int http_wire_write(int fd, const struct strv *list, size_t *ret,
		    struct error *err);
/* Appends what the first LEN bytes of FD hold, at most HTTP_WIRE_MAX. */
int http_wire_read(int fd, size_t len, struct strv *ret, struct error *err);

#endif
