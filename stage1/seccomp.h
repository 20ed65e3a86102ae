/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_SECCOMP_H
#define STAGE1_SECCOMP_H

/*
 * The system call filter of one app.  Three steps: an isolator becomes a
 * plan (pure data), the plan becomes one BPF program (from the cache when it
 * is there, so a warm start never runs libseccomp), the child installs it.
 *
 * One filter holds both the app's allow or deny list and the update rule:
 * bind(2) is answered by stage1 (SECCOMP_RET_USER_NOTIF), also when it comes
 * as i386 socketcall(SYS_BIND).
 *
 * Child order: everything that needs privilege, then seccomp_install(), then
 * only bind(-1) (the barrier that lets stage1 fetch the listener) and execve.
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;

enum seccomp_policy {
	/* No isolator: today's containers profile for the app's caps. */
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
	/* The app's bounding set (caps.h): calls a retained capability is for
	 * are allowed by the default profile. */
	uint64_t caps;
	/* False only for `enter` and probes: they have nobody to answer. */
	bool notify_bind;
};

struct seccomp_rule;

/* A whole filter as data; made by seccomp_plan_make(). */
struct seccomp_plan {
	uint32_t default_action; /* SECCOMP_RET_* with its data */
	/* Answer ENOSYS for numbers no known call has, so a libc newer than
	 * this program falls back. */
	bool newer_enosys;
	bool notify_bind;
	struct seccomp_rule *rules; /* sorted by name; owned */
	size_t n_rules;
	/* What the user should know, one sentence each ("io_uring_setup is
	 * retained: ..."); stage1 shows them with the isolators. */
	struct strv notes;
};

#define SECCOMP_PLAN_INIT                                                      \
	{                                                                      \
		0                                                              \
	}

/*
 * Decides, touches nothing.  -EINVAL names every unknown system call, the
 * unknown wildcard or the unknown errno.  Names another architecture has are
 * accepted and skipped.
 */
int seccomp_plan_make(const struct seccomp_request *req,
		      struct seccomp_plan *ret, struct error *err);
void seccomp_plan_release(struct seccomp_plan *plan);
#define cleanup_seccomp_plan __attribute__((__cleanup__(seccomp_plan_release)))

/*
 * The program for PLAN: from the cache directory CACHE_DIRFD if a file there
 * holds exactly this plan, else compiled (a few ms) and stored.  A damaged
 * or foreign file is replaced; a cache that cannot be written is no error.
 * CACHE_DIRFD < 0: no cache.  ret->filter is malloc'ed.
 */
int seccomp_program_get(int cache_dirfd, const struct seccomp_plan *plan,
			struct sock_fprog *ret, struct error *err);
void seccomp_program_release(struct sock_fprog *prog);
#define cleanup_seccomp_program                                                \
	__attribute__((__cleanup__(seccomp_program_release)))

/*
 * Installs PROG on the calling thread.  Needs no_new_privs or an effective
 * CAP_SYS_ADMIN.  With LISTENER returns the notification descriptor
 * (close-on-exec), else 0; or -errno.  Allocates nothing.
 */
int seccomp_install(const struct sock_fprog *prog, bool listener);

#endif
