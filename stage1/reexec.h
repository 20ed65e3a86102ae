/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_REEXEC_H
#define STAGE1_REEXEC_H

/*
 * Another stage1 goes on with a pod that runs (`rkt update --runtime`): this
 * process executes it, so children, descriptors, process number and locks
 * stay, and hands over a record of what it knows (stage1/state.h).  Apps see
 * nothing of it.
 *
 * Before that the new one is tried in a child with such a record, beside the
 * loop; then, when nothing is between two states, once more with the very
 * record and descriptors it is to go on from, while nobody supervises: that
 * takes milliseconds.  Whatever goes wrong up to its execve leaves everything
 * as it is; if it fails after that, though it just did the same without
 * failing, it executes this one again (stage1/adopt.h).
 */

#include <stdbool.h>
#include <stdint.h>

struct pod;
struct runtime_request;

/* Takes PROGRAM and CONN, where the answer goes. */
void reexec_request(struct pod *pod, const struct runtime_request *request,
		    int program, int conn);

/* The pod ends: so does this. */
void reexec_drop(struct pod *pod);

/* This one goes on since now.  Takes CONN; OK: as was asked for, else it is
 * the one from before. */
void reexec_done(int conn, const char *old_version, uint64_t left_ns, bool ok);

#endif
