/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "stage0/pod.h"
#include "stage0/pod_gc.h"

#define MINUTE (INT64_C(60) * 1000000000)

struct opts {
	int64_t grace;
	int64_t expire_prepared;
	bool mark_only;
};

static const struct option_row rows[] = {
	{.name = "grace-period",
	 .kind = OPTION_DURATION,
	 .shown = "30m0s",
	 .offset = offsetof(struct opts, grace),
	 .help = "duration to wait before discarding inactive pods from "
		 "garbage"},
	{.name = "expire-prepared",
	 .kind = OPTION_DURATION,
	 .shown = "24h0m0s",
	 .offset = offsetof(struct opts, expire_prepared),
	 .help = "duration to wait before expiring prepared pods"},
	{.name = "mark-only",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, mark_only),
	 .help = "only move exited and failed pods to garbage, remove "
		 "nothing"},
	{.name = NULL},
};

static void init(void *opts)
{
	struct opts *o = opts;

	o->grace = 30 * MINUTE;
	o->expire_prepared = 24 * 60 * MINUTE;
}

static void notice(const char *text)
{
	log_info("%s", text);
}

static void removed(const char *uuid)
{
	printf("Garbage collecting pod \"%s\"\n", uuid);
	(void)fflush(stdout);
}

static void failed(const char *uuid, const struct error *err)
{
	char what[96];

	(void)snprintf(what, sizeof(what), "pod %s", uuid);
	log_failure(err, what);
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	cleanup_pods struct pods pods = PODS_INIT;
	struct error err = ERROR_INIT;
	int r;

	if (call->argc > 0)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	r = pods_open(&pods, call->rkt->dir, &err);
	if (r == 0)
		r = pods_gc(&pods,
			    &(const struct pods_gc){
				    .libexec_dir = call->rkt->libexec,
				    .grace_ns = o->grace,
				    .expire_prepared_ns = o->expire_prepared,
				    .mark_only = o->mark_only,
				    .notice = notice,
				    .removed = removed,
				    .failed = failed,
			    },
			    &err);
	if (r < 0)
		log_failure(&err, NULL);
	return r == 0 ? 0 : RKT_EXIT_FAILURE;
}

const struct command cmd_gc = {
	.name = "gc",
	.summary = "Garbage collect rkt pods no longer in use",
	.usage = "[--grace-period=duration] [--expire-prepared=duration]",
	.description = "Exited pods are marked first and removed when they "
		       "have been marked for the grace period. Pods with a "
		       "name (--pod-name) are kept until `rkt rm`.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
