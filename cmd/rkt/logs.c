/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/logs.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

/* How long the end of a pod may go unnoticed; a new line is seen at once. */
#define WAIT_MS 200

struct opts {
	bool follow;
	const char *app;
	const char *uuid_file;
};

static const struct option_row rows[] = {
	{.name = "follow",
	 .letter = 'f',
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, follow),
	 .help = "go on with what the apps print until the pod exits"},
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "only the log of this app"},
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	{.name = NULL},
};

static int list_apps(const struct pod *pod, const char *only, struct strv *ret,
		     struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = pod_manifest_load(pod->fd, &pm, err);

	if (r < 0)
		return r;
	if (only && !pod_manifest_find_app(&pm, only))
		return error_set(err, ENOENT, "pod %s has no app %s", pod->uuid,
				 only);
	for (size_t i = 0; i < pm.n_apps; i++)
		if (!only || pod_manifest_find_app(&pm, only) == &pm.apps[i])
			strv_push(ret, pm.apps[i].name);
	return 0;
}

/* Everything there is now. */
static int print_rest(struct logs *logs, struct error *err)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	int r;

	do {
		strbuf_reset(&out);
		r = logs_read(logs, &out, err);
		(void)fwrite(out.buf, 1, out.len, stdout);
		if (stdout_flush(err) < 0)
			return -EIO;
	} while (r == 0 && out.len > 0);
	return r;
}

static int print_logs(const struct opts *o, struct pod *pod, struct logs *logs,
		      struct error *err)
{
	bool running = o->follow;
	int r = print_rest(logs, err);

	while (running && r == 0) {
		/* Looked at before the last reading, so nothing is missed. */
		running = pod_state(pod) == POD_STATE_RUNNING;
		r = running ? logs_wait(logs, WAIT_MS, err) : 0;
		if (r == 0)
			r = print_rest(logs, err);
	}
	return r;
}

static int show_logs(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_strv struct strv apps = STRV_INIT;
	struct logs *logs = NULL;
	int r = list_apps(pod, o->app, &apps, err);

	if (r == 0)
		r = logs_open(pod, &apps, &logs, err);
	if (r < 0)
		return r;
	r = print_logs(o, pod, logs, err);
	logs_free(logs);
	return r;
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;

	return pod_arg_only(call, o->uuid_file, show_logs);
}

const struct command cmd_logs = {
	.name = "logs",
	.summary = "Show what the apps of a pod printed",
	.usage = "[-f] [--app=NAME] --uuid-file=FILE | UUID",
	.words = CMD_WORDS_PODS,
	.description = "Lines of several apps are shown in the order of their "
		       "times.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
