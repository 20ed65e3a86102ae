/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

struct opts {
	bool pretty;
	const char *uuid_file;
};

static const struct option_row rows[] = {
	PRETTY_OPTION_ROW(struct opts, pretty),
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	{.name = NULL},
};

static void init(void *opts)
{
	((struct opts *)opts)->pretty = true;
}

static int print_manifest(struct cmd_call *call, struct pod *pod,
			  struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	int r = pod_manifest_load_committed(pod->fd, &pm, err);

	if (r < 0)
		return r;
	pod_manifest_write(
		&pm, o->pretty ? JSON_PRETTY_STYLE : JSON_COMPACT_STYLE, &out);
	strbuf_addch(&out, '\n');
	return print_all(&out);
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;

	return pod_arg_only(call, o->uuid_file, print_manifest);
}

const struct command cmd_cat_manifest = {
	.name = "cat-manifest",
	.summary = "Inspect and print the pod manifest",
	.usage = "--uuid-file=FILE | UUID",
	.words = CMD_WORDS_PODS,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
