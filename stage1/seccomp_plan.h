/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_SECCOMP_PLAN_H
#define STAGE1_SECCOMP_PLAN_H

/*
 * From an app's isolator to a filter as data.  Pure.
 *
 * default   the containers' profile of today: EPERM for what is known and
 *           not allowed, ENOSYS for clone3 (its flags are in memory no
 *           filter sees, so a libc falls back to clone, whose flags are
 *           checked) and for every number newer than the newest known one;
 *           a call made for one capability is allowed to an app that retains
 *           it.
 * retain    what is listed, plus execve, exit and signal return; the rest
 *           answers ERRNO or kills.  @docker/default-whitelist and
 *           @rkt/default-whitelist are the names of 2016 plus the calls
 *           added since, with the argument checks and ENOSYS answers of the
 *           default profile; a call listed by name is not checked further.
 * remove    everything but what is listed (ERRNO or kill) and but the default
 *           blacklist, whose calls a retained capability gives back (EPERM).
 *           @appc.io/empty: the default profile instead of the blacklist.
 *
 * io_uring_setup is never allowed by default: IORING_OP_BIND (Linux 6.11)
 * would bind without a system call this filter can see.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;

enum seccomp_policy {
	/* No isolator. */
	SECCOMP_POLICY_DEFAULT,
	/* os/linux/seccomp-retain-set */
	SECCOMP_POLICY_RETAIN,
	/* os/linux/seccomp-remove-set */
	SECCOMP_POLICY_REMOVE,
	/* --insecure-options=seccomp: the update rule alone. */
	SECCOMP_POLICY_OFF,
};

struct seccomp_request {
	enum seccomp_policy policy;
	/* RETAIN, REMOVE: names and @wildcards.  Else NULL. */
	const struct strv *set;
	/* RETAIN, REMOVE: answer of a blocked call; NULL or "" kills the
	 * process with SIGSYS. */
	const char *errno_name;
	/* The app's bounding set (caps.h). */
	uint64_t caps;
	/* bind(2) asks stage1.  False only for `enter` and probes: they have
	 * nobody to answer. */
	bool notify_bind;
};

/* When a rule applies; the first is for every call of that name. */
enum seccomp_match {
	SECCOMP_MATCH_ALWAYS,
	SECCOMP_MATCH_CLONE_PLAIN, /* clone: no namespace flag */
	SECCOMP_MATCH_CLONE_NAMESPACE,
	SECCOMP_MATCH_UNSHARE_PLAIN,
	SECCOMP_MATCH_UNSHARE_NAMESPACE,
	SECCOMP_MATCH_PERSONALITY, /* the harmless values */
	SECCOMP_MATCH_NOT_VSOCK,   /* socket: family is not AF_VSOCK */
	SECCOMP_MATCH_VSOCK,
	/* bind where the app may not: descriptor -1 asks stage1, others get
	 * the action. */
	SECCOMP_MATCH_BARRIER,
	SECCOMP_MATCH_MAX
};

struct seccomp_rule {
	const char *name; /* of a table, or of the plan's names */
	uint32_t action;  /* SECCOMP_RET_* with its data */
	enum seccomp_match match;
};

/* A whole filter.  Invariant: a name has one ALWAYS rule or any number of
 * others; what no rule matches gets the default action. */
struct seccomp_plan {
	uint32_t default_action;
	/* Numbers newer than every known call answer ENOSYS, so a libc newer
	 * than this program falls back. */
	bool newer_enosys;
	bool notify_bind;
	bool allows_uring;	    /* io_uring_setup */
	struct seccomp_rule *rules; /* owned */
	size_t n_rules;
	struct strv names; /* names no table has */
	/* What the user should know, one sentence each; stage1 shows them with
	 * the isolators. */
	struct strv notes;
};

#define SECCOMP_PLAN_INIT                                                      \
	{                                                                      \
		0                                                              \
	}

/*
 * -EINVAL names every unknown system call, the unknown wildcard or the
 * unknown errno.  Names only another architecture has are accepted and
 * skipped.
 */
int seccomp_plan_make(const struct seccomp_request *req,
		      struct seccomp_plan *ret, struct error *err);
void seccomp_plan_release(struct seccomp_plan *plan);
#define cleanup_seccomp_plan __attribute__((__cleanup__(seccomp_plan_release)))

#endif
