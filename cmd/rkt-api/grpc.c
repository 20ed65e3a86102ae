/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/grpc.h"

#include <errno.h>
#include <limits.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strbuf.h"

#define CLIENTS_MAX 256
#define CALLS_MAX 512
#define CLIENT_CALLS_MAX 64
#define REQUEST_MAX (64U << 10)
#define HEADERS_MAX (16U << 10)
#define QUEUED_MAX (64U << 20) /* of all calls */
#define REQUEST_MS 10000       /* of a greeting, of a request */
#define SEND_MS 30000	       /* in which nothing is taken */
#define IDLE_MS 600000	       /* without a call */
#define FRAME_HEAD 5	       /* compressed?, length */
#define CHUNK 16384
#define TEXT_MAX 512 /* of a status */

struct client;

struct grpc_call {
	struct grpc_call *next;
	struct client *client;
	int32_t stream;
	int64_t since, deadline; /* ms; 0: none */
	const struct grpc_method *method;
	bool is_post, is_grpc, is_asked, is_too_large;
	struct strbuf in;
	/* The answer. */
	bool has_begun, is_finished, is_deferred;
	enum grpc_status status;
	char *message; /* of the status; NULL: none */
	struct strbuf out;
	size_t sent;   /* bytes of out */
	int64_t moved; /* ms: when some were taken, or the first to wait came;
			* its end waits as they do */
	void (*ended)(void *data);
	void *ended_data;
};

struct client {
	struct client *next;
	struct grpc *grpc;
	int fd;
	nghttp2_session *session;
	struct grpc_call *calls;
	size_t n_calls;
	bool has_greeted, is_over;
	int64_t since;	       /* ms: begun, or its last call ended */
	int64_t stuck;	       /* ms: when sending stopped; 0: it goes on */
	size_t at, generation; /* in which poll set */
};

struct grpc {
	const int *listeners;
	size_t n_listeners;
	size_t listeners_at; /* in the poll set */
	bool is_listening;
	const struct grpc_method *methods;
	void *data;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	struct client *clients;
	size_t n_clients, n_calls, generation;
	size_t queued;
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* --- calls -----------------------------------------------------------------
 */

static struct grpc_call *call_new(struct client *c, int32_t stream)
{
	struct grpc_call *call = xcalloc(1, sizeof(*call));

	*call = (struct grpc_call){
		.next = c->calls,
		.client = c,
		.stream = stream,
		.since = now_ms(),
		.in = STRBUF_INIT,
		.out = STRBUF_INIT,
	};
	c->calls = call;
	c->n_calls++;
	c->grpc->n_calls++;
	return call;
}

static void call_free(struct grpc_call *call)
{
	struct client *c = call->client;
	struct grpc_call **at = &c->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	c->n_calls--;
	c->since = now_ms();
	c->grpc->n_calls--;
	c->grpc->queued -= grpc_call_queued(call);
	if (call->ended && !call->is_finished)
		call->ended(call->ended_data);
	strbuf_release(&call->in);
	strbuf_release(&call->out);
	free(call->message);
	free(call);
}

size_t grpc_call_queued(const struct grpc_call *call)
{
	return call->out.len - call->sent;
}

void grpc_call_on_end(struct grpc_call *call, void (*ended)(void *data),
		      void *data)
{
	call->ended = ended;
	call->ended_data = data;
}

/* --- answers ---------------------------------------------------------------
 */

#define HEADER(name_text, value_text, len)                                     \
	{                                                                      \
		.name = (uint8_t *)(name_text),                                \
		.value = (uint8_t *)(value_text),                              \
		.namelen = sizeof(name_text) - 1, .valuelen = (len),           \
		.flags = NGHTTP2_NV_FLAG_NONE,                                 \
	}
#define HEADER_TEXT(name_text, value_text)                                     \
	HEADER(name_text, value_text, strlen(value_text))

/* What is not printable ASCII goes as %XX (PROTOCOL-HTTP2.md). */
static void escape(const char *text, char ret[TEXT_MAX])
{
	size_t n = 0;

	for (; *text && n + 4 < TEXT_MAX; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c <= '~' && c != '%')
			ret[n++] = (char)c;
		else
			n += (size_t)snprintf(ret + n, TEXT_MAX - n, "%%%02X",
					      c);
	}
	ret[n] = '\0';
}

static void submit_trailer(struct grpc_call *call)
{
	char status[16], message[TEXT_MAX];

	(void)snprintf(status, sizeof(status), "%d", call->status);
	escape(call->message ? call->message : "", message);
	const nghttp2_nv trailer[] = {
		HEADER_TEXT("grpc-status", status),
		HEADER_TEXT("grpc-message", message),
	};

	(void)nghttp2_submit_trailer(call->client->session, call->stream,
				     trailer, *message ? 2 : 1);
}

static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *buf,
		       size_t room, uint32_t *flags,
		       nghttp2_data_source *source, void *data)
{
	struct grpc_call *call = source->ptr;
	size_t n = grpc_call_queued(call);

	(void)session;
	(void)stream;
	(void)data;
	if (n == 0 && !call->is_finished) {
		call->is_deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > room)
		n = room;
	memcpy(buf, call->out.buf + call->sent, n);
	call->sent += n;
	call->moved = now_ms();
	call->client->grpc->queued -= n;
	if (call->sent == call->out.len) {
		strbuf_reset(&call->out);
		call->sent = 0;
		if (call->is_finished) {
			*flags |= NGHTTP2_DATA_FLAG_EOF |
				  NGHTTP2_DATA_FLAG_NO_END_STREAM;
			submit_trailer(call);
		}
	}
	return (ssize_t)n;
}

void grpc_call_begin(struct grpc_call *call)
{
	const nghttp2_nv headers[] = {
		HEADER_TEXT(":status", "200"),
		HEADER_TEXT("content-type", "application/grpc"),
	};
	const nghttp2_data_provider provider = {.source.ptr = call,
						.read_callback = on_read};

	if (call->has_begun)
		return;
	call->has_begun = true;
	(void)nghttp2_submit_response(call->client->session, call->stream,
				      headers, 2, &provider);
}

static void resume(struct grpc_call *call)
{
	if (call->is_deferred)
		(void)nghttp2_session_resume_data(call->client->session,
						  call->stream);
	call->is_deferred = false;
}

void grpc_call_send(struct grpc_call *call, const struct strbuf *message)
{
	const char head[FRAME_HEAD] = {
		0,
		(char)(message->len >> 24),
		(char)(message->len >> 16),
		(char)(message->len >> 8),
		(char)message->len,
	};

	if (grpc_call_queued(call) == 0)
		call->moved = now_ms();
	if (call->sent > CHUNK) {
		memmove(call->out.buf, call->out.buf + call->sent,
			grpc_call_queued(call));
		strbuf_setlen(&call->out, grpc_call_queued(call));
		call->sent = 0;
	}
	strbuf_add(&call->out, head, sizeof(head));
	strbuf_add(&call->out, message->buf, message->len);
	call->client->grpc->queued += sizeof(head) + message->len;
	grpc_call_begin(call);
	resume(call);
}

/* An answer of headers alone. */
static void submit_status(struct grpc_call *call)
{
	char status[16], message[TEXT_MAX];

	(void)snprintf(status, sizeof(status), "%d", call->status);
	escape(call->message ? call->message : "", message);
	const nghttp2_nv headers[] = {
		HEADER_TEXT(":status", "200"),
		HEADER_TEXT("content-type", "application/grpc"),
		HEADER_TEXT("grpc-status", status),
		HEADER_TEXT("grpc-message", message),
	};

	(void)nghttp2_submit_response(call->client->session, call->stream,
				      headers, *message ? 4 : 3, NULL);
}

void grpc_call_finish(struct grpc_call *call, enum grpc_status status,
		      const char *message)
{
	call->status = status;
	call->message = message ? xstrdup(message) : NULL;
	call->is_finished = true;
	if (grpc_call_queued(call) == 0)
		call->moved = now_ms();
	if (call->has_begun)
		resume(call);
	else
		submit_status(call);
}

/* What is no gRPC: HTTP's own status. */
static void refuse(struct grpc_call *call, const char *status)
{
	const nghttp2_nv headers[] = {HEADER_TEXT(":status", status)};

	call->is_finished = true;
	call->moved = now_ms();
	(void)nghttp2_submit_response(call->client->session, call->stream,
				      headers, 1, NULL);
}

/* --- requests --------------------------------------------------------------
 */

static const struct grpc_method *method_find(const struct grpc *g,
					     const char *path, size_t len)
{
	for (const struct grpc_method *m = g->methods; m->path; m++)
		if (strlen(m->path) == len && memcmp(m->path, path, len) == 0)
			return m;
	return NULL;
}

/* grpc-timeout: at most eight digits and a unit. */
static int64_t parse_timeout(const char *text, size_t len)
{
	static const struct {
		char unit;
		int64_t ms, of; /* so many of them */
	} units[] = {
		{'H', 3600000, 1}, {'M', 60000, 1}, {'S', 1000, 1},
		{'m', 1, 1},	   {'u', 1, 1000},  {'n', 1, 1000000},
	};
	cleanup_free char *digits = NULL;
	uint64_t n;

	if (len < 2 || len > 9)
		return 0;
	digits = xstrndup(text, len - 1);
	if (parse_uint(digits, 99999999, &n) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (units[i].unit == text[len - 1])
			return (int64_t)n * units[i].ms / units[i].of + 1;
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
		     const uint8_t *name_bytes, size_t name_len,
		     const uint8_t *value_bytes, size_t len, uint8_t flags,
		     void *data)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(
		session, frame->hd.stream_id);
	const char *name = (const char *)name_bytes;
	const char *value = (const char *)value_bytes;
	const struct client *c = data;
	static const char type[] = "application/grpc";

	(void)name_len;
	(void)flags;
	if (!call)
		return 0;
	if (strcmp(name, ":method") == 0)
		call->is_post = strcmp(value, "POST") == 0;
	else if (strcmp(name, ":path") == 0)
		call->method = method_find(c->grpc, value, len);
	else if (strcmp(name, "content-type") == 0)
		call->is_grpc = strncmp(value, type, sizeof(type) - 1) == 0 &&
				strchr("+;", value[sizeof(type) - 1]);
	else if (strcmp(name, "grpc-timeout") == 0 && len < INT32_MAX) {
		int64_t ms = parse_timeout(value, len);

		call->deadline = ms ? call->since + ms : 0;
	}
	return 0;
}

static int on_headers_begin(nghttp2_session *session,
			    const nghttp2_frame *frame, void *data)
{
	struct client *c = data;

	if (frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (c->grpc->n_calls >= CALLS_MAX)
		return (int)NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	(void)nghttp2_session_set_stream_user_data(
		session, frame->hd.stream_id, call_new(c, frame->hd.stream_id));
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream,
		   const uint8_t *bytes, size_t len, void *data)
{
	struct grpc_call *call =
		nghttp2_session_get_stream_user_data(session, stream);

	(void)flags;
	(void)data;
	if (!call || call->is_finished)
		return 0;
	call->is_too_large |= call->in.len + len > REQUEST_MAX;
	if (!call->is_too_large)
		strbuf_add(&call->in, bytes, len);
	return 0;
}

static size_t message_len(const struct strbuf *in)
{
	const unsigned char *head = (const unsigned char *)in->buf;

	return (size_t)head[1] << 24 | (size_t)head[2] << 16 |
	       (size_t)head[3] << 8 | head[4];
}

/* The one message, if it is whole and nothing is behind it. */
static enum grpc_status check_request(const struct grpc_call *call,
				      const char **why)
{
	if (!call->method) {
		*why = "there is no such method";
		return GRPC_UNIMPLEMENTED;
	}
	if (call->is_too_large) {
		*why = "the request is too large: 65536 bytes are taken";
		return GRPC_RESOURCE_EXHAUSTED;
	}
	if (call->in.len < FRAME_HEAD ||
	    message_len(&call->in) != call->in.len - FRAME_HEAD) {
		*why = "the request is not one message";
		return GRPC_INVALID_ARGUMENT;
	}
	if (call->in.buf[0]) {
		*why = "compressed messages are not read: send it as it is";
		return GRPC_UNIMPLEMENTED;
	}
	if (call->client->grpc->queued > QUEUED_MAX) {
		*why = "too many answers wait to be taken: try again later";
		return GRPC_RESOURCE_EXHAUSTED;
	}
	return GRPC_OK;
}

static void dispatch(struct grpc_call *call)
{
	const char *why = NULL;
	enum grpc_status status;

	if (call->is_asked || call->is_finished)
		return;
	call->is_asked = true;
	if (!call->is_post || !call->is_grpc) {
		refuse(call, call->is_post ? "415" : "405");
		return;
	}
	status = check_request(call, &why);
	if (status != GRPC_OK)
		grpc_call_finish(call, status, why);
	else
		call->method->run(call->client->grpc->data, call,
				  call->in.buf + FRAME_HEAD,
				  call->in.len - FRAME_HEAD);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame,
		    void *data)
{
	struct client *c = data;
	struct grpc_call *call;

	if (frame->hd.type == NGHTTP2_SETTINGS)
		c->has_greeted = true;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	call = nghttp2_session_get_stream_user_data(session,
						    frame->hd.stream_id);
	if (call && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		dispatch(call);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream,
			   uint32_t code, void *data)
{
	struct grpc_call *call =
		nghttp2_session_get_stream_user_data(session, stream);

	(void)code;
	(void)data;
	if (call)
		call_free(call);
	return 0;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *bytes,
		       size_t len, int flags, void *data)
{
	struct client *c = data;
	ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)session;
	(void)flags;
	if (n >= 0) {
		c->stuck = 0;
		return n;
	}
	if (errno != EAGAIN && errno != EINTR)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (!c->stuck)
		c->stuck = now_ms();
	return NGHTTP2_ERR_WOULDBLOCK;
}

/* --- clients ---------------------------------------------------------------
 */

static void client_add(struct grpc *g, int fd)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, CLIENT_CALLS_MAX},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADERS_MAX},
	};
	struct client *c = xcalloc(1, sizeof(*c));

	*c = (struct client){
		.next = g->clients, .grpc = g, .fd = fd, .since = now_ms()};
	if (nghttp2_session_server_new2(&c->session, g->callbacks, c,
					g->options) != 0) {
		fd_close(&c->fd);
		free(c);
		return;
	}
	(void)nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
				      2);
	g->clients = c;
	g->n_clients++;
}

static void client_remove(struct client **at)
{
	struct client *c = *at;

	*at = c->next;
	for (struct grpc_call *call = c->calls, *next; call; call = next) {
		next = call->next;
		call_free(call);
	}
	nghttp2_session_del(c->session);
	fd_close(&c->fd);
	c->grpc->n_clients--;
	free(c);
}

static void take_clients(struct grpc *g, int listener)
{
	while (g->n_clients < CLIENTS_MAX) {
		int fd = accept4(listener, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		client_add(g, fd);
	}
}

static void read_client(struct client *c)
{
	uint8_t buf[CHUNK];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->is_over |= n <= 0 ||
		      nghttp2_session_mem_recv(c->session, buf, (size_t)n) < 0;
}

/* A call whose time is over, before it is whole or as its client said. */
static void end_slow_calls(struct client *c, int64_t now)
{
	struct grpc_call *next;

	for (struct grpc_call *call = c->calls; call; call = next) {
		next = call->next;
		c->is_over |=
			(!call->is_asked && now - call->since > REQUEST_MS) ||
			((grpc_call_queued(call) || call->is_finished) &&
			 now - call->moved > SEND_MS);
		if (call->is_finished || !call->deadline ||
		    now < call->deadline)
			continue;
		if (call->ended)
			call->ended(call->ended_data);
		grpc_call_finish(call, GRPC_DEADLINE_EXCEEDED,
				 "the time for it is over");
	}
}

static void end_slow_client(struct client *c, int64_t now)
{
	end_slow_calls(c, now);
	c->is_over |= (!c->has_greeted && now - c->since > REQUEST_MS) ||
		      (c->stuck && now - c->stuck > SEND_MS);
	if (!c->calls && c->has_greeted && now - c->since > IDLE_MS) {
		c->since = now;
		(void)nghttp2_session_terminate_session(c->session,
							NGHTTP2_NO_ERROR);
	}
}

/* --- the server ------------------------------------------------------------
 */

struct grpc *grpc_new(const int *listeners, size_t n,
		      const struct grpc_method *methods, void *data)
{
	struct grpc *g = xcalloc(1, sizeof(*g));

	*g = (struct grpc){
		.listeners = listeners,
		.n_listeners = n,
		.methods = methods,
		.data = data,
	};
	if (nghttp2_session_callbacks_new(&g->callbacks) != 0 ||
	    nghttp2_option_new(&g->options) != 0)
		abort();
	nghttp2_option_set_no_closed_streams(g->options, 1);
	nghttp2_session_callbacks_set_send_callback(g->callbacks, on_send);
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		g->callbacks, on_headers_begin);
	nghttp2_session_callbacks_set_on_header_callback(g->callbacks,
							 on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(g->callbacks,
								  on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(g->callbacks,
							     on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(g->callbacks,
							       on_stream_close);
	return g;
}

void grpc_add_fds(struct grpc *g, struct poll_set *set)
{
	g->generation++;
	g->listeners_at = set->n;
	g->is_listening = g->n_clients < CLIENTS_MAX;
	for (size_t i = 0; g->is_listening && i < g->n_listeners; i++)
		(void)poll_set_add(set, g->listeners[i], POLLIN);
	for (struct client *c = g->clients; c; c = c->next) {
		c->generation = g->generation;
		c->at = poll_set_add(
			set, c->fd, (short)(POLLIN | (c->stuck ? POLLOUT : 0)));
	}
}

void grpc_run(struct grpc *g, const struct poll_set *set)
{
	int64_t now = now_ms();

	for (size_t i = 0; g->is_listening && i < g->n_listeners; i++)
		if (set->v[g->listeners_at + i].revents)
			take_clients(g, g->listeners[i]);
	for (struct client *c = g->clients; c; c = c->next) {
		if (c->generation == g->generation &&
		    set->v[c->at].revents & (POLLIN | POLLHUP | POLLERR))
			read_client(c);
		end_slow_client(c, now);
	}
}

void grpc_flush(struct grpc *g)
{
	struct client **at = &g->clients;

	while (*at) {
		struct client *c = *at;

		if (!c->is_over)
			c->is_over = nghttp2_session_send(c->session) < 0 ||
				     (!nghttp2_session_want_read(c->session) &&
				      !nghttp2_session_want_write(c->session));
		if (c->is_over)
			client_remove(at);
		else
			at = &c->next;
	}
}

int grpc_timeout(const struct grpc *g)
{
	int64_t now = now_ms();
	int64_t ms = g->clients ? 1000 : INT_MAX;

	for (const struct client *c = g->clients; c; c = c->next)
		for (const struct grpc_call *call = c->calls; call;
		     call = call->next)
			if (call->deadline && !call->is_finished &&
			    call->deadline - now < ms)
				ms = call->deadline - now;
	return ms < 0 ? 0 : (int)ms;
}
