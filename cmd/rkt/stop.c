/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/launch.h"
#include "stage0/pod.h"
#include "stage0/pod_gc.h"
#include "stage0/stop.h"

#define KILL_WAITS 250 /* of 20 ms */

struct opts {
	bool force;
	const char *uuid_file;
};

static const struct option_row rows[] = {
	{.name = "force",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, force),
	 .help = "forced stopping: kill the pod at once"},
	{.name = "uuid-file",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, uuid_file),
	 .help = "read the pod's UUID from this file"},
	{.name = NULL},
};

/* The dead supervisor cannot clean up any more: waits until the kernel has
 * killed the pod, and does it. */
static int kill_pod(const struct cmd_call *call, struct pod *pod,
		    struct error *err)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	int r = pod_kill(pod, err);

	for (int i = 0; r == 0 && i < KILL_WAITS; i++) {
		if (pod_state(pod) != POD_STATE_RUNNING)
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (r == 0)
		r = pod_lock(pod, err);
	/* Started or collected by somebody else: no longer ours. */
	if (r == -EBUSY || r == -ESTALE)
		return 0;
	return r < 0 ? r : pod_clean(pod, call->rkt->libexec, err);
}

static int stop_pod(const struct cmd_call *call, struct pod *pod,
		    struct error *err)
{
	const struct opts *o = call->opts;
	enum pod_state state = pod_state(pod);
	int r;

	if (state == POD_STATE_EXITED || state == POD_STATE_EXITED_GARBAGE ||
	    state == POD_STATE_EXITED_DELETING) {
		log_info("pod \"%s\" is already stopped", pod->uuid);
		return 0;
	}
	if (state != POD_STATE_RUNNING)
		return error_set(err, EINVAL, "pod \"%s\" is not running",
				 pod->uuid);
	r = o->force ? kill_pod(call, pod, err) : pod_stop(pod, err);
	if (r == 0)
		printf("\"%s\"\n", pod->uuid);
	return r;
}

static int stop_word(const struct cmd_call *call, const struct pods *pods,
		     const char *word)
{
	cleanup_pod struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;
	int r = pod_open(pods, word, &pod, &err);

	if (r == 0)
		r = stop_pod(call, &pod, &err);
	if (r < 0)
		log_failure(&err, NULL);
	return r < 0;
}

static int stop_from_file(const struct cmd_call *call, const struct pods *pods)
{
	const struct opts *o = call->opts;
	cleanup_pod struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;
	int r = pod_from_args(call, pods, o->uuid_file, &pod);

	if (r > 0)
		return r;
	if (stop_pod(call, &pod, &err) == 0)
		return 0;
	log_failure(&err, NULL);
	log_error("failed to stop 1 pod(s)");
	return RKT_EXIT_FAILURE;
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	cleanup_pods struct pods pods = PODS_INIT;
	struct error err = ERROR_INIT;
	int failed = 0;

	if (pods_open(&pods, call->rkt->dir, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	if (o->uuid_file)
		return stop_from_file(call, &pods);
	if (call->argc == 0)
		return cmd_usage(call, NULL);
	for (int i = 0; i < call->argc; i++)
		failed += stop_word(call, &pods, call->argv[i]);
	if (failed == 0)
		return 0;
	log_error("failed to stop %d pod(s)", failed);
	return RKT_EXIT_FAILURE;
}

const struct command cmd_stop = {
	.name = "stop",
	.summary = "Stop a pod",
	.usage = "[--force] --uuid-file=FILE | UUID ...",
	.description = "The apps get SIGTERM and some time; returns when the "
		       "stop has begun: `rkt status --wait` waits for the "
		       "end.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
