/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/launch.h"
#include "stage0/pod.h"
#include "stage0/pod_gc.h"

struct opts {
	const char *uuid_file;
};

static const struct option_row rows[] = {
	{.name = "uuid-file",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, uuid_file),
	 .help = "read the pod's UUID from this file"},
	{.name = NULL},
};

static int remove_pod(const struct cmd_call *call, struct pod *pod,
		      struct error *err)
{
	char uuid[UUID_TEXT_LEN + 1];
	int r = pod_lock(pod, err);

	if (r == -EBUSY)
		return error_set(err, EBUSY, "pod \"%s\" is currently %s",
				 pod->uuid, pod_state_text(pod_state(pod)));
	(void)snprintf(uuid, sizeof(uuid), "%s", pod->uuid);
	if (r == 0)
		r = pod_delete(pod, call->rkt->libexec, err);
	if (r == 0)
		printf("\"%s\"\n", uuid);
	return r;
}

/* Returns 1 if it failed, with the reason printed. */
static int remove_word(const struct cmd_call *call, const struct pods *pods,
		       const char *word)
{
	cleanup_pod struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;
	int r = pod_open(pods, word, &pod, &err);

	if (r == 0)
		r = remove_pod(call, &pod, &err);
	if (r < 0)
		log_failure(&err, NULL);
	return r < 0;
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
	if (o->uuid_file) {
		cleanup_pod struct pod pod = POD_INIT;
		int r = pod_from_args(call, &pods, o->uuid_file, &pod);

		if (r > 0)
			return r;
		failed = remove_pod(call, &pod, &err) < 0;
		if (failed)
			log_failure(&err, NULL);
	} else if (call->argc == 0) {
		return cmd_usage(call, NULL);
	}
	for (int i = 0; i < call->argc; i++)
		failed += remove_word(call, &pods, call->argv[i]);
	if (failed == 0)
		return 0;
	log_error("failed to remove one or more pods");
	return RKT_EXIT_FAILURE;
}

const struct command cmd_rm = {
	.name = "rm",
	.summary = "Remove all files and resources associated with an exited "
		   "pod",
	.usage = "--uuid-file=FILE | UUID ...",
	.description = "Unlike gc, rm allows users to remove specific pods.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
