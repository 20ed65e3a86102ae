/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_ACI_EXTRACT_H
#define ACI_ACI_EXTRACT_H

/*
 * Unpacks an uncompressed image into the working directory, which is empty
 * and, in rkt-fetch, the root of everything the process can reach.  All
 * properties of files survive (aci.md, Image Archives): type, mode, owner,
 * times, hard links, holes, POSIX ACLs, extended attributes as far as
 * aci_xattr_is_kept() goes.
 */

#include <stdbool.h>

struct error;

/*
 * Reads BLOB_FD with pread(2) from 0.  Checks every entry once more.  An OCI
 * layer (oci_layer.h) is unpacked with its whiteouts as files.
 */
int aci_extract(int blob_fd, bool is_layer, struct error *err);

#endif
