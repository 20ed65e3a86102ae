/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "stage0/pod.h"
#include "stage0/pod_gc.h"

struct opts {
	const char *uuid_file;
};

static const struct option_row rows[] = {
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	{.name = NULL},
};

static int remove_pod(struct cmd_call *call, struct pod *pod, struct error *err)
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

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	int failed = 0;
	int r = pod_arg_each(call, o->uuid_file, remove_pod, &failed);

	if (failed)
		log_error("failed to remove one or more pods");
	return r;
}

const struct command cmd_rm = {
	.name = "rm",
	.summary = "Remove all files and resources associated with an exited "
		   "pod",
	.usage = "--uuid-file=FILE | UUID ...",
	.words = CMD_WORDS_PODS,
	.description = "Unlike gc, rm allows users to remove specific pods.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
