/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/app.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cmd/rkt/cmd.h"
#include "spec/pod_manifest.h"
#include "stage0/app_files.h"
#include "stage0/control.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"
#include "stage0/prepare.h"
#include "stage0/update.h"

static int check_running(const struct pod *pod, struct error *err)
{
	if (pod_state(pod) != POD_STATE_RUNNING)
		return error_set(err, ESRCH,
				 "pod \"%s\" isn't currently running",
				 pod->uuid);
	if (!pod_is_ready(pod))
		return error_set(err, ESRCH,
				 "supervisor for pod \"%s\" is not yet ready",
				 pod->uuid);
	return 0;
}

static int check_mutable(const struct pod *pod, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = pod_manifest_load(pod->fd, &pm, err);

	if (r < 0 || pod_manifest_is_mutable(&pm))
		return r;
	return error_set(err, EPERM,
			 "immutable pod: apps are added only to a pod of `rkt "
			 "app sandbox`");
}

static int ask(const struct pod *pod, const struct control_request *request,
	       int fd, struct error *err)
{
	struct control_reply reply;
	cleanup_fd int conn = control_connect(pod->fd, err);
	int r = conn < 0 ? conn : control_send(conn, request, fd, err);

	if (r == 0)
		r = control_receive(conn, &reply, err);
	if (r == 0 && reply.kind != CONTROL_DONE)
		r = error_set(err, EREMOTEIO, "%s", reply.text);
	return r;
}

int app_lock(const struct pod *pod, struct pod_manifest *pm, struct error *err)
{
	/* What a killed command asked for has been done when this is
	 * answered: requests are served in turn. */
	const struct control_request status = {.op = CONTROL_STATUS};
	cleanup_fd int lock = -EBADF;
	int r = check_running(pod, err);

	if (r == 0)
		r = check_mutable(pod, err);
	if (r < 0)
		return r;
	lock = update_lock_wait(pod->fd, err);
	if (lock < 0)
		return lock;
	r = ask(pod, &status, -EBADF, err);
	if (r == 0)
		r = pod_manifest_load_committed(pod->fd, pm, err);
	if (r == 0)
		r = app_files_sweep(pod->fd, pm, err);
	return r < 0 ? r : TAKE_FD(lock);
}

int app_ask(const struct pod *pod, uint32_t op, const char *app, unsigned int n,
	    int tree, struct error *err)
{
	struct control_request request = {.op = op, .generation = n};

	(void)snprintf(request.app, sizeof(request.app), "%s", app);
	return ask(pod, &request, tree, err);
}

static const struct command *const subcommands[] = {
	&cmd_app_add,	 &cmd_exec,	   &cmd_app_list,
	&cmd_app_rm,	 &cmd_app_sandbox, &cmd_app_start,
	&cmd_app_status, &cmd_app_stop,	   NULL,
};

const struct command cmd_app = {
	.name = "app",
	.summary = "Operate on the apps of a mutable pod",
	.usage = "[command]",
	.description =
		"A pod of `rkt app sandbox` starts without apps; they come, "
		"start, stop and go while it runs, and it ends only when it "
		"is stopped.",
	.subcommands = subcommands,
};
