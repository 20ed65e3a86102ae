/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ENTRYPOINT_H
#define STAGE0_ENTRYPOINT_H

/*
 * Starting stage1's entrypoints.  stage1 works next to untrusted processes
 * that can reach /proc/PID/exe of whatever enters their namespaces; so it is
 * never executed from the host's file, but from a read-only clone of that
 * file's mount which no path leads to (CVE-2019-5736).
 */

#include <stdbool.h>

struct error;
struct pod;

/*
 * A descriptor for execveat(AT_EMPTY_PATH) of DIR/stage1: a detached
 * read-only mount, or a sealed copy in memory where a file cannot be cloned.
 */
int entrypoint_open(const char *libexec_dir, struct error *err);

/*
 * Replaces this process by `stage1 ARGV...`, FD of entrypoint_open(), in the
 * pod's directory; returns only on failure.  Descriptors without close-on-exec
 * are handed on.
 */
int entrypoint_exec(const struct pod *pod, int fd, char *const argv[],
		    char *const envp[], struct error *err);

/* Runs `stage1 ARGV...` there and waits; returns its exit code. */
int entrypoint_call(const struct pod *pod, const char *libexec_dir,
		    char *const argv[], struct error *err);

#endif
