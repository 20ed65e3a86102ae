/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_APP_CHANGE_H
#define STAGE1_APP_CHANGE_H

/*
 * Apps of a mutable pod, which come, start, stop and go while it runs (rkt
 * app).
 *
 *	add -> idle -> start -> runs -> (ends, or stop) -> idle -> remove
 *
 * The pod's manifest is what counts: stage0 has made the files of an app
 * before it is added, and what a kill leaves of one that is not in the
 * manifest is removed by the next command.  An idle app is `done` and keeps
 * its tree, to be started from, in a clean root as always.  POD_IDLE_DIR says
 * which apps are not to be started with the pod.
 */

struct app_change_ops;
struct control_request;
struct error;
struct pod;

/*
 * Does what REC (a CONTROL_APP_*) asks for, with the tree TREE that came with
 * it, which is taken where it is kept.  Takes CONN, which is answered now or
 * when it is done; on failure it is closed without an answer.
 */
int app_change(struct pod *pod, const struct control_request *rec, int *tree,
	       int conn, struct error *err);

/* What the supervisor tells of the apps of a mutable pod: pod->changes. */
extern const struct app_change_ops app_change_ops;

#endif
