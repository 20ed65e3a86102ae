/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_METADATA_SERVER_H
#define CMD_RKT_METADATA_SERVER_H

/*
 * HTTP/1.1 on sockets that listen (libmicrohttpd), one thread: requests are
 * handed over when they are whole, and answered in one segment where they
 * fit.  Bounded are: clients, those of one address, bytes of a request, and
 * the time from a connection's last answer to its next whole request.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

struct error;
struct MHD_Connection;

struct server_request {
	const char *method;
	const char *path; /* without percent signs */
	struct MHD_Connection *connection;
	struct strbuf body;
	bool is_too_large; /* the body is not kept */
	/* To be filled. */
	unsigned int status;
	const char *type;  /* of the answer; NULL: text/plain */
	const char *allow; /* methods that would do, with status 405 */
	struct strbuf answer;
};

struct server_plan {
	int fd; /* listens; taken */
	unsigned int clients_max, clients_of_address_max;
	size_t body_max;
	/* Names in the log what was asked for; may be NULL: the path. */
	const char *(*name)(const struct server_request *request);
	void (*answer)(struct server_request *request);
};

struct server;

int server_start(const struct server_plan *plan, struct server **ret,
		 struct error *err);
/* Readable when there is something to do. */
int server_fd(const struct server *s);
/* Milliseconds until there is without that, at most MAX. */
int server_timeout(const struct server *s, int max);
void server_run(struct server *s);

/* Argument NAME of the URL, borrowed; NULL if there is none. */
const char *server_argument(const struct server_request *request,
			    const char *name);
/* The first field NAME of a form in the body
 * (application/x-www-form-urlencoded) into RET; false if there is none. */
bool server_form_field(const struct server_request *request, const char *name,
		       struct strbuf *ret);

#endif
