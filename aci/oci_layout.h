/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_LAYOUT_H
#define ACI_OCI_LAYOUT_H

/* The files of an OCI image layout (image specification, "Image Layout").
 * What they hold is hostile, and so may be what they are. */

#include <stdint.h>

struct error;

/* DIRFD's file NAME, a regular one of at most MAX bytes, for reading. */
int oci_layout_open_file(int dirfd, const char *name, uint64_t max,
			 struct error *err);
/* The same of the blob DIGEST ("sha256:..."). */
int oci_layout_open_blob(int dirfd, const char *digest, uint64_t max,
			 struct error *err);

#endif
