/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_ARCHIVE_H
#define ACI_OCI_ARCHIVE_H

/*
 * A tar of an OCI image layout ("oci-archive") or as docker makes it,
 * compressed or not.  Reads hostile bytes: only inside the sandbox.
 */

#include <stdint.h>

struct error;
struct strv;

#define OCI_ARCHIVE_ENTRIES_MAX 10000
#define OCI_ARCHIVE_LINKS_MAX 1000

/*
 * Unpacks FD into TAR_FD (an empty file, at most MAX_SIZE bytes) and appends
 * name, offset and size of each regular file in it, by threes; and of each link
 * to one of them in the same archive, as old dockers have for a layer that is
 * that of another image.  Whatever else is in it counts for nothing.
 */
int oci_archive_read(int fd, int tar_fd, uint64_t max_size, struct strv *ret,
		     struct error *err);

#endif
