/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ROOTFS_H
#define STAGE1_ROOTFS_H

/*
 * The file system of one app generation: an overlay over the image, a /dev
 * of its own, the volumes, and what all apps share (pod_root.h).
 * rootfs_open() makes detached, in stage1, everything that comes from the
 * host; rootfs_enter() puts it together in the app's process, in a copy of
 * pod init's mount namespace where nothing of the host is in reach.
 *
 * Nothing is created on the host.  Inside the app's root a missing mount
 * target is created (0:0, 0755; ace.md, Volume Setup).
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/strv.h"
#include "stage1/devices.h"
#include "stage1/volumes.h"

struct app_plan;
struct error;
struct users;

/* Files stage1 puts into every root. */
struct rootfs_files {
	const char *hostname;
	char *resolv_conf;     /* NULL: leave the image's */
	char *hosts;	       /* NULL: only if the image has none */
	bool host_resolv_conf; /* bind the host's, read-only */
	bool host_hosts;
};

struct rootfs {
	const struct app_plan *plan;
	const struct rootfs_files *files;
	const struct users *users;
	int tree; /* detached mount of the root */
	struct devices dev;
	int tty; /* O_PATH or open slave of a pty for /dev/console, or none */
	int host_hosts; /* detached, if the files ask for them */
	int host_resolv_conf;
	struct volumes volumes;
};

#define ROOTFS_INIT                                                            \
	{                                                                      \
		.tree = -EBADF, .dev = DEVICES_INIT, .tty = -EBADF,            \
		.host_hosts = -EBADF, .host_resolv_conf = -EBADF,              \
		.volumes = VOLUMES_INIT                                        \
	}

/*
 * Makes the detached parts of R (plan, files, users and tty are set by the
 * caller): the clean upper directory of the generation GENERATION_DIRFD over
 * the image TREE, or the copied tree when the generation has one.  The working
 * directory is the pod's.
 */
int rootfs_open(struct rootfs *r, int generation_dirfd, int tree,
		struct error *err);
void rootfs_release(struct rootfs *r);

/* The tree alone of that: for who puts the rest together himself. */
int rootfs_open_tree(struct rootfs *r, int generation_dirfd, int tree,
		     struct error *err);
/* The directory NAME of the tree, for a mount: made if it is missing, refused
 * if it is something else. */
int rootfs_make_dir(const struct rootfs *r, const char *name, mode_t mode,
		    struct error *err);

/*
 * In the app's process, which acts as the pod's root (users_act()) and whose
 * mount namespace is a copy of pod init's: builds the root and makes it the
 * only thing there.  The working directory is the new "/".
 */
int rootfs_enter(const struct rootfs *r, struct error *err);

#endif
