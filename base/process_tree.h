/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PROCESS_TREE_H
#define BASE_PROCESS_TREE_H

/*
 * The processes that one has begun, and those they have (/proc/PID/children,
 * CONFIG_PROC_CHILDREN): for who has no control group to look into.  One whose
 * parent ends while the tree is looked at may come twice.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_tree {
	pid_t *pids;
	size_t n;
	size_t n_walked; /* their children are there, too */
};

#define PROCESS_TREE_INIT                                                      \
	{                                                                      \
		NULL, 0, 0                                                     \
	}
#define cleanup_process_tree __attribute__((__cleanup__(process_tree_release)))

/* PID alone; 0 is nobody. */
void process_tree_add(struct process_tree *t, pid_t pid);
/* The numbers in TEXT, which it changes, between SEPARATORS. */
void process_tree_add_list(struct process_tree *t, char *text,
			   const char *separators);

/* What those that are there have begun. */
void process_tree_walk(struct process_tree *t);

/* Of what INIT has begun, or was left: those in mount namespace MOUNT_NS, and
 * what they have begun. */
void process_tree_add_orphans(struct process_tree *t, pid_t init,
			      uint64_t mount_ns);

/* The number of PID's mount namespace; 0 if that is not known. */
uint64_t process_mount_ns(pid_t pid);

bool process_tree_has(const struct process_tree *t, pid_t pid);
void process_tree_release(struct process_tree *t);

#endif
