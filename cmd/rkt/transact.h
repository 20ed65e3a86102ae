/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_TRANSACT_H
#define CMD_RKT_TRANSACT_H

/* What update and rollback share: asking stage1 and showing what it does. */

#include <stdbool.h>

#include "base/option.h"
#include "spec/stage1_abi.h"

struct error;
struct images;
struct pod;

struct transact_opts {
	const char *app;
	int64_t ready_timeout; /* nanoseconds */
	int64_t observe;
	int64_t drain_timeout;
	enum update_strategy strategy;
	uint32_t canary_share; /* of 10,000 connections */
	int64_t canary;	       /* for how long */
	const char *probe;
	bool hold; /* --on-fail */
};

/* --app, --strategy and how it is to go. */
extern const struct option_row transact_rows[];
void transact_init(struct transact_opts *o);

/*
 * Lets the running pod move APP to generation N, over the tree of that
 * generation's image; FLAGS: enum control_flags.  Prints a line a state.
 * Returns the exit code (0, 10, 11, 12, 254) or a negative errno.  Where
 * *RET_ACCEPTED is true the pod has taken the generation over, and removes
 * it itself if it is not committed.
 */
int transact(struct images *im, const struct pod *pod, const char *app,
	     unsigned int n, unsigned int flags, const struct transact_opts *o,
	     bool *ret_accepted, struct error *err);

/* A lock against other updates of the pod, which must be running (-ESRCH)
 * with none under way (-EBUSY).  The caller closes it. */
int transact_lock(const struct pod *pod, struct error *err);

/* Follows the update that is under way; one that is on hold tries again.  The
 * exit code as of transact(). */
int transact_resume(const struct pod *pod, struct error *err);

/* Asks for the end of the update that is under way; returns when it begins
 * to roll back: 0, 254 when there is none, or a negative errno. */
int transact_abort(const struct pod *pod, struct error *err);

#endif
