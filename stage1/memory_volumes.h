/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_MEMORY_VOLUMES_H
#define STAGE1_MEMORY_VOLUMES_H

/*
 * Volumes in memory: a tmpfs each in the root of pod init (pod_root.h), of
 * whose mounts each app begins with a copy.  So all apps and generations have
 * the same, also after stage1 has been replaced; they end with the pod.
 */

struct error;
struct pod_init;
struct pod_manifest;
struct users;

/* Before any app starts.  Waits for INIT if there are such volumes. */
int memory_volumes_make(const struct pod_manifest *pm, struct pod_init *init,
			const struct users *users, struct error *err);

#endif
