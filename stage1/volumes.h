/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_VOLUMES_H
#define STAGE1_VOLUMES_H

/* Volumes at their places in an app's root file system. */

struct app_mount;
struct app_plan;
struct error;

/*
 * What a volume is on the host, O_PATH.  The working directory is the pod's.
 * ace.md, Volume Setup: a symlink anywhere in the source is an error.  Those
 * that were there when the pod was prepared, stage0 has followed; a later one
 * is somebody's who can write into a parent directory.
 */
int volume_open_source(const struct app_mount *m, struct error *err);

/*
 * Attaches the volumes of PLAN below TREE, with its /dev already there, in
 * the calling mount namespace.  Missing targets are made.  Errors name
 * volume, path and reason; one volume must not hide another.
 */
int volumes_attach(const struct app_plan *plan, int tree, struct error *err);

#endif
