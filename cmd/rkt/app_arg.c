/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/app_arg.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "spec/pod_manifest.h"
#include "stage0/entrypoint.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"
#include "stage0/pod_stage1.h"
#include "stage0/prepare.h"

#define DEFAULT_COMMAND "/bin/bash"

int app_arg_choose(const struct cmd_call *call, const struct pod_manifest *pm,
		   const char *name, const char **ret, struct error *err)
{
	if (name) {
		if (!pod_manifest_find_app(pm, name))
			return error_set(err, ENOENT, "app \"%s\" not found",
					 name);
		*ret = name;
		return 0;
	}
	if (pm->n_apps == 1) {
		*ret = pm->apps[0].name;
		return 0;
	}
	log_error("pod contains multiple apps:");
	for (size_t i = 0; i < pm->n_apps; i++)
		log_error("\t%s", pm->apps[i].name);
	return error_set(err, EINVAL, "specify app using \"rkt %s --app= ...\"",
			 call->command->name);
}

int app_arg_wait_pid(const struct pod *pod, int64_t *ret, struct error *err)
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

static void add_command(const struct cmd_call *call, struct strv *argv)
{
	strv_push(argv, "--");
	for (int i = 1; i < call->argc; i++)
		if (i > 1 || strcmp(call->argv[i], "--") != 0)
			strv_push(argv, call->argv[i]);
	if (call->argc == 1) {
		log_error("no command specified, assuming \"" DEFAULT_COMMAND
			  "\"");
		strv_push(argv, DEFAULT_COMMAND);
	}
}

static int open_enter(const struct cmd_call *call, const struct pod *pod,
		      bool has_options, struct entrypoint *ret,
		      struct error *err)
{
	cleanup_pod_stage1 struct pod_stage1 stage1 = POD_STAGE1_INIT;
	int r = pod_stage1_load(pod->fd, &stage1, err);

	if (r == 0 && has_options)
		r = pod_stage1_want_native(pod->fd, err);
	return r < 0 ? r
		     : entrypoint_open(pod, &stage1, STAGE1_ENTER,
				       call->rkt->libexec, ret, err);
}

int app_arg_enter(const struct cmd_call *call, const struct pod *pod,
		  const char *name, const struct strv *options,
		  struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_entrypoint struct entrypoint ep = ENTRYPOINT_INIT;
	const char *app = NULL;
	int64_t pid = 0;
	int r = app_arg_wait_pid(pod, &pid, err);

	if (r == 0)
		r = pod_manifest_load(pod->fd, &pm, err);
	if (r == 0)
		r = app_arg_choose(call, &pm, name, &app, err);
	if (r == 0)
		r = open_enter(call, pod, options->n > 0, &ep, err);
	if (r < 0)
		return r;
	strv_pushf(&ep.argv, "--pid=%lld", (long long)pid);
	strv_pushf(&ep.argv, "--appname=%s", app);
	strv_append(&ep.argv, options);
	add_command(call, &ep.argv);
	return entrypoint_exec(pod, &ep, environ, err);
}
