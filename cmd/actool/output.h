/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_ACTOOL_OUTPUT_H
#define CMD_ACTOOL_OUTPUT_H

/*
 * A file that appears under its name only when it is complete: written to a
 * nameless file where the file system can do that, else to a temporary name
 * beside it, synced, then put in place.
 */

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct strbuf;

struct output {
	int dirfd, fd; /* owned */
	char *dir;     /* owned; as given, for messages */
	char *name;    /* owned; last component */
	char *temp;    /* owned; NULL = the file has no name yet */
	bool overwrite;
};

#define OUTPUT_INIT                                                            \
	{                                                                      \
		.dirfd = -1, .fd = -1                                          \
	}

/* -EEXIST if PATH exists and OVERWRITE is not set. */
int output_open(const char *path, mode_t mode, bool overwrite,
		struct output *ret, struct error *err);
int output_write(struct output *out, const struct strbuf *data,
		 struct error *err);
/* Puts the file in place.  What was not committed vanishes on release. */
int output_commit(struct output *out, struct error *err);
void output_release(struct output *out);
#define cleanup_output __attribute__((__cleanup__(output_release)))

#endif
