/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_VOLUME_SOURCE_H
#define STAGE0_VOLUME_SOURCE_H

/*
 * Symbolic links in the sources of host volumes ("/var/run/x").  ace.md,
 * Volume Setup, wants them refused or switchable, because who can write into
 * a parent directory would choose what is mounted.  They are followed once,
 * for whoever names the path, when the pod is prepared; the pod manifest gets
 * the path that was reached, and stage1 refuses every link in that.
 */

struct error;
struct pod_manifest;

/* A source that does not exist is left: it may come before the pod starts. */
int pod_volumes_resolve(struct pod_manifest *pm, struct error *err);

#endif
