/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_EXEC_LOOKUP_H
#define STAGE1_EXEC_LOOKUP_H

/*
 * Which file argv[0] of an app means (appc B16, rkt's rules):
 *   absolute        that path
 *   contains '/'    relative to the working directory
 *   else            each directory of PATH (relative ones below the working
 *                   directory), WORKDIR:/bin:/usr/bin when PATH is not set;
 *                   what is no executable regular file is skipped
 * ROOTFD is the app's root, O_PATH is enough.  Nothing here allocates: it runs
 * between clone and exec.
 */

#include <stddef.h>

struct error;

#define EXEC_PATH_MAX 4096

/*
 * Puts the absolute path inside the root into RET (EXEC_PATH_MAX bytes).
 * PATH_ENV is the value of the app's PATH or NULL.  -ENOENT if PATH has no
 * such program, -ENAMETOOLONG, -ELOOP for magic links.  In the first two forms
 * the file need not exist: execve says so, and exec_diagnose() why.
 */
int exec_lookup(int rootfd, const char *path_env, const char *workdir,
		const char *argv0, char *ret, struct error *err);

/*
 * Explains why execve(PATH) failed with CODE (positive errno): a missing file,
 * or an existing one whose ELF loader or #! interpreter is missing, is of a
 * foreign machine, or is no program.  Always sets ERR and returns -CODE.
 */
int exec_diagnose(int rootfd, const char *path, int code, struct error *err);

#endif
