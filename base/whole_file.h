/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WHOLE_FILE_H
#define BASE_WHOLE_FILE_H

/*
 * A file that appears under its name only when it is complete: written to a
 * nameless file where the file system can do that, else to a temporary name
 * beside it, synced, then put in place.
 */

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct strbuf;

struct whole_file {
	int dirfd, fd; /* owned */
	char *dir;     /* owned; as given, for messages */
	char *name;    /* owned; last component */
	char *temp;    /* owned; NULL = the file has no name yet */
	bool overwrite;
};

#define WHOLE_FILE_INIT                                                        \
	{                                                                      \
		.dirfd = -1, .fd = -1                                          \
	}

/* -EEXIST if PATH exists and OVERWRITE is not set; -EINVAL if it is no regular
 * file, also for a symlink to one. */
int whole_file_open(const char *path, mode_t mode, bool overwrite,
		    struct whole_file *ret, struct error *err);
int whole_file_write(struct whole_file *out, const struct strbuf *data,
		     struct error *err);
/* Puts the file in place.  What was not committed vanishes on release. */
int whole_file_commit(struct whole_file *out, struct error *err);
void whole_file_release(struct whole_file *out);
#define cleanup_whole_file __attribute__((__cleanup__(whole_file_release)))

#endif
