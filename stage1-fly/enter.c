/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1-fly/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strv.h"
#include "spec/stage1_abi.h"
#include "stage1-fly/app.h"
#include "stage1-fly/process.h"

/* Which process it is the pod says, and which app is no question. */
static int parse(int argc, char *const argv[], struct strv *command,
		 struct error *err)
{
	int i = 0;

	while (i < argc && strcmp(argv[i], "--") != 0) {
		if (strncmp(argv[i], "--pid=", 6) != 0 &&
		    strncmp(argv[i], "--appname=", 10) != 0)
			return error_set(err, EINVAL, "unknown argument %s",
					 argv[i]);
		i++;
	}
	for (i++; i < argc; i++)
		strv_push(command, argv[i]);
	return command->n ? 0
			  : error_set(err, EINVAL, "the command is missing");
}

static int join_root(struct error *err)
{
	pid_t pid;
	cleanup_fd int pidfd = fly_process_open(&pid, err);

	if (pidfd < 0)
		return pidfd;
	if (setns(pidfd, CLONE_NEWNS) < 0)
		return error_sys(err, errno, "join the app's root");
	return 0;
}

static int enter(const struct strv *command, struct error *err)
{
	cleanup_fly_app struct fly_app app = FLY_APP_INIT;
	const char *term = getenv("TERM");
	cleanup_fd int root = -EBADF;
	int r = fly_app_load(&app, err);

	if (r == 0)
		r = join_root(err);
	if (r < 0)
		return r;
	strv_env_set(&app.plan.env, "TERM", term && *term ? term : "vt100");
	r = close_all_from(3, NULL, 0);
	app.generation = -EBADF;
	if (r < 0)
		return error_sys(err, -r, "close descriptors");
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_sys(err, errno, "open the app's root");
	return fly_execute(root, "/", command, &app.plan.env, err);
}

int fly_enter_main(int argc, char *const argv[])
{
	cleanup_strv struct strv command = STRV_INIT;
	struct error err = ERROR_INIT;

	if (parse(argc, argv, &command, &err) == 0)
		(void)enter(&command, &err);
	log_failure(&err, NULL);
	return RKT_EXIT_FAILURE;
}
