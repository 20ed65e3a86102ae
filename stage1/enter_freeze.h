/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ENTER_FREEZE_H
#define STAGE1_ENTER_FREEZE_H

/* Apps that stand still while a process that enters has more than they have
 * (stage1/enter.c), and go on also if who froze them is killed. */

#include <stddef.h>

struct cgroup_leaf;
struct error;

/*
 * Freezes the N LEAVES until enter_thaw().  Returns the pidfd of a process that
 * waits for our end: what is in OWN is killed then, before they are thawed.
 */
int enter_freeze(struct cgroup_leaf *leaves, size_t n,
		 const struct cgroup_leaf *own, struct error *err);
void enter_thaw(struct cgroup_leaf *leaves, size_t n, int pidfd);

#endif
