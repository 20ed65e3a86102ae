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

struct error;

/*
 * A directory without an entry of its own (0755, 0:0) has the times 1970 and
 * this many nanoseconds: a layer over another one that has the directory does
 * not change it (tree_merge.h).
 */
#define ACI_IMPLIED_MTIME_NSEC 1

/* Reads BLOB_FD with pread(2) from 0.  Checks every entry once more. */
int aci_extract(int blob_fd, struct error *err);

#endif
