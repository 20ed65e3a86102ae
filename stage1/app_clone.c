/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/app_clone.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/syscalls.h"

/*
 * Who cannot come back from the pod's pid namespace sends somebody else there,
 * whose child is a child of ours, in a process of descriptors that are ours.
 */
static pid_t clone_by_other(const struct app_clone_place *place,
			    struct clone_args *args, struct app_clone *shared,
			    int *pidfd, struct error *err)
{
	struct clone_args other = {.flags = CLONE_FILES,
				   .exit_signal = SIGCHLD};
	pid_t pid = sys_clone3(&other);
	int status;

	if (pid < 0)
		return error_sys(err, (int)-pid, "start a process");
	if (pid == 0) {
		if (setns(place->init, CLONE_NEWPID) < 0)
			_exit(errno);
		args->flags |= CLONE_PARENT;
		args->exit_signal = 0; /* that of the other */
		pid = sys_clone3(args);
		if (pid == 0)
			return 0;
		shared->pid = pid;
		shared->pidfd = *pidfd;
		_exit(pid < 0 ? (int)-pid : 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_sys(
			err, WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD,
			"start a process in the pod");
	*pidfd = shared->pidfd;
	return shared->pid;
}

/* Nothing else may be started between the two setns calls: it would land in the
 * pod. */
pid_t app_clone(const struct app_clone_place *place, struct app_clone *shared,
		int *pidfd, struct error *err)
{
	bool into_cgroup = place->cgroup >= 0;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND |
			 (into_cgroup ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)(into_cgroup ? place->cgroup : 0),
	};
	pid_t pid;

	if (place->own_pidns < 0)
		return clone_by_other(place, &args, shared, pidfd, err);
	if (setns(place->init, CLONE_NEWPID) < 0)
		return error_sys(err, errno, "use the pod's pid namespace");
	pid = sys_clone3(&args);
	if (pid == 0)
		return 0;
	if (setns(place->own_pidns, CLONE_NEWPID) < 0)
		return error_sys(err, errno, "leave the pod's pid namespace");
	if (pid < 0)
		return error_sys(err, (int)-pid, "start a process in the pod");
	return pid;
}
