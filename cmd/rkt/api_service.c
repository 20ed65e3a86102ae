/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/globals.h"
#include "spec/api.h"

struct opts {
	const char *listen;
	const char *metrics_listen;
};

static const struct option_row rows[] = {
	{.name = "listen",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, listen),
	 .shown = API_LISTEN,
	 .help = "address of the gRPC interface: localhost:PORT, IP:PORT, "
		 ":PORT or unix:/PATH"},
	{.name = "metrics-listen",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, metrics_listen),
	 .help = "address of GET /metrics, for Prometheus; none if it is "
		 "empty"},
	{.name = NULL},
};

static void init(void *opts)
{
	struct opts *o = opts;

	o->listen = API_LISTEN;
	o->metrics_listen = "";
}

/* GetInfo tells what the service was started with. */
static void add_globals(const struct rkt *rkt, struct strv *args)
{
	cleanup_strbuf struct strbuf insecure = STRBUF_INIT;

	globals_insecure_text(rkt->insecure, &insecure);
	strv_pushf(args, "--dir=%s", rkt->dir);
	strv_pushf(args, "--system-config=%s", rkt->system_config);
	strv_pushf(args, "--local-config=%s", rkt->local_config);
	if (rkt->user_config)
		strv_pushf(args, "--user-config=%s", rkt->user_config);
	strv_pushf(args, "--insecure-options=%s", insecure.buf);
	if (rkt->trust_keys_from_https)
		strv_push(args, "--trust-keys-from-https");
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	cleanup_free char *path = xasprintf("%s/rkt-api", call->rkt->libexec);
	cleanup_strv struct strv args = STRV_INIT;
	struct error err = ERROR_INIT;

	if (call->argc > 0)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	strv_push(&args, "rkt-api");
	add_globals(call->rkt, &args);
	strv_pushf(&args, "--listen=%s", o->listen);
	strv_pushf(&args, "--metrics-listen=%s", o->metrics_listen);
	(void)execv(path, args.v);
	(void)error_sys(&err, errno, "execute %s", path);
	log_failure(&err, NULL);
	return RKT_EXIT_FAILURE;
}

const struct command cmd_api_service = {
	.name = "api-service",
	.summary = "Run API service",
	.usage = "[--listen=localhost:15441] [--metrics-listen=ADDRESS]",
	.description =
		"Answers rkt's gRPC interface v1alpha.PublicAPI: what pods and "
		"images there are, events as they happen, and logs. It is for "
		"reading only. Needs no root: the data directory is read as "
		"a member of its group. Stays in the foreground.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
