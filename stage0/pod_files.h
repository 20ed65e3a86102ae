/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_FILES_H
#define STAGE0_POD_FILES_H

/* Small files of a pod directory. */

#include <stddef.h>
#include <sys/types.h>

struct error;

/*
 * A file that does not exist yet, in a directory only we write: no temporary
 * name is needed, a kill leaves a pod that never left `prepare`.
 */
int pod_file_new(int dirfd, const char *name, mode_t mode, const void *data,
		 size_t len, struct error *err);

/* Syncs every file and directory below DIRFD; the whole file system if there
 * is a copied root file system. */
int pod_files_sync(int dirfd, struct error *err);

#endif
