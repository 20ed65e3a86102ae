/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_PRIVATE_USERS_H
#define STAGE0_PRIVATE_USERS_H

/*
 * Users of their own for pods (--private-users): which range is whose.  A pod
 * keeps the one it got in its directory until it is removed, so that every
 * start of it has the same.
 */

struct error;
struct pod;
struct pod_manifest;
struct pods;
struct strv;

/*
 * Can PODS have it, and fit the users of PM in?  Asked before a pod is made.
 * -EINVAL, -ENOSPC, ... say why not.
 */
int private_users_check(const struct pods *pods, const struct pod_manifest *pm,
			struct error *err);

/*
 * Gives the locked POD a range no other pod of its data directory has, and
 * that is nobody's by /etc/subuid and /etc/subgid; nothing if it has one.
 */
int private_users_assign(struct pod *pod, struct error *err);

/* The range of the pod at PODDIR_FD as an argument of `stage1 run`, added to
 * ARGS; nothing if it has none. */
int private_users_arg(int poddir_fd, struct strv *args, struct error *err);

#endif
