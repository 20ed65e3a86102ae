/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_MEMORY_VOLUMES_H
#define STAGE1_MEMORY_VOLUMES_H

/*
 * Volumes in memory, and secrets: a tmpfs each, and for all secrets one that
 * is never swapped out, in the root of pod init (pod_root.h), of
 * whose mounts each app begins with a copy.  So all apps and generations have
 * the same, also after stage1 has been replaced; they end with the pod.
 */

struct error;
struct pod_init;
struct pod_manifest;
struct users;

/* In POD_ROOT_VOLUMES, beside the volumes: a file for each secret. */
#define MEMORY_SECRETS_DIR ".secrets"

/* Takes the descriptors that stage0 has named (STAGE1_ENV_SECRET_FDS).  Before
 * any app starts.  Waits for INIT if there are such volumes. */
int memory_volumes_make(const struct pod_manifest *pm, struct pod_init *init,
			const struct users *users, struct error *err);

#endif
