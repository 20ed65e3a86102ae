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
struct user_range;

/* The range POD has; count 0: none. */
int private_users_range(const struct pod *pod, struct user_range *ret,
			struct error *err);

/*
 * Can PODS have it, and fit the users of PM in?  Asked before a pod is made.
 * -EINVAL, -ENOSPC, ... say why not.
 */
int private_users_check(const struct pods *pods, const struct pod_manifest *pm,
			struct error *err);

/*
 * Gives the locked POD a range that no other pod of its data directory has,
 * none of another data directory that was made or started since the host was,
 * and that is nobody's by /etc/subuid and /etc/subgid; nothing if it has one.
 */
int private_users_assign(struct pod *pod, struct error *err);

/* Before the locked POD starts: its range, if it has one, is still its own.
 * -EBUSY if a pod of another data directory has it. */
int private_users_claim(const struct pod *pod, struct error *err);

/* The same, and the range as an argument of `stage1 run` added to ARGS. */
int private_users_arg(const struct pod *pod, struct strv *args,
		      struct error *err);

/* The locked POD is to be removed: its range is nobody's. */
void private_users_drop(const struct pod *pod);

#endif
