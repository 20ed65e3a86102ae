/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_VOLUMES_H
#define STAGE1_VOLUMES_H

/*
 * The volumes of an app: opened in stage1, where the host is, and attached at
 * their places in the app's process.
 */

#include <stdbool.h>
#include <stddef.h>

struct app_plan;
struct device_rule;
struct devices;
struct error;
struct users;

struct volumes {
	struct opened_volume {
		/* Detached; -EBADF for a device in our /dev, and for one in
		 * memory. */
		int mnt;
		char device[8]; /* the name of its node in our /dev */
	} * v;			/* one for each mount of the plan */
	size_t n;
	/* Rules of device volumes, to add to the closed policy. */
	struct device_rule *rules;
	size_t n_rules;
};

#define VOLUMES_INIT                                                           \
	{                                                                      \
		NULL, 0, NULL, 0                                               \
	}

/*
 * Part of a volume is found with no way out of it: neither "..", nor symbolic
 * links to outside, nor what an app puts there meanwhile.  Devices in it mean
 * nothing.  In an empty volume it is made, with the volume's owner and mode.
 *
 * Opens what the volumes of PLAN are on the host and makes the nodes of
 * devices in DEV.  The working directory is the pod's.
 * ace.md, Volume Setup: a symlink anywhere in a source is an error.  Those
 * that were there when the pod was prepared, stage0 has followed; a later one
 * is somebody's who can write into a parent directory.
 * Empty volumes have the owners of USERS, those of the host the host's.  What
 * is asked to propagate must lie on a mount that does.
 * With no DEV (NULL) all are as the host has them: devices, set-user-ID
 * programs, and shared mounts, which stay shared.
 */
int volumes_open(const struct app_plan *plan, const struct users *users,
		 const struct devices *dev, struct volumes *ret,
		 struct error *err);

/*
 * Attaches them below TREE, with its /dev already there, in the calling mount
 * namespace.  Missing targets are made.  Errors name volume, path and reason;
 * one volume must not hide another.
 */
int volumes_attach(const struct volumes *volumes, const struct app_plan *plan,
		   int tree, struct error *err);

void volumes_release(struct volumes *volumes);

#endif
