/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TAR_UNPACK_H
#define ACI_TAR_UNPACK_H

/*
 * Unpacks any tar into the working directory, which in rkt-fetch is the root
 * of everything the process can reach, and may have anything in it.  Files are
 * replaced whole, by renaming.  No symbolic link is followed; a directory does
 * not take the place of something else, nor something else a directory's.
 */

#include <stdbool.h>

struct error;

struct tar_unpack {
	/* Every entry is this or below it.  ".": the working directory, whose
	 * own properties stay. */
	const char *name;
	/* If not, all belongs to 0:0, without set-user-ID and set-group-ID
	 * bits and capabilities. */
	bool keep_owner;
};

/*
 * Reads FD, a file or a pipe, to the end; plain, or compressed with gzip,
 * bzip2, xz or zstd.  Device nodes are an error.  -EINVAL: no such tar.
 */
int tar_unpack(int fd, const struct tar_unpack *options, struct error *err);

#endif
