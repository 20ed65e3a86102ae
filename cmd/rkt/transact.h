/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_TRANSACT_H
#define CMD_RKT_TRANSACT_H

/* What update and rollback share: asking stage1 and showing what it does. */

#include <stdbool.h>

#include "base/option.h"
#include "base/strv.h"
#include "cmd/rkt/format.h"
#include "spec/stage1_abi.h"

struct error;
struct images;
struct pod;

enum transact_wait {
	WAIT_COMMITTED = 0, /* until the transaction is over */
	WAIT_SWITCHED,	    /* until new connections go to the new one */
};

struct transact_opts {
	enum output_format format;
	enum transact_wait wait;
	struct strv apps;      /* --app */
	int64_t ready_timeout; /* nanoseconds */
	int64_t observe;
	int64_t drain_timeout;
	enum update_strategy strategy;
	uint32_t canary_share; /* of 10,000 connections */
	int64_t canary;	       /* for how long */
	const char *probe;
	bool hold; /* --on-fail */
};

/* --app, --strategy, how it is to go, --wait and --format. */
extern const struct option_row transact_rows[];
void transact_init(struct transact_opts *o);

/* One app of a transaction. */
struct transact_part {
	const char *app;
	unsigned int from, to; /* generations; to 0 = none yet */
};

/* One transaction, as asked for and as it ended. */
struct transact_call {
	const struct transact_opts *opts;
	const struct pod *pod;
	/* All of them switch and are committed, or none is. */
	struct transact_part parts[POD_APPS_MAX];
	size_t n_parts;
	enum update_strategy strategy; /* asked of stage1 */
	unsigned int flags;	       /* enum control_flags */
	int64_t keep;		       /* earlier generations that stay */
	/* The pod has taken the generation over, and removes it itself if it
	 * is not committed. */
	bool is_accepted;
	bool is_committed;
};

/*
 * Lets the running pod move each app to its generation `to`, over the tree of
 * that generation's image.  Prints a line, or object, a state and one at the
 * end. Returns the exit code (0, 10, 11, 12, 254) or a negative errno.
 */
int transact(struct images *im, struct transact_call *call, struct error *err);

/*
 * The line or object at the end of what did not come to a transaction: CODE
 * is the exit code, which is returned.  Lines about failures go to stderr.
 */
int transact_end(const struct transact_call *call, int code, const char *text);

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
