/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ENTER_FREEZE_H
#define STAGE1_ENTER_FREEZE_H

/* Apps that stand still while a process that enters has more than they have
 * (stage1/enter.c), and go on also if who froze them is killed. */

#include <stddef.h>

struct cgroup_leaf;
struct error;
struct strv;

struct enter_freeze {
	struct cgroup_leaf *leaves; /* what stands still */
	size_t n;
	int lock;  /* one at a time: who is first to be done would thaw all */
	int pidfd; /* of who thaws if we are killed */
};

#define ENTER_FREEZE_INIT                                                      \
	{                                                                      \
		.lock = -EBADF, .pidfd = -EBADF                                \
	}

/*
 * Finds what there is of APPS in the pod behind DIRFD: also the commands that
 * others run in them.  Nobody else freezes anything until enter_thaw(); -EBUSY
 * if somebody does and does not end.
 */
int enter_freeze_begin(struct enter_freeze *f, int dirfd,
		       const struct strv *apps, struct error *err);
/* Freezes it.  If we are killed, what is in OWN is killed before it is
 * thawed. */
int enter_freeze(struct enter_freeze *f, const struct cgroup_leaf *own,
		 struct error *err);
/* Thaws what was frozen, and frees. */
void enter_thaw(struct enter_freeze *f);

#endif
