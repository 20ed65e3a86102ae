/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ROOTLESS_H
#define BASE_ROOTLESS_H

/*
 * An ordinary user becomes root of a user namespace: 0 is the user, 1 and up
 * are those that /etc/subuid and /etc/subgid give (by newuidmap and newgidmap
 * of shadow-utils), or none.
 *
 * Whoever works on the same directory is in the same namespace, for only from
 * there its processes and files can be reached.  A process without anything
 * open, rkt-users, holds it; it ends when the last other one has: those share
 * a lock on the file `users`, by a descriptor that programs they execute keep.
 */

#include <stdint.h>

struct error;

struct rootless_range {
	uint32_t first, count; /* count 0: none */
};

/* The first range of TEXT (subuid(5)) for the user ID called NAME (NULL: no
 * name is known). */
struct rootless_range rootless_range_find(const char *text, const char *name,
					  uint32_t id);

/* The name of user ID in TEXT (passwd(5)): malloc'ed, NULL if there is none. */
char *rootless_name_find(const char *text, uint32_t id);

/*
 * Enters the namespace of the directory DIRFD, which is the caller's, making
 * it if nobody is in it, and the mount namespace that belongs to it.
 * Single-threaded processes only; what is executed next is root there.
 */
int rootless_enter(int dirfd, struct error *err);

#endif
