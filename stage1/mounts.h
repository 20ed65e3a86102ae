/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_MOUNTS_H
#define STAGE1_MOUNTS_H

/*
 * Mounts by descriptor (new mount API, Linux 5.2; mount_setattr 5.12).  A
 * mount is made detached, filled through its descriptor where nobody else
 * can see it, and attached to a place that was resolved below a root
 * descriptor: no path is ever looked up twice.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>

struct error;

/* Cuts the calling mount namespace off from its parent's propagation. */
int mounts_make_private(struct error *err);

/*
 * A new detached file system: OPTIONS is "key=value,flag" or NULL, ATTRS
 * MOUNT_ATTR_*.  Returns a descriptor of its root.
 */
int mount_new(const char *type, const char *options, uint64_t attrs,
	      struct error *err);
int mount_tmpfs(const char *options, uint64_t attrs, struct error *err);

/*
 * A detached overlay of UPPER and WORK over LOWER (all directory
 * descriptors).  Volatile: nothing is synced at unmount, because the upper
 * directory is thrown away whenever the app starts again.  Its marks are in
 * user attributes (Linux 5.11) without root.
 */
int mount_overlay(int lower, int upper, int work, uint64_t attrs,
		  struct error *err);

/* A detached clone of the mount tree at FD, with ATTRS set on all of it and no
 * peer anywhere. */
int mount_clone(int fd, bool recursive, uint64_t attrs, struct error *err);
/* The same with another PROPAGATION: MS_SLAVE, or 0, as that of FD is. */
int mount_clone_as(int fd, bool recursive, uint64_t attrs, uint64_t propagation,
		   struct error *err);

/* Whether the mount that FD lies on, one of this namespace, tells others of
 * mounts in it, and is told. */
int mount_propagates(int fd, bool *ret_tells, bool *ret_is_told,
		     struct error *err);

/* Sets ATTRS on the mount behind FD (all below it when RECURSIVE). */
int mount_set_attr(int fd, uint64_t attrs, bool recursive, struct error *err);

/*
 * Attaches the detached MOUNT at NAME below ROOT, both resolved in ROOT
 * without following a symlink anywhere; NAME "" is ROOT itself.
 */
int mount_attach(int mount, int root, const char *name, struct error *err);

/* Attaches MOUNT to the file or directory that TARGET (O_PATH) is. */
int mount_attach_fd(int mount, int target, const char *what, struct error *err);

/* Makes the attached mount ROOT the root of this mount namespace; the old one
 * lies on it until mounts_leave_old(). */
int mounts_pivot(int root, struct error *err);
/* Detaches the old root with everything that is not below the new one, which
 * the working directory then is.  Waits for an RCU grace period; the rest of
 * the namespace sees the old root gone before that. */
int mounts_leave_old(struct error *err);

#endif
