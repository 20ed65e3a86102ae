/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_HTTP_SERVER_H
#define ACI_HTTP_SERVER_H

/*
 * HTTP/1.1 on sockets that listen (libmicrohttpd), one thread: requests are
 * handed over when they are whole, and answered in one segment where they
 * fit.  Bounded are: clients, those of one address, bytes of a request, and
 * the time from a connection's last answer to its next whole request.  Where
 * little room is left for more clients, the idlest of the address that has
 * most of them is ended.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

struct error;
struct MHD_Connection;

struct http_server_request {
	const char *method;
	const char *path; /* without percent signs */
	struct MHD_Connection *connection;
	struct strbuf body;
	bool is_too_large; /* the body is not kept */
	void *data;	   /* of the plan */
	/* To be filled. */
	unsigned int status;
	const char *type;  /* of the answer; NULL: text/plain */
	const char *allow; /* methods that would do, with status 405 */
	struct strbuf answer;
};

struct http_server_plan {
	int fd; /* listens; taken */
	unsigned int clients_max, clients_of_address_max;
	size_t body_max;
	void *data; /* for `answer` */
	bool quiet; /* requests are not logged */
	/* Names in the log what was asked for; may be NULL: the path. */
	const char *(*name)(const struct http_server_request *request);
	void (*answer)(struct http_server_request *request);
};

struct http_server;

int http_server_start(const struct http_server_plan *plan,
		      struct http_server **ret, struct error *err);
/* Readable when there is something to do. */
int http_server_fd(const struct http_server *s);
int http_server_listener(const struct http_server *s);
/* Milliseconds until there is without that, at most MAX. */
int http_server_timeout(const struct http_server *s, int max);
void http_server_run(struct http_server *s);

/* Argument NAME of the URL, borrowed; NULL if there is none. */
const char *http_server_argument(const struct http_server_request *request,
				 const char *name);
/* The first field NAME of a form in the body
 * (application/x-www-form-urlencoded) into RET; false if there is none. */
bool http_server_form_field(const struct http_server_request *request,
			    const char *name, struct strbuf *ret);

#endif
