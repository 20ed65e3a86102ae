/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/test_hooks.h"
#include "cmd/rkt/app.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/app_files.h"
#include "stage0/pod.h"

struct opts {
	const char *app;
	const char *uuid_file;
};

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "name of the app within the pod (required)"},
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	{.name = NULL},
};

static int change(struct cmd_call *call, const struct pod *pod, uint32_t op,
		  struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_fd int lock = app_lock(pod, &pm, err);
	int r = lock < 0 ? lock : 0;

	/* A name that is none would be no request. */
	if (r == 0 && !pod_manifest_find_app(&pm, o->app))
		r = error_set(err, ENOENT, "the pod has no app %s", o->app);
	if (r == 0)
		r = app_ask(pod, op, o->app, 0, -EBADF, err);
	test_stop_at("app-changed");
	if (r == 0 && op == CONTROL_APP_REMOVE)
		r = app_files_remove(pod->fd, o->app, err);
	return r;
}

static int start(struct cmd_call *call, struct pod *pod, struct error *err)
{
	return change(call, pod, CONTROL_APP_START, err);
}

static int stop(struct cmd_call *call, struct pod *pod, struct error *err)
{
	return change(call, pod, CONTROL_APP_STOP, err);
}

static int remove_app(struct cmd_call *call, struct pod *pod, struct error *err)
{
	return change(call, pod, CONTROL_APP_REMOVE, err);
}

static int run(struct cmd_call *call, pod_work work)
{
	const struct opts *o = call->opts;

	if (!o->app)
		return cmd_usage(call, "must provide the app with --app=NAME");
	return pod_arg_only(call, o->uuid_file, work);
}

static int run_start(struct cmd_call *call)
{
	return run(call, start);
}

static int run_stop(struct cmd_call *call)
{
	return run(call, stop);
}

static int run_rm(struct cmd_call *call)
{
	return run(call, remove_app);
}

#define USAGE "--app=NAME --uuid-file=FILE | UUID"

const struct command cmd_app_start = {
	.name = "start",
	.summary = "Start an app of a mutable pod",
	.usage = USAGE,
	.words = CMD_WORDS_PODS,
	.description =
		"Starts an app that was added, was stopped or has ended, in a "
		"clean root file system; one that runs is left alone. If the "
		"pod is started again later, so is the app.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run_start,
};

const struct command cmd_app_stop = {
	.name = "stop",
	.summary = "Stop an app of a mutable pod",
	.usage = USAGE,
	.words = CMD_WORDS_PODS,
	.description =
		"Sends the app its stop signal (SIGTERM, unless its image says "
		"another one), 10 seconds later SIGKILL to what is left, and "
		"waits for its end. The pod and its other apps run on. One "
		"that does not run is left alone.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run_stop,
};

const struct command cmd_app_rm = {
	.name = "rm",
	.summary = "Remove an app from a mutable pod",
	.usage = USAGE,
	.words = CMD_WORDS_PODS,
	.description =
		"Stops the app if it runs, and removes it with its files and "
		"logs. Empty volumes stay with the pod.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run_rm,
};
