/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_POD_ROOT_H
#define STAGE1_POD_ROOT_H

/*
 * The root of pod init, and the mould of every app's mount namespace: a
 * read-only tmpfs holding what all apps of the pod share, with nothing of the
 * host in reach.
 *
 *   /proc  of the pod's pid namespace  \  with what must not be seen or
 *   /sys   of its network namespace    /  changed covered
 *   /shm   for /dev/shm
 *   /pts   for /dev/pts, an instance of its own
 *
 * A process that joins pod init's mount namespace and unshares it has a copy
 * of all of these (not of the host's mounts, however many there are), to move
 * where it wants them.
 */

#include <stdbool.h>

struct error;
struct users;

#define POD_ROOT_PROC "/proc"
#define POD_ROOT_SYS "/sys"
#define POD_ROOT_SHM "/shm"
#define POD_ROOT_PTS "/pts"
#define POD_ROOT_VOLUMES "/volumes" /* an empty directory: memory_volumes.h */

/*
 * In pod init, in a mount namespace of its own: makes the root and enters it;
 * mounts_leave_old() is left to do.  INSECURE: nothing is covered, and /sys is
 * writable.  The caller acts as USERS' root, who owns what can be owned.
 */
int pod_root_enter(bool insecure, const struct users *users, struct error *err);

#endif
