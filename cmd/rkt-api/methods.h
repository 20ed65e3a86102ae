/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_METHODS_H
#define CMD_RKT_API_METHODS_H

#include "cmd/rkt-api/grpc.h"

struct error;
struct service;
struct strbuf;

/* v1alpha.PublicAPI; their data is a struct service. */
extern const struct grpc_method methods[];

/* A call that failed with R and ERR. */
void call_fail(struct grpc_call *call, int r, const struct error *err);

/* --- in modules of their own -----------------------------------------------
 */

void list_pods(void *data, struct grpc_call *call, const char *request,
	       size_t len);
void inspect_pod(void *data, struct grpc_call *call, const char *request,
		 size_t len);
void list_images(void *data, struct grpc_call *call, const char *request,
		 size_t len);
void inspect_image(void *data, struct grpc_call *call, const char *request,
		   size_t len);
void listen_events(void *data, struct grpc_call *call, const char *request,
		   size_t len);
void get_logs(void *data, struct grpc_call *call, const char *request,
	      size_t len);

/* Ends CALL with the one message OUT, or with R < 0 as call_fail() does. */
void call_answer(struct grpc_call *call, int r, const struct strbuf *out,
		 const struct error *err);
/* Ends CALL, whose request is an ID, with what INSPECT makes of that. */
void call_inspect(void *data, struct grpc_call *call, const char *request,
		  size_t len,
		  int (*inspect)(const struct service *s, const char *id,
				 struct strbuf *out, struct error *err));

#endif
