/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ENTRYPOINT_H
#define STAGE0_ENTRYPOINT_H

/*
 * Starting stage1's entrypoints.  stage1 works next to untrusted processes
 * that can reach /proc/PID/exe of whatever enters their namespaces; so it is
 * never executed from the host's file, but from a read-only clone of that
 * file's mount which no path leads to (CVE-2019-5736).
 */

#include <errno.h>
#include <stdbool.h>

#include "base/strv.h"
#include "spec/stage1_image.h"

struct error;
struct pod;
struct pod_stage1;

/*
 * A descriptor for execveat(AT_EMPTY_PATH) of DIR/PROGRAM, one of rkt's own
 * stage1s: a detached read-only mount, or a sealed copy in memory where a file
 * cannot be cloned.
 */
int entrypoint_open_program(const char *libexec_dir, const char *program,
			    struct error *err);

/* What to execute for one entrypoint of a pod's stage1. */
struct entrypoint {
	int fd;		  /* as above */
	int root_fd;	  /* of an image: its rootfs, O_PATH; or -EBADF */
	struct strv argv; /* what its arguments are added to */
};

#define ENTRYPOINT_INIT                                                        \
	{                                                                      \
		.fd = -EBADF, .root_fd = -EBADF                                \
	}

/*
 * Finds it.  What an image says is looked up below its root file system; the
 * image may have been removed from the store since.  -EOPNOTSUPP: this stage1
 * has no such entrypoint.
 */
int entrypoint_open(const struct pod *pod, const struct pod_stage1 *stage1,
		    enum stage1_entry entry, const char *libexec_dir,
		    struct entrypoint *ret, struct error *err);
void entrypoint_release(struct entrypoint *ep);
#define cleanup_entrypoint __attribute__((__cleanup__(entrypoint_release)))

/*
 * Replaces this process by EP, whose argv is whole, in the pod's directory;
 * returns only on failure.  Descriptors without close-on-exec are handed on.
 */
int entrypoint_exec(const struct pod *pod, const struct entrypoint *ep,
		    char *const envp[], struct error *err);

/* Runs EP there and waits; returns its exit code. */
int entrypoint_call(const struct pod *pod, const struct entrypoint *ep,
		    struct error *err);

#endif
