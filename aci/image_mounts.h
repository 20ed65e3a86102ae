/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_MOUNTS_H
#define ACI_IMAGE_MOUNTS_H

/*
 * Where images are mounted: IMAGE_MOUNT_DIR/DEVICE-INODE/ID, by the device and
 * inode of the store's directory, for as long as the host runs.
 */

#include "spec/image_id.h"

struct error;
struct strv;

#define IMAGE_MOUNT_RUN_DIR "/run/rkt"
#define IMAGE_MOUNT_DIR IMAGE_MOUNT_RUN_DIR "/img"
#define IMAGE_MOUNT_NAME_MAX (sizeof(IMAGE_MOUNT_DIR) + 64 + IMAGE_ID_LEN)

/* BELOW ("" or "/..." of up to 20 bytes) the mount of ID, or of the store
 * CAS_FD with ID "". */
int image_mount_name(int cas_fd, const char *id, const char *below,
		     char buf[IMAGE_MOUNT_NAME_MAX], struct error *err);

/* The names below the store's directory of mounts; none if it cannot be read.
 */
int image_mounts_list(int cas_fd, struct strv *ret, struct error *err);

/* Unmounts ID.  Pods that have it keep it. */
int image_mount_detach(int cas_fd, const char *id, struct error *err);

#endif
