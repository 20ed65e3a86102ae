/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_UPDATE_H
#define STAGE1_UPDATE_H

/*
 * An update transaction (DESIGN "Live update").  stage1 is the
 * actor: the command that asked for it may die, the transaction still ends
 * COMMITTED or ROLLED_BACK.  Every state is in update.journal, synced,
 * before the next step; the committed generation is what appsinfo/APP points
 * to, and that link changes in one rename.
 *
 * handover: both generations run, the new one's sockets beside the old one's
 * (stage1/handover.h).  When it listens wherever the old one does and answers
 * a probe there, new connections go to it; when it has been observed it is
 * committed, and the old one ends when its clients have gone.
 *
 * restart: the new generation is prepared up to its execve while the old one
 * serves; the old one's listening sockets are held; it is stopped; the new
 * one executes and takes the sockets over as it binds.  It is ready when it
 * listens wherever the old one did, or, if that did nowhere, when it has
 * stayed alive for a second.
 */

#include <stddef.h>

#include "spec/stage1_abi.h"

struct error;
struct pod;

struct update_part {
	const struct control_request *request;
	int tree_fd; /* the new image's root; borrowed */
};

/*
 * Starts a transaction of N apps: all switch and are committed together, or
 * none is.  CONN (where replies go) is taken in any case.  Failing here has
 * changed nothing: *ret_exit is the exit code of the refusal.
 */
int update_start(struct pod *pod, const struct update_part *parts, size_t n,
		 int conn, int *ret_exit, struct error *err);

/*
 * What an update of the app NAME would meet if it began now: *RET is the
 * highest tier that what runs allows, whatever the new image says, and WHY no
 * higher one.  Negative, with the reason there: it would be refused.
 */
int update_plan(struct pod *pod, const char *name, enum update_strategy *ret,
		struct error *why);

/* Ends the running transaction by rolling back; -ENOENT if there is none. */
int update_abort(struct pod *pod, struct error *err);

/* CONN (taken) gets the replies of the running transaction from now on, and
 * one that is on hold tries again; -ENOENT if there is none. */
int update_resume(struct pod *pod, int conn, struct error *err);

/* "idle", or the state the running transaction is in. */
const char *update_state_name(const struct pod *pod);

#endif
