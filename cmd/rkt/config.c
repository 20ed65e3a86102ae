/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "aci/config_load.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/globals.h"
#include "stage0/pod_stage1.h"

struct opts {
	bool pretty;
};

static const struct option_row rows[] = {
	PRETTY_OPTION_ROW(struct opts, pretty),
	{.name = NULL},
};

static void init(void *opts)
{
	((struct opts *)opts)->pretty = true;
}

/* What nobody configured is shown as what counts then. */
static void add_defaults(const struct rkt *rkt, struct config *config)
{
	if (!config->data_dir)
		config->data_dir =
			xstrdup(rkt->is_user ? rkt->dir : GLOBALS_DEFAULT_DIR);
	if (!config->stage1_images_dir)
		config->stage1_images_dir = xstrdup(rkt->libexec);
	if (config->stage1_name || config->stage1_location)
		return;
	config->stage1_name =
		xasprintf(STAGE1_IMAGE_PREFIX "%s", stage1_native.name);
	config->stage1_version = xstrdup(RKT_VERSION);
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	const struct rkt *rkt = call->rkt;
	const struct config_dirs dirs = {rkt->system_config, rkt->local_config,
					 rkt->user_config};
	cleanup_config struct config config = CONFIG_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (call->argc > 0)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (config_load(&dirs, CONFIG_ALL, &config, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	add_defaults(rkt, &config);
	config_write(&config,
		     o->pretty ? JSON_PRETTY_STYLE : JSON_COMPACT_STYLE, &out);
	strbuf_addch(&out, '\n');
	return print_all(&out);
}

const struct command cmd_config = {
	.name = "config",
	.summary = "Print configuration for each stage in JSON format",
	.usage = "",
	.description =
		"What the *.json files in auth.d, paths.d and stage1.d of "
		"--system-config, --local-config and --user-config say "
		"together: later directories override earlier ones. "
		"Credentials are printed.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
