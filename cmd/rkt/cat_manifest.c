/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/launch.h"
#include "spec/pod_manifest.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

struct opts {
	bool pretty;
	const char *uuid_file;
};

static const struct option_row rows[] = {
	{.name = "pretty-print",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .shown = "true",
	 .offset = offsetof(struct opts, pretty),
	 .help = "apply indent to format the output"},
	{.name = "uuid-file",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, uuid_file),
	 .help = "read the pod's UUID from this file"},
	{.name = NULL},
};

static void init(void *opts)
{
	((struct opts *)opts)->pretty = true;
}

static int print_manifest(const struct opts *o, const struct pod *pod,
			  struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	int r = pod_manifest_load(pod->fd, &pm, err);

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
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_pod struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;
	int r = pods_open(&pods, call->rkt->dir, &err);

	if (r == 0) {
		r = pod_from_args(call, &pods, o->uuid_file, &pod);
		if (r > 0)
			return r;
		r = print_manifest(o, &pod, &err);
	}
	if (r < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return r;
}

const struct command cmd_cat_manifest = {
	.name = "cat-manifest",
	.summary = "Inspect and print the pod manifest",
	.usage = "--uuid-file=FILE | UUID",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
