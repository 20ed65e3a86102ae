/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_APP_PROCESS_IMPL_H
#define STAGE1_APP_PROCESS_IMPL_H

/*
 * What stage1 (app_process.c) and the process it has begun
 * (app_process_child.c) tell each other, until that executes its program.
 * Nobody else includes this.
 */

#include <stddef.h>
#include <sys/types.h>

#include "stage1/app_clone.h"

struct app_process_request;

/* Variables app_process_give() can add, and their bytes in all. */
#define APP_GIVEN_ENV_MAX 8
#define APP_GIVEN_ENV_SIZE (128UL * 1024)

struct app_barrier {
	_Atomic int listener;	/* descriptor in the child, + 1 */
	_Atomic int exec_errno; /* why execve failed */
	_Atomic int pod_pid;
	_Atomic int errpipe; /* descriptor in the child, after close_rest() */
	uid_t uid;	     /* once it is prepared */
	gid_t gid;
	struct app_clone clone;
	/* app_process_give(): strings one after the other. */
	size_t n_given;
	char given[APP_GIVEN_ENV_SIZE];
};

/* What the child writes when only the filter is left to do. */
#define PREPARED "F"
/* What it reads when the pod is there, and when it may go on without a
 * barrier. */
#define GO "G"

#define BARRIER_TIMEOUT_MS 10000

/* The process that was begun: its steps, then its program. */
__attribute__((__noreturn__)) void
app_process_child(const struct app_process_request *req,
		  struct app_barrier *barrier, int errpipe);

/* For what takes a fraction of a millisecond and tells nobody that it is done:
 * looked for often at first, then seldom. */
void app_process_wait_a_little(unsigned int round);

#endif
