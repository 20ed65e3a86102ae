/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_TRANSACT_CALL_H
#define CMD_RKT_TRANSACT_CALL_H

/* A transaction as it was asked for and as it ended. */

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/format.h"
#include "spec/stage1_abi.h"

struct pod;

enum transact_wait {
	WAIT_COMMITTED = 0, /* until the transaction is over */
	WAIT_SWITCHED,	    /* until new connections go to the new one */
};

/* For who prints himself: what became of it. */
struct transact_report {
	struct strbuf text; /* the last that was said */
	/* With --plan, in JSON: objects with commas between them. */
	struct strbuf plans;
	enum update_strategy tier; /* UPDATE_AUTO = not known */
	bool is_done;		   /* not only nothing to do */
};

struct transact_opts {
	struct transact_report *report; /* NULL: it is printed */
	const char *who;		/* asks, for the history; NULL: see the
					 * login */
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

/* One app of a transaction. */
struct transact_part {
	const char *app;
	unsigned int from, to; /* generations; to 0 = none yet */
	/* How it went, once that is known. */
	enum update_strategy tier; /* UPDATE_AUTO = undecided */
	struct update_counts counts;
	char note[CONTROL_TEXT_MAX]; /* why no higher tier; "" */
};

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

#endif
