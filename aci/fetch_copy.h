/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_FETCH_COPY_H
#define ACI_FETCH_COPY_H

/*
 * Copies files from one place to another by two processes of rkt-fetch with a
 * pipe between them (fetch_client.h): one can only read what is copied, the
 * other has the target directory as its root and sees nothing else.
 */

#include <stdbool.h>
#include <stdint.h>

struct error;

struct fetch_copy {
	/* From: a file or directory (O_PATH will do), or a tar. */
	int from_fd; /* negative: from_tar */
	int from_tar;
	bool is_live;		  /* others write there meanwhile */
	uint32_t first_id, n_ids; /* aci_write.h */
	/* To: below a directory, or as a tar. */
	int to_mount;  /* detached, used up; negative: to_tar */
	int to_userns; /* as its root; negative: as the caller */
	int to_tar;
	bool keep_owner; /* tar_unpack.h */
	/* What it is called there, 255 bytes at most; "." to fill the
	 * directory itself. */
	const char *name;
	/* What errors of either side call it; NULL: a tar. */
	const char *from, *to;
	uint64_t n_left_out; /* set: sockets and device nodes */
};

/* One of the two sides may be a tar.  What failed leaves no file half written,
 * but those that were done. */
int fetch_copy(const char *libexec_dir, struct fetch_copy *copy,
	       struct error *err);

#endif
