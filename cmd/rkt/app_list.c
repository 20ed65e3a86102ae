/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/strbuf.h"
#include "base/table.h"
#include "cmd/rkt/app.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/pod_arg.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"

struct opts {
	bool no_legend;
	const char *uuid_file;
};

static const struct option_row rows[] = {
	{.name = "no-legend",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, no_legend),
	 .help = "suppress a legend with the list"},
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	{.name = NULL},
};

static int list(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	cleanup_table struct table table = TABLE_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	int r = pod_info_load(pod, &info, err);

	if (r < 0)
		return r;
	if (!o->no_legend) {
		table_row(&table);
		table_add(&table, "NAME");
		table_add(&table, "STATE");
	}
	for (size_t i = 0; i < info.manifest.n_apps; i++) {
		table_row(&table);
		table_add(&table, info.apps[i].name);
		table_add(&table, info.apps[i].state);
	}
	table_format(&table, &out);
	return print_all(&out);
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;

	/* rkt's exit code. */
	return pod_arg_only(call, o->uuid_file, list) ? 1 : 0;
}

const struct command cmd_app_list = {
	.name = "list",
	.summary = "List the apps of a pod",
	.usage = "[--no-legend] --uuid-file=FILE | UUID",
	.words = CMD_WORDS_PODS,
	.description = "Of an immutable pod, too. Exits with 1 on failure.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
