/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_OVERLAY_CHECK_H
#define STAGE0_OVERLAY_CHECK_H

/*
 * Why overlays cannot be stacked in the file system of DIRFD (may be O_PATH);
 * NULL if they can.  Two system calls, no mount.
 */
const char *overlay_problem(int dirfd);

#endif
