/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_USERS_H
#define STAGE1_USERS_H

/*
 * The user namespace of a pod (--private-users), or none: then every function
 * here does nothing and makes no system call.
 *
 * Nothing on disk is ever shifted.  What apps see comes through mounts that
 * map owners: the image (shared with pods that have other ranges or none), the
 * overlay's upper directory, copies of --no-overlay, empty volumes.  So
 * images, exports, updates and removal know nothing of ranges.  Volumes of the
 * host are not mapped: their owners are nobody inside, as in rkt.
 *
 * The mount namespaces that apps copy are the host's, for stage1 mounts in
 * them; each app's own, and the pod's network, ipc and uts namespaces, belong
 * to the user namespace, so its root has its capabilities there.  The pid
 * namespace is the host's: nobody inside may mount another /proc of it, or end
 * the pod by reboot(2).
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/user_range.h"

struct error;

struct users {
	int ns;	   /* -EBADF: none */
	int maker; /* pidfd of stage1, for pod init */
	struct user_range range;
};

#define USERS_INIT                                                             \
	{                                                                      \
		.ns = -EBADF, .maker = -EBADF                                  \
	}

static inline bool users_are_private(const struct users *users)
{
	return users->ns >= 0;
}

/* Makes it; nothing if RANGE is empty, or if it has been adopted. */
int users_make(const struct user_range *range, struct users *ret,
	       struct error *err);
/*
 * Of a pod whose stage1 was killed, by its network namespace: true if that
 * belongs to a user namespace with the very RANGE, which is used on, or, where
 * that is empty, to stage1's own.
 */
bool users_adopt(const struct user_range *range, int netns, struct users *ret);
/* That of the pod whose init is PID. */
int users_open(pid_t pid, const struct user_range *range, struct users *ret,
	       struct error *err);
void users_close(struct users *users);

/* User or group ID of the pod, as the host numbers it. */
static inline uint32_t users_outside(const struct users *users, uint32_t id)
{
	return users->range.first + id;
}

/* What ID of the host is inside; -EINVAL if it is none of the pod's. */
int users_inside(const struct users *users, uint32_t id, uint32_t *ret);

/*
 * From here to users_rest() the files this process makes are the pod's
 * root's: of the host's, mounts that map owners can store none.  Still root of
 * the host otherwise.
 */
int users_act(const struct users *users, struct error *err);
void users_rest(const struct users *users);

/* In pod init: moves into new namespaces (FLAGS, CLONE_NEW*) that belong to the
 * pod's root, without entering the user namespace. */
int users_move(const struct users *users, int flags, struct error *err);

/*
 * In pod init, once, when PDEATHSIG is set for good: -ECHILD if stage1 is dead.
 * Each change of ids above took the signal away, so it may have died unnoticed;
 * and its sockets do not tell, because processes it made have them, too.
 */
int users_check_maker(const struct users *users, struct error *err);

/*
 * Goes into it, with all capabilities there and none elsewhere, and what
 * bounds them lost; and to namespaces of its own in it: FLAGS CLONE_NEW*, 0 of
 * none.
 */
int users_enter(const struct users *users, int flags, struct error *err);

#endif
