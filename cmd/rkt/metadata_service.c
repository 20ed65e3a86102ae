/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/globals.h"
#include "spec/metadata.h"

struct opts {
	int64_t port;
};

static const struct option_row rows[] = {
	{.name = "listen-port",
	 .kind = OPTION_INT,
	 .shown = "18112",
	 .offset = offsetof(struct opts, port),
	 .help = "port pods ask it at, on every address of the host"},
	{.name = NULL},
};

static void init(void *opts)
{
	((struct opts *)opts)->port = METADATA_PORT;
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	cleanup_free char *path =
		xasprintf("%s/rkt-metadata", call->rkt->libexec);
	char port[16];
	struct error err = ERROR_INIT;

	if (call->argc > 0)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (o->port < 1 || o->port > UINT16_MAX)
		return cmd_usage(call, "--listen-port must be 1 to 65535");
	(void)snprintf(port, sizeof(port), "%d", (int)o->port);
	(void)execl(path, "rkt-metadata", port, (char *)NULL);
	(void)error_sys(&err, errno, "execute %s", path);
	log_failure(&err, NULL);
	return RKT_EXIT_FAILURE;
}

const struct command cmd_metadata_service = {
	.name = "metadata-service",
	.summary = "Run metadata service",
	.usage = "[--listen-port=PORT]",
	.description =
		"Answers what apps ask at AC_METADATA_URL: manifests, "
		"annotations, UUID, and signatures of the pod's identity. "
		"Pods started with --mds-register have that variable. Stays "
		"in the foreground.",
	.flags = CMD_ROOT | CMD_HOST_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
