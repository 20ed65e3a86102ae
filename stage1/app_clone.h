/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_APP_CLONE_H
#define STAGE1_APP_CLONE_H

/* The clone of stage1 that becomes a process of a pod. */

#include <sys/types.h>

struct error;

/* Where it goes. */
struct app_clone_place {
	int init;      /* pidfd of pod init */
	int own_pidns; /* to come back from the pod's; -EBADF: nobody can */
	int cgroup;    /* directory, or -EBADF: the caller's */
};

/* Scratch in memory that is shared with the clone. */
struct app_clone {
	pid_t pid;
	int pidfd;
};

/* Forks into PLACE: 0 in the clone; else its number, and *PIDFD. */
pid_t app_clone(const struct app_clone_place *place, struct app_clone *shared,
		int *pidfd, struct error *err);

#endif
