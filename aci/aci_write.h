/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_ACI_WRITE_H
#define ACI_ACI_WRITE_H

/*
 * Writes an App Container image: a manifest and a directory tree become a
 * pax tar, gzip-compressed unless asked otherwise.
 *
 * Reproducible: equal trees give equal bytes on every machine.  Entries are
 * sorted by the bytes of their names, `manifest` first, then `rootfs`; names
 * are written as UTF-8, or as bytes when they are not, whatever the locale; the
 * gzip header has no name and no time; nothing that copying a tree changes
 * (ctime, atime, inode and device numbers, directory order, user names) is
 * written.
 *
 * All properties a file has in the tree are kept (A6): owner, mode, mtime
 * with nanoseconds, device numbers, symlinks, FIFOs, extended attributes
 * (user.*, security.capability, security.ima and POSIX ACLs: the ones that
 * belong to the file and not to the host it lay on).  Names of one inode
 * become hard links to the first of them (A8).  Holes are written as zeros:
 * where a file system keeps holes is no property of the tree.  Sockets are
 * left out.
 */

#include <stdbool.h>
#include <stdint.h>

struct aci_layout;
struct error;
struct strv;

struct aci_write_options {
	bool owner_root; /* every entry belongs to 0:0 */
	bool no_compression;
	/* Of a tree that is in use: a file that grows is cut at the size it
	 * had, a name that vanishes is left out. */
	bool is_live;
	bool no_devices; /* device nodes are left out, as sockets are */
	/* uid and gid N of these are written as N - first_id, all others as
	 * nobody's; n_ids 0: as they are. */
	uint32_t first_id, n_ids;
};

/*
 * Writes LAYOUT to OUTFD.  Appends a line to WARNINGS (may be NULL) for
 * every file left out.  A file that changes while it is read is an error
 * (-ESTALE), as are names and sizes no tar can hold.
 */
int aci_write(const struct aci_layout *layout, int outfd,
	      const struct aci_write_options *opt, struct strv *warnings,
	      struct error *err);

/*
 * The same of any file FD (O_PATH will do) with all below it, as NAME, without
 * a manifest.
 */
int aci_write_tree(int fd, const char *name, int outfd,
		   const struct aci_write_options *opt, struct strv *warnings,
		   struct error *err);

#endif
