/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/entrypoint.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"
#include "stage0/prepare.h"

#define DEFAULT_COMMAND "/bin/bash"

struct opts {
	const char *app;
};

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "name of the app to enter within the specified pod"},
	{.name = NULL},
};

static int choose_app(const struct opts *o, const struct pod_manifest *pm,
		      const char **ret, struct error *err)
{
	if (o->app) {
		if (!pod_manifest_find_app(pm, o->app))
			return error_set(err, ENOENT, "app \"%s\" not found",
					 o->app);
		*ret = o->app;
		return 0;
	}
	if (pm->n_apps == 1) {
		*ret = pm->apps[0].name;
		return 0;
	}
	log_error("pod contains multiple apps:");
	for (size_t i = 0; i < pm->n_apps; i++)
		log_error("\t%s", pm->apps[i].name);
	return error_set(err, EINVAL,
			 "specify app using \"rkt enter --app= ...\"");
}

/* The pod may be just starting: waits for its pid, or its end. */
static int wait_pid(const struct pod *pod, int64_t *ret, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (;;) {
		int r;

		if (pod_state(pod) != POD_STATE_RUNNING)
			return error_set(err, ESRCH,
					 "pod \"%s\" isn't currently running",
					 pod->uuid);
		r = pod_pid(pod, ret, err);
		if (r != -ENOENT)
			return r;
		(void)nanosleep(&pause, NULL);
	}
}

static int enter(struct cmd_call *call, struct pod *pod, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_fd int exec_fd = -EBADF;
	const char *app = NULL;
	int64_t pid = 0;
	int r = wait_pid(pod, &pid, err);

	if (r == 0)
		r = pod_manifest_load(pod->fd, &pm, err);
	if (r == 0)
		r = choose_app(call->opts, &pm, &app, err);
	if (r < 0)
		return r;
	strv_push(&argv, "stage1");
	strv_push(&argv, "enter");
	strv_pushf(&argv, "--pid=%lld", (long long)pid);
	strv_pushf(&argv, "--appname=%s", app);
	strv_push(&argv, "--");
	for (int i = 1; i < call->argc; i++)
		if (i > 1 || strcmp(call->argv[i], "--") != 0)
			strv_push(&argv, call->argv[i]);
	if (call->argc == 1) {
		log_error("no command specified, assuming \"" DEFAULT_COMMAND
			  "\"");
		strv_push(&argv, DEFAULT_COMMAND);
	}
	exec_fd = entrypoint_open(call->rkt->libexec, err);
	if (exec_fd < 0)
		return exec_fd;
	return entrypoint_exec(pod, exec_fd, argv.v, environ, err);
}

static int run(struct cmd_call *call)
{
	if (call->argc == 0)
		return cmd_usage(call,
				 "must provide the UUID or name of one pod");
	return pod_arg_word(call, call->argv[0], enter);
}

const struct command cmd_enter = {
	.name = "enter",
	.summary = "Enter the namespaces of an app within a rkt pod",
	.usage = "[--app=APPNAME] UUID [CMD [ARGS ...]]",
	.words = CMD_WORDS_PODS,
	.description = "The command runs as root of the pod, within the "
		       "limits, capabilities and system call filter of the "
		       "app.",
	.flags = CMD_ROOT | CMD_NON_INTERSPERSED,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
