/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1-fly/stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1-fly/process.h"

static int stop(int sig, struct error *err)
{
	pid_t pid, group;
	cleanup_fd int pidfd = fly_process_open(&pid, err);
	int r = pidfd;

	if (pidfd >= 0)
		r = sys_pidfd_send_signal(pidfd, sig);
	if (r == 0 || (r != -ESRCH && pidfd < 0))
		return r;
	if (r != -ESRCH)
		return error_sys(err, -r, "send signal %d to process %d", sig,
				 (int)pid);
	r = fly_process_group(&group, err);
	if (r < 0)
		return r;
	if (kill(-group, sig) < 0 && errno != ESRCH)
		return error_sys(err, errno, "send signal %d to group %d", sig,
				 (int)group);
	return 0;
}

int fly_stop_main(int argc, char *const argv[])
{
	bool force = argc > 0 && strcmp(argv[0], "--force") == 0;
	struct error err = ERROR_INIT;

	if (stop(force ? SIGKILL : SIGTERM, &err) == 0)
		return 0;
	log_failure(&err, NULL);
	return RKT_EXIT_FAILURE;
}
