/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_TRANSACT_H
#define CMD_RKT_TRANSACT_H

/* What update and rollback share: asking stage1 and showing what it does. */

#include "base/option.h"
#include "cmd/rkt/transact_call.h"

struct error;
struct images;
struct pod;

/* How it is to go: --observe, --strategy, ... */
extern const struct option_row transact_how_rows[];
/* --app, --on-fail, --wait and --format. */
extern const struct option_row transact_rows[];
void transact_init(struct transact_opts *o);

/*
 * Lets the running pod move each app to its generation `to`, over the tree of
 * that generation's image.  Prints a line, or object, a state and one at the
 * end. Returns the exit code (0, 10, 11, 12, 254) or a negative errno.
 */
int transact(struct images *im, struct transact_call *call, struct error *err);

/* A lock against other updates of the pod, which must be running (-ESRCH)
 * with none under way (-EBUSY).  The caller closes it. */
int transact_lock(const struct pod *pod, struct error *err);
/* The same without a lock, for who changes nothing: 0. */
int transact_check(const struct pod *pod, struct error *err);

/* Follows the update that is under way; one that is on hold tries again.  The
 * exit code as of transact(). */
int transact_resume(struct transact_call *call, struct error *err);

/* Asks for the end of the update that is under way; returns when it begins
 * to roll back: 0, 254 when there is none, or a negative errno. */
int transact_abort(const struct transact_call *call, struct error *err);

#endif
