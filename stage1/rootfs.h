/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ROOTFS_H
#define STAGE1_ROOTFS_H

/*
 * The file system of one app generation: an overlay over the image, a /dev
 * of its own, /proc and /sys with what must not be seen or changed covered,
 * and the volumes.  rootfs_open() makes in stage1 what can be made detached;
 * rootfs_enter() runs in the app's process, in a new mount namespace, and
 * leaves it with nothing of the host in reach.
 *
 * Nothing is created on the host.  Inside the app's root a missing mount
 * target is created (0:0, 0755; ace.md, Volume Setup).
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"
#include "stage1/device_policy.h"

struct app_plan;
struct error;

/*
 * Mounts all apps of a pod share.  Before Linux 6.15 only a mount of the
 * caller's own mount namespace can be cloned, no detached one: then these
 * two are all there is in a namespace that exists for nothing else.
 */
struct pod_mounts {
	int shm;    /* tmpfs, for /dev/shm */
	int pts;    /* devpts, for /dev/pts */
	int holder; /* that namespace; -EBADF: they are detached */
};

#define POD_MOUNTS_INIT                                                        \
	{                                                                      \
		-EBADF, -EBADF, -EBADF                                         \
	}

int pod_mounts_open(struct pod_mounts *ret, struct error *err);
void pod_mounts_release(struct pod_mounts *mounts);

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
	const struct pod_mounts *shared;
	int tree; /* detached mount of the root */
	int dev;  /* detached tmpfs for /dev */
	int shm;  /* detached clones of the shared ones */
	int pts;
	int tty; /* O_PATH or open slave of a pty for /dev/console, or none */
	bool insecure_paths;
	/* Rules of device volumes, to add to the closed policy. */
	struct device_rule *rules;
	size_t n_rules;
};

#define ROOTFS_INIT                                                            \
	{                                                                      \
		.tree = -EBADF, .dev = -EBADF, .shm = -EBADF, .pts = -EBADF,   \
		.tty = -EBADF                                                  \
	}

/*
 * Makes the detached parts of R (plan, files, shared and tty are
 * set by the caller): the clean upper directory of the generation
 * GENERATION_DIRFD over the image TREE, or the copied tree when the
 * generation has one.
 */
int rootfs_open(struct rootfs *r, int generation_dirfd, int tree,
		struct error *err);
void rootfs_release(struct rootfs *r);

/*
 * In the app's process: builds the root in a new mount namespace and makes
 * it the only thing there.  The working directory is the new "/".
 */
int rootfs_enter(const struct rootfs *r, struct error *err);

#endif
