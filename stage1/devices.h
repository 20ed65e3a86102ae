/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_DEVICES_H
#define STAGE1_DEVICES_H

/*
 * /dev of an app (ace.md, Operating System: linux): device nodes are made
 * with mknod in a tmpfs of their own.  A bind mount would share the host's
 * inode, and a chown inside would change the host's device; it is for those
 * who can do neither.
 */

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

/* Where nodes of device volumes are made, below /dev. */
#define DEVICES_VOLUME_DIR ".rkt"

#define DEVICES_BORROWED_MAX 8

/* A /dev that is not attached yet. */
struct devices {
	int dir; /* detached tmpfs with every node and link in it */
	/* Nodes of the host, where we may make none: we are in a user
	 * namespace. */
	struct borrowed_node {
		const char *name; /* below /dev */
		int mnt;	  /* detached */
	} borrowed[DEVICES_BORROWED_MAX];
	size_t n_borrowed;
};

#define DEVICES_INIT                                                           \
	{                                                                      \
		.dir = -EBADF                                                  \
	}

/* Makes it; RET is to be released also after an error. */
int devices_open(struct devices *ret, struct error *err);
void devices_release(struct devices *d);

/* Attaches it to /dev of TREE. */
int devices_attach(const struct devices *d, int tree, struct error *err);

/* Makes the node of device volume NAME; MODE has the S_IFMT bits.  -EPERM
 * without a message where nobody may. */
int devices_add_volume(const struct devices *d, const char *name, mode_t mode,
		       dev_t rdev, struct error *err);

#endif
