/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_GRPC_H
#define CMD_RKT_API_GRPC_H

/*
 * The server side of gRPC over HTTP/2 without TLS (nghttp2; the framing is
 * github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): calls with one
 * message as request and any number of messages as answer, one thread.
 * Bounded are clients, calls, bytes of a request and of what waits to be
 * sent, and the time of a request, of an answer nobody takes and of a
 * connection without calls.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/rkt-api/poll_set.h"

struct error;
struct grpc;
struct grpc_call;
struct strbuf;

enum grpc_status {
	GRPC_OK = 0,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
};

struct grpc_method {
	const char *path; /* "/PACKAGE.SERVICE/METHOD" */
	/* Answers with grpc_call_send() and grpc_call_finish(), now or later.
	 */
	void (*run)(void *data, struct grpc_call *call, const char *request,
		    size_t len);
};

/* LISTENERS (borrowed) listen; METHODS end with a NULL path. */
struct grpc *grpc_new(const int *listeners, size_t n,
		      const struct grpc_method *methods, void *data);

void grpc_add_fds(struct grpc *g, struct poll_set *set);
/* Takes clients and requests; ends what is too slow. */
void grpc_run(struct grpc *g, const struct poll_set *set);
/* Sends what can be sent: before each wait. */
void grpc_flush(struct grpc *g);
/* Milliseconds until grpc_run() has something to do without a descriptor. */
int grpc_timeout(const struct grpc *g);

/* --- calls -----------------------------------------------------------------
 */

/* The client is told that its call is served, before the first message. */
void grpc_call_begin(struct grpc_call *call);
void grpc_call_send(struct grpc_call *call, const struct strbuf *message);
/* MESSAGE may be NULL.  CALL is not to be used any more. */
void grpc_call_finish(struct grpc_call *call, enum grpc_status status,
		      const char *message);
/* Bytes that wait to be sent. */
size_t grpc_call_queued(const struct grpc_call *call);
/* ENDED is called if the client ends the call, or its time is over: CALL is
 * not to be used then any more. */
void grpc_call_on_end(struct grpc_call *call, void (*ended)(void *data),
		      void *data);

#endif
