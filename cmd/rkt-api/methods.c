/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/methods.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt-api/service.h"
#include "spec/api.h"
#include "spec/protobuf.h"

static const struct {
	int code;
	enum grpc_status status;
} statuses[] = {
	{ENOENT, GRPC_NOT_FOUND},	  {EINVAL, GRPC_INVALID_ARGUMENT},
	{EBADMSG, GRPC_INVALID_ARGUMENT}, {E2BIG, GRPC_INVALID_ARGUMENT},
	{EBUSY, GRPC_UNAVAILABLE},	  {EFBIG, GRPC_RESOURCE_EXHAUSTED},
};

void call_fail(struct grpc_call *call, int r, const struct error *err)
{
	enum grpc_status status = GRPC_INTERNAL;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
		if (statuses[i].code == -r)
			status = statuses[i].status;
	if (status == GRPC_INTERNAL)
		log_failure(err, NULL);
	grpc_call_finish(call, status, error_innermost(err));
}

static void add_flags(const struct service *s, struct strbuf *out)
{
	size_t mark = protobuf_open(out, 4);

	protobuf_add_text(out, 1, s->dir);
	protobuf_add_text(out, 2, s->system_config);
	protobuf_add_text(out, 3, s->local_config);
	protobuf_add_text(out, 4, s->user_config);
	protobuf_add_text(out, 5, s->insecure);
	protobuf_add_uint(out, 6, s->trust_keys_from_https);
	protobuf_close(out, mark);
}

static void get_info(void *data, struct grpc_call *call, const char *request,
		     size_t len)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	size_t mark = protobuf_open(&out, 1);

	(void)request;
	(void)len;
	protobuf_add_text(&out, 1, RKT_VERSION);
	protobuf_add_text(&out, 2, RKT_APPC_VERSION);
	protobuf_add_text(&out, 3, API_VERSION);
	add_flags(data, &out);
	protobuf_close(&out, mark);
	grpc_call_send(call, &out);
	grpc_call_finish(call, GRPC_OK, NULL);
}

const struct grpc_method methods[] = {
	{"/v1alpha.PublicAPI/GetInfo", get_info},
	{"/v1alpha.PublicAPI/ListPods", list_pods},
	{"/v1alpha.PublicAPI/InspectPod", inspect_pod},
	{"/v1alpha.PublicAPI/ListImages", list_images},
	{"/v1alpha.PublicAPI/InspectImage", inspect_image},
	{"/v1alpha.PublicAPI/ListenEvents", listen_events},
	{"/v1alpha.PublicAPI/GetLogs", get_logs},
	{0},
};

void call_answer(struct grpc_call *call, int r, const struct strbuf *out,
		 const struct error *err)
{
	if (r < 0) {
		call_fail(call, r, err);
		return;
	}
	grpc_call_send(call, out);
	grpc_call_finish(call, GRPC_OK, NULL);
}

void call_inspect(void *data, struct grpc_call *call, const char *request,
		  size_t len,
		  int (*inspect)(const struct service *s, const char *id,
				 struct strbuf *out, struct error *err))
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	cleanup_free char *id = NULL;
	struct error err = ERROR_INIT;
	int r = api_inspect_parse(request, len, &id, &err);

	if (r == 0)
		r = inspect(data, id, &out, &err);
	call_answer(call, r, &out, &err);
}
