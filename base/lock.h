/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

/*
 * flock(2) on directories and files.  The lock belongs to the open file
 * description: it lives as long as any duplicate is open, also across exec.
 */

#include <stdbool.h>

/* LOCK_SH or LOCK_EX.  _try returns -EBUSY when another holder is in the way,
 * _wait blocks. */
int lock_try(int fd, int how);
int lock_wait(int fd, int how);
/* True if somebody else holds FD's file exclusively right now. */
bool lock_is_held(int fd);

#endif
