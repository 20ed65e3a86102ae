/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_DEVICES_H
#define STAGE1_DEVICES_H

/*
 * /dev of an app (ace.md, Operating System: linux): device nodes are made
 * with mknod in a tmpfs of their own.  A bind mount would share the host's
 * inode, and a chown inside would change the host's device.
 */

#include <sys/types.h>

struct error;

/* Where nodes of device volumes are made, below /dev. */
#define DEVICES_VOLUME_DIR ".rkt"

/* A detached tmpfs with every node and link in it; the descriptor. */
int devices_open(struct error *err);

/* Makes the node of device volume NAME; MODE has the S_IFMT bits. */
int devices_add_volume(int dev, const char *name, mode_t mode, dev_t rdev,
		       struct error *err);

#endif
