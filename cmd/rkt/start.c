/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/error.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/launch.h"
#include "cmd/rkt/pod_arg.h"
#include "stage0/pod.h"
#include "stage0/private_users.h"
#include "stage0/run.h"

struct opts {
	bool detach;
};

static const struct option_row rows[] = {
	{.name = "detach",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, detach),
	 .help = "print the pod's UUID once it runs and leave it in the "
		 "background"},
	{.name = NULL},
};

static int claim(struct pod *pod, struct error *err)
{
	enum pod_state state;
	int r = pod_lock(pod, err);

	if (r == 0 && (pod->dir == POD_RUN || pod->dir == POD_EXITED_GARBAGE))
		return 0;
	state = pod_state(pod);
	if (r < 0 && r != -EBUSY)
		return r;
	if (pod->dir == POD_PREPARED)
		return error_set(err, EINVAL,
				 "pod \"%s\" never ran: use rkt run-prepared",
				 pod->uuid);
	return error_set(err, EBUSY, "pod \"%s\" is %s", pod->uuid,
			 pod_state_text(state));
}

static int start(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	cleanup_strv struct strv args = STRV_INIT;
	int r = claim(pod, err);

	if (r == 0)
		r = pod_run_args_load(pod->fd, &args, err);
	if (r == 0)
		r = private_users_claim(pod, err);
	if (r == 0)
		r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);
	if (r < 0)
		return r;
	return launch_again(call, &im, pod, &args, o->detach);
}

static int run(struct cmd_call *call)
{
	return pod_arg_only(call, NULL, start);
}

const struct command cmd_start = {
	.name = "start",
	.summary = "Start an exited pod again",
	.usage = "[--detach] UUID",
	.words = CMD_WORDS_PODS,
	.description = "The pod runs as it did before: same volumes, networks "
		       "and arguments, each app in its last committed "
		       "generation.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
