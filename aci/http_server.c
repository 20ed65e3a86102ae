/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"

#define HEADERS_MAX (16U << 10) /* bytes of a connection outside of a body */
#define REQUEST_SECONDS 10	/* from one answer to the next whole request */
#define FORM_BUFFER 1024
#define LINE_MAX_LEN 320 /* of the log */

/* A client, from when it is taken to when it has gone. */
struct client {
	struct client *next, **at;
	int fd;
	struct in6_addr address; /* zero: of a socket that has none */
	time_t since;		 /* when it began, or its last answer */
	bool is_over;		 /* shut down, and not gone yet */
};

struct http_server {
	struct http_server_plan plan;
	struct MHD_Daemon *daemon;
	int fd;
	struct client *clients; /* the youngest first */
	size_t n_clients;	/* that are not over */
};

static time_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* --- clients ---------------------------------------------------------------
 */

static struct in6_addr address_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *from = info ? info->client_addr : NULL;
	struct in6_addr ret = {0};

	if (from && from->sa_family == AF_INET6)
		ret = ((const struct sockaddr_in6 *)from)->sin6_addr;
	else if (from && from->sa_family == AF_INET)
		memcpy(&ret, &((const struct sockaddr_in *)from)->sin_addr,
		       sizeof(struct in_addr));
	return ret;
}

static void client_end(struct http_server *s, struct client *c)
{
	if (c->is_over)
		return;
	c->is_over = true;
	s->n_clients--;
	(void)shutdown(c->fd, SHUT_RDWR);
}

static size_t count_like(const struct http_server *s, const struct client *like)
{
	size_t n = 0;

	for (const struct client *c = s->clients; c; c = c->next)
		n += !c->is_over && memcmp(&c->address, &like->address,
					   sizeof(c->address)) == 0;
	return n;
}

/* Keeps room for others: of the address that has most clients, the one that is
 * idle longest goes. */
static void make_room(struct http_server *s)
{
	struct client *idlest = NULL;
	size_t most = 0;

	if (s->n_clients <= s->plan.clients_max - s->plan.clients_max / 8)
		return;
	for (struct client *c = s->clients; c; c = c->next) {
		size_t n = c->is_over ? 0 : count_like(s, c);

		if (n > most || (n == most && n && c->since <= idlest->since)) {
			most = n;
			idlest = c;
		}
	}
	if (idlest)
		client_end(s, idlest);
}

static void client_add(struct http_server *s, struct MHD_Connection *connection,
		       void **ret)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct client *c = xcalloc(1, sizeof(*c));

	*c = (struct client){
		.next = s->clients,
		.at = &s->clients,
		.fd = info ? info->connect_fd : -EBADF,
		.address = address_of(connection),
		.since = now(),
	};
	if (c->next)
		c->next->at = &c->next;
	s->clients = c;
	s->n_clients++;
	*ret = c;
	make_room(s);
}

static void client_remove(struct http_server *s, struct client *c)
{
	s->n_clients -= !c->is_over;
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	free(c);
}

static void on_client(void *data, struct MHD_Connection *connection,
		      void **context, enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		client_add(data, connection, context);
	else if (*context)
		client_remove(data, *context);
}

/* Who sends a byte now and then would stay for ever. */
static void end_slow_clients(struct http_server *s)
{
	time_t latest = now() - REQUEST_SECONDS;

	for (struct client *c = s->clients; c; c = c->next)
		if (c->since < latest)
			client_end(s, c);
}

/* --- requests --------------------------------------------------------------
 */

static void request_free(struct http_server_request *request)
{
	strbuf_release(&request->body);
	strbuf_release(&request->answer);
	free(request);
}

/* A method may be any bytes, and so may what percent signs make of a path. */
static void log_request(const struct http_server *s,
			const struct http_server_request *request)
{
	const char *name = s->plan.name ? s->plan.name(request) : request->path;
	char line[LINE_MAX_LEN];

	(void)snprintf(line, sizeof(line), "%.16s %s", request->method, name);
	for (char *c = line; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	log_info("%s - %u", line, request->status);
}

static enum MHD_Result send_answer(const struct http_server *s,
				   struct http_server_request *request)
{
	struct MHD_Response *response;
	enum MHD_Result r;

	if (!s->plan.quiet)
		log_request(s, request);
	response = MHD_create_response_from_buffer(request->answer.len,
						   request->answer.buf,
						   MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(
		response, MHD_HTTP_HEADER_CONTENT_TYPE,
		request->type ? request->type : "text/plain; charset=us-ascii");
	if (request->allow)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					      request->allow);
	r = MHD_queue_response(request->connection, request->status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection,
				  const char *path, const char *method,
				  const char *version, const char *more,
				  size_t *n_more, void **context)
{
	struct http_server *s = data;
	struct http_server_request *request = *context;

	(void)version;
	if (!request) {
		*context = xcalloc(1, sizeof(*request));
		request = *context;
		strbuf_init(&request->body);
		strbuf_init(&request->answer);
		return MHD_YES; /* its body comes next */
	}
	if (*n_more) {
		request->is_too_large |=
			request->body.len + *n_more > s->plan.body_max;
		if (!request->is_too_large)
			strbuf_add(&request->body, more, *n_more);
		*n_more = 0;
		return MHD_YES;
	}
	request->method = method;
	request->path = path;
	request->connection = connection;
	request->data = s->plan.data;
	if (request->is_too_large) {
		request->status = MHD_HTTP_CONTENT_TOO_LARGE;
		strbuf_addf(&request->answer, "more than %zu bytes\n",
			    s->plan.body_max);
	} else {
		s->plan.answer(request);
	}
	return send_answer(s, request);
}

static void on_completed(void *data, struct MHD_Connection *connection,
			 void **context, enum MHD_RequestTerminationCode why)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *c = info ? info->socket_context : NULL;

	(void)data;
	(void)why;
	if (c)
		c->since = now();
	if (*context)
		request_free(*context);
	*context = NULL;
}

const char *http_server_argument(const struct http_server_request *request,
				 const char *name)
{
	return MHD_lookup_connection_value(request->connection,
					   MHD_GET_ARGUMENT_KIND, name);
}

struct form_field {
	const char *name;
	struct strbuf *value;
	bool is_found, is_over;
};

/* A value comes in pieces; a second one of the name begins at offset 0. */
static enum MHD_Result on_field(void *data, enum MHD_ValueKind kind,
				const char *name, const char *filename,
				const char *type, const char *encoding,
				const char *piece, uint64_t offset, size_t len)
{
	struct form_field *field = data;

	(void)kind;
	(void)filename;
	(void)type;
	(void)encoding;
	if (!name || strcmp(name, field->name) != 0)
		return MHD_YES;
	field->is_over |= field->is_found && offset == 0;
	field->is_found = true;
	if (!field->is_over && len)
		strbuf_add(field->value, piece, len);
	return MHD_YES;
}

bool http_server_form_field(const struct http_server_request *request,
			    const char *name, struct strbuf *ret)
{
	struct form_field field = {.name = name, .value = ret};
	struct MHD_PostProcessor *form = MHD_create_post_processor(
		request->connection, FORM_BUFFER, on_field, &field);
	bool is_form = form && MHD_post_process(form, request->body.buf,
						request->body.len) == MHD_YES;

	if (form)
		is_form =
			MHD_destroy_post_processor(form) == MHD_YES && is_form;
	return is_form && field.is_found;
}

/* --- the server ------------------------------------------------------------
 */

/* Of clients that break off: nobody wants to know. */
static void ignore(void *data, const char *format, va_list args)
{
	(void)data;
	(void)format;
	(void)args;
}

int http_server_start(const struct http_server_plan *plan,
		      struct http_server **ret, struct error *err)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	const union MHD_DaemonInfo *info;

	s->plan = *plan;
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, s,
		MHD_OPTION_EXTERNAL_LOGGER, ignore, NULL,
		MHD_OPTION_LISTEN_SOCKET, plan->fd, MHD_OPTION_CONNECTION_LIMIT,
		plan->clients_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		plan->clients_of_address_max,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)REQUEST_SECONDS,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_client, s, MHD_OPTION_END);
	info = s->daemon ? MHD_get_daemon_info(s->daemon,
					       MHD_DAEMON_INFO_EPOLL_FD)
			 : NULL;
	if (!info) {
		free(s);
		return error_set(err, ENOMEM, "cannot start the HTTP server");
	}
	s->fd = info->epoll_fd;
	*ret = s;
	return 0;
}

int http_server_fd(const struct http_server *s)
{
	return s->fd;
}

int http_server_listener(const struct http_server *s)
{
	return s->plan.fd;
}

int http_server_timeout(const struct http_server *s, int max)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (s->clients && max > 1000)
		max = 1000;
	if (MHD_get_timeout(s->daemon, &ms) != MHD_YES ||
	    ms > (unsigned long long)max)
		return max;
	return (int)ms;
}

void http_server_run(struct http_server *s)
{
	(void)MHD_run(s->daemon);
	end_slow_clients(s);
}
