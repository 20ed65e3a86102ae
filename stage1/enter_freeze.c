/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/enter_freeze.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/process.h"
#include "base/syscalls.h"
#include "base/test_hooks.h"
#include "stage1/cgroup.h"

/* How long tracing apps may take to stand still. */
#define FREEZE_MS 1000

struct thaw {
	struct cgroup_leaf *leaves;
	size_t n;
	const struct cgroup_leaf *own;
};

static void set_frozen(struct cgroup_leaf *leaves, size_t n, bool frozen)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < n; i++)
		if (cgroup_leaf_freeze(&leaves[i], frozen, FREEZE_MS, &err) < 0)
			log_failure(&err, NULL);
}

static void thaw_instead(const void *arg, int to_parent)
{
	const struct thaw *t = arg;
	const char there = 1;
	sigset_t set;
	int sig;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 ||
	    write_full(to_parent, &there, 1) < 0 || sigwait(&set, &sig) != 0)
		return;
	(void)cgroup_leaf_kill(t->own, NULL);
	set_frozen(t->leaves, t->n, false);
}

int enter_freeze(struct cgroup_leaf *leaves, size_t n,
		 const struct cgroup_leaf *own, struct error *err)
{
	const struct thaw thaw = {leaves, n, own};
	cleanup_fd int said = -EBADF;
	cleanup_fd int pidfd =
		process_start(0, thaw_instead, &thaw, &said, NULL, err);
	char there;

	if (pidfd < 0)
		return pidfd;
	if (read_full(said, &there, 1) != 1)
		return error_set(err, ECHILD,
				 "nobody would let the pod's apps go on");
	set_frozen(leaves, n, true);
	test_stop_at("enter-frozen");
	return TAKE_FD(pidfd);
}

void enter_thaw(struct cgroup_leaf *leaves, size_t n, int pidfd)
{
	int status;

	set_frozen(leaves, n, false);
	(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	(void)process_wait(pidfd, &status);
}
