/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_LAYOUT_H
#define ACI_LAYOUT_H

/*
 * An image layout on disk (aci.md, "Image Layout"): a directory holding a
 * regular file `manifest`, a directory `rootfs` and nothing else.  Neither
 * may be a symlink: what goes into an image is what lies in the layout.
 */

#include <stddef.h>
#include <sys/stat.h>

struct error;
struct strbuf;
struct strv;

#define ACI_MANIFEST "manifest"
#define ACI_ROOTFS "rootfs"
#define ACI_MANIFEST_MAX (4UL * 1024 * 1024) /* bytes, as in rkt-fetch */

struct aci_layout {
	int rootfsfd;	/* owned; opened for reading */
	struct stat st; /* of the manifest file */
	char *manifest; /* owned; its bytes and a NUL */
	size_t manifest_len;
};

#define ACI_LAYOUT_INIT                                                        \
	{                                                                      \
		.rootfsfd = -1                                                 \
	}

/*
 * Appends one line to PROBLEMS for everything in DIRFD that a layout may not
 * have or lacks.  0, or -errno when DIRFD cannot be read at all.
 */
int aci_layout_check(int dirfd, struct strv *problems, struct error *err);

/* Opens a layout that passed the check.  RET must be ACI_LAYOUT_INIT. */
int aci_layout_open(int dirfd, struct aci_layout *ret, struct error *err);
void aci_layout_release(struct aci_layout *layout);
#define cleanup_aci_layout __attribute__((__cleanup__(aci_layout_release)))

#endif
