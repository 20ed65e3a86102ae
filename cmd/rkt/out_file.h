/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_OUT_FILE_H
#define CMD_RKT_OUT_FILE_H

/* A file that a command writes for the user. */

#include <stdbool.h>

struct error;

/* Writes it to FD. */
typedef int (*out_file_fill)(void *arg, int fd, struct error *err);

/*
 * PATH with what FILL writes, once it is whole and on the disk: a failure
 * leaves what was there.  Without OVERWRITE an existing one is an error, EXISTS
 * its text.
 */
int out_file_write(const char *path, bool overwrite, const char *exists,
		   out_file_fill fill, void *arg, struct error *err);

#endif
