/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_EROFS_MOUNT_H
#define ACI_EROFS_MOUNT_H

/*
 * Mounts of an index with its tars.  From files needs Linux 6.12 and a file
 * system below that reads by folios (not tmpfs, not overlayfs: -ENOTBLK);
 * through loop devices, which go with the mount, Linux 6.4.
 */

#include <stddef.h>

struct error;

enum erofs_source {
	EROFS_FROM_FILES,
	EROFS_FROM_LOOPS,
};

/*
 * A detached mount, read-only, nodev and nosuid (what an app may do with a
 * file is a matter of the overlay above), of INDEX_FD with the tars
 * DEVICE_FDS in the order of the index's slots.
 */
int erofs_mount(enum erofs_source source, int index_fd, const int *device_fds,
		size_t n_devices, struct error *err);

#endif
