/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_ARCHIVE_H
#define ACI_OCI_ARCHIVE_H

/*
 * A tar of an OCI image layout, compressed or not ("oci-archive").  Reads
 * hostile bytes: only inside the sandbox.
 */

#include <stdint.h>

struct error;
struct strv;

#define OCI_ARCHIVE_ENTRIES_MAX 10000

/*
 * Unpacks FD into TAR_FD (an empty file, at most MAX_SIZE bytes) and appends
 * name, offset and size of each regular file in it, by threes.  Whatever else
 * is in it counts for nothing.
 */
int oci_archive_read(int fd, int tar_fd, uint64_t max_size, struct strv *ret,
		     struct error *err);

#endif
