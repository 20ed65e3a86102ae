/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/error.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/launch.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"
#include "stage0/private_users.h"
#include "stage0/run.h"

struct opts {
	struct launch_opts launch;
};

static const struct option_row rows[] = {
	INTERACTIVE_OPTION_ROW(struct opts, launch),
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {launch_rows, NULL};

static int claim(struct pod *pod, struct error *err)
{
	int r = 0;

	if (pod->dir != POD_PREPARED)
		return error_set(err, EINVAL, "pod \"%s\" is not prepared",
				 pod->uuid);
	r = pod_lock(pod, err);
	if (r < 0)
		return error_wrap(err, r, "pod \"%s\" is not prepared",
				  pod->uuid);
	return 0;
}

static int run_prepared(struct cmd_call *call, struct pod *pod,
			struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_launch struct launch launch = {0};
	cleanup_pod_trees struct pod_trees trees = POD_TREES_INIT;
	int r = claim(pod, err);

	if (r == 0)
		r = pod_manifest_load(pod->fd, &pm, err);
	if (r == 0)
		r = launch_check_stage1(pod, &pm, o->launch.detach, err);
	if (r == 0)
		r = launch_make(call, &o->launch, &pm, &launch, err);
	if (r == 0)
		r = private_users_arg(pod, &launch.args, err);
	if (r == 0)
		r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);
	if (r == 0)
		r = pod_trees_open(pod->fd, &pm, &im.trees, &trees, err);
	if (r == 0)
		r = launch_save(pod, &launch, err);
	if (r == 0)
		r = pod_move(pod, POD_RUN, false, err);
	if (r < 0)
		return r;
	return launch_pod(call, pod, &launch.args, &trees, launch.detach);
}

static int run(struct cmd_call *call)
{
	return pod_arg_only(call, NULL, run_prepared);
}

const struct command cmd_run_prepared = {
	.name = "run-prepared",
	.summary = "Run a prepared application pod in rkt",
	.usage = "[flags] UUID",
	.words = CMD_WORDS_PODS,
	.description = "UUID must have been acquired via `rkt prepare`.",
	.flags = CMD_ROOT,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
