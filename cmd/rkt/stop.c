/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "cmd/rkt/pod_wait.h"
#include "stage0/pod.h"
#include "stage0/pod_gc.h"
#include "stage0/pod_stage1.h"
#include "stage0/stop.h"

#define KILL_WAITS 250 /* of 20 ms */
#define STOP_WAITS 500 /* of 20 ms: the start of a pod with slow volumes */

struct opts {
	bool force;
	int64_t wait; /* as pod_wait_parse() has it */
	const char *uuid_file;
	struct strv stopped; /* UUIDs of those to wait for */
};

static const struct option_row rows[] = {
	{.name = "force",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, force),
	 .help = "forced stopping: kill the pod at once"},
	{.name = "wait",
	 .kind = OPTION_CALL,
	 .parse = pod_wait_parse,
	 .implied = "true",
	 .shown = "false",
	 .offset = offsetof(struct opts, wait),
	 .help = "wait until the pods have exited, with an optional timeout "
		 "for each"},
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
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
	return r < 0 ? r : pod_clean(pod, false, call->rkt->libexec, err);
}

/* The supervisor ends, or does not listen yet: which, time tells. */
static int stop_or_kill(const struct cmd_call *call, struct pod *pod,
			struct error *err)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	const struct opts *o = call->opts;
	int r = 0;

	for (int i = 0; i < STOP_WAITS; i++) {
		r = o->force ? kill_pod(call, pod, err) : pod_stop(pod, err);
		if (r != -ESRCH && r != -EPIPE && r != -ECONNRESET)
			return r;
		if (pod_state(pod) != POD_STATE_RUNNING)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return r;
}

/* As the pod's stage1 wants it. */
static int stop_by_stage1(const struct cmd_call *call, struct pod *pod,
			  struct error *err)
{
	cleanup_pod_stage1 struct pod_stage1 stage1 = POD_STAGE1_INIT;
	const struct opts *o = call->opts;
	int r = pod_stage1_load(pod->fd, &stage1, err);

	if (r < 0)
		return r;
	if (pod_stage1_is_native(&stage1))
		return stop_or_kill(call, pod, err);
	return pod_stop_by_entrypoint(pod, &stage1, o->force,
				      call->rkt->libexec, err);
}

static int stop_pod(struct cmd_call *call, struct pod *pod, struct error *err)
{
	enum pod_state state = pod_state(pod);
	struct opts *o = call->opts;
	int r;

	if (state == POD_STATE_EXITED || state == POD_STATE_EXITED_GARBAGE ||
	    state == POD_STATE_EXITED_DELETING) {
		log_info("pod \"%s\" is already stopped", pod->uuid);
		return 0;
	}
	if (state != POD_STATE_RUNNING)
		return error_set(err, EINVAL, "pod \"%s\" is not running",
				 pod->uuid);
	r = stop_by_stage1(call, pod, err);
	if (r < 0)
		return r;
	printf("\"%s\"\n", pod->uuid);
	if (o->wait)
		strv_push(&o->stopped, pod->uuid);
	return 0;
}

/* One that is not there any more has been removed since. */
static int wait_for_end(const struct cmd_call *call, const char *uuid,
			struct error *err)
{
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_pod struct pod pod = POD_INIT;
	const struct opts *o = call->opts;
	int r = pods_open(&pods, call->rkt->dir, err);

	if (r < 0)
		return r;
	r = pod_open(&pods, uuid, &pod, err);
	if (r == 0)
		r = pod_wait_exited(&pod, o->wait, err);
	return r == -ENOENT ? 0 : r;
}

static int run(struct cmd_call *call)
{
	struct opts *o = call->opts;
	int failed = 0;
	int r = pod_arg_each(call, o->uuid_file, stop_pod, &failed);

	/* All are told to stop before the first is waited for. */
	for (size_t i = 0; i < o->stopped.n; i++) {
		struct error err = ERROR_INIT;

		if (wait_for_end(call, o->stopped.v[i], &err) < 0) {
			failed++;
			r = cmd_failure(call, &err, NULL);
		}
	}
	strv_release(&o->stopped);
	if (failed)
		log_error("failed to stop %d pod(s)", failed);
	return r;
}

const struct command cmd_stop = {
	.name = "stop",
	.summary = "Stop a pod",
	.usage = "[--force] [--wait=bool|timeout] --uuid-file=FILE | UUID ...",
	.words = CMD_WORDS_PODS,
	.description = "The apps get SIGTERM and some time; returns when the "
		       "stop has begun, or with --wait when the pods have "
		       "exited.",
	.flags = CMD_UUID_FILE_1,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
