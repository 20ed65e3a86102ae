/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_SECCOMP_H
#define STAGE1_SECCOMP_H

/*
 * The system call filter of one app.  Three steps: an isolator becomes a
 * plan (seccomp_plan.h, pure), the plan becomes one BPF program (from the
 * cache when it is there, so a warm start never runs libseccomp), the child
 * installs it.
 *
 * One filter holds both the app's allow or deny list and the update rule:
 * bind(2) is answered by stage1 (SECCOMP_RET_USER_NOTIF), also when it comes
 * as i386 bind or socketcall(SYS_BIND).  Where the app may not bind, only the
 * barrier is.
 *
 * Child order: everything that needs privilege, then seccomp_install(), then
 * seccomp_barrier() (stage1 fetches the listener meanwhile) and execve.
 */

#include <linux/filter.h>
#include <stdbool.h>

#include "stage1/seccomp_plan.h"

struct error;

/*
 * The program for PLAN: from the cache directory CACHE_DIRFD if a file there
 * holds exactly this plan, else compiled and stored.  The directory must
 * belong to root alone and hold nothing else: it is emptied when full.  A
 * damaged, foreign or writable file is replaced, a cache that cannot be written
 * is no error.  CACHE_DIRFD < 0: no cache. ret->filter is malloc'ed; ret->len 0
 * = nothing to install.
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

/*
 * bind(-1): blocks until the listener's holder answers.  Returns 0 or the
 * negative errno of the answer; -EBADF if no filter asked anybody.
 */
int seccomp_barrier(void);

#endif
