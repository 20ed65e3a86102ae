/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/pod_arg.h"

#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "stage0/pod.h"

#define UUID_FILE_MAX 4096

static int work_on(struct cmd_call *call, const struct pods *pods,
		   const char *word, pod_work work)
{
	cleanup_pod struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;
	int r = pod_open(pods, word, &pod, &err);

	if (r < 0)
		return cmd_failure(call, &err, "problem retrieving pod");
	r = work(call, &pod, &err);
	return r >= 0 ? r : cmd_failure(call, &err, NULL);
}

static int open_pods(const struct cmd_call *call, struct pods *ret)
{
	struct error err = ERROR_INIT;

	if (pods_open(ret, call->rkt->dir, &err) == 0)
		return 0;
	return cmd_failure(call, &err, NULL);
}

/* 0, or the exit code. */
static int read_uuid_file(const struct cmd_call *call, const char *path,
			  struct strbuf *ret)
{
	struct error err = ERROR_INIT;
	size_t skip;

	if (read_file_path(path, UUID_FILE_MAX, ret, &err) < 0) {
		log_failure(&err, "unable to resolve UUID from file");
		return call->command->flags & CMD_UUID_FILE_1
			       ? 1
			       : RKT_EXIT_FAILURE;
	}
	while (ret->len > 0 && strchr(" \t\r\n", ret->buf[ret->len - 1]))
		strbuf_setlen(ret, ret->len - 1);
	skip = strspn(ret->buf, " \t\r\n");
	if (skip > 0) {
		memmove(ret->buf, ret->buf + skip, ret->len - skip);
		strbuf_setlen(ret, ret->len - skip);
	}
	return 0;
}

int pod_arg_word(struct cmd_call *call, const char *word, pod_work work)
{
	cleanup_pods struct pods pods = PODS_INIT;
	int r = open_pods(call, &pods);

	return r ? r : work_on(call, &pods, word, work);
}

int pod_arg_only(struct cmd_call *call, const char *file, pod_work work)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	if (call->argc != (file ? 0 : 1))
		return cmd_usage(call,
				 "must provide the UUID or name of one pod");
	if (!file)
		return pod_arg_word(call, call->argv[0], work);
	r = read_uuid_file(call, file, &text);
	return r ? r : pod_arg_word(call, text.buf, work);
}

int pod_arg_each(struct cmd_call *call, const char *file, pod_work work,
		 int *ret_failed)
{
	cleanup_pods struct pods pods = PODS_INIT;
	int r;

	*ret_failed = 0;
	if ((call->argc > 0) == (file != NULL))
		return cmd_usage(call,
				 "must provide the UUID or name of at least "
				 "one pod");
	if (file) {
		r = pod_arg_only(call, file, work);
		*ret_failed = r != 0;
		return r;
	}
	r = open_pods(call, &pods);
	for (int i = 0; r == 0 && i < call->argc; i++)
		*ret_failed += work_on(call, &pods, call->argv[i], work) != 0;
	return *ret_failed ? RKT_EXIT_FAILURE : r;
}
