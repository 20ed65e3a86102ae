/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_AUTO_UPDATE_H
#define CMD_RKT_AUTO_UPDATE_H

/* What the parts of `rkt auto-update` share: the options as they were said
 * and as they count, and what came of each app. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/transact_call.h"
#include "spec/auto_update.h"
#include "spec/image_id.h"

struct cmd_call;
struct pod;
struct pods;

struct auto_update_opts {
	struct transact_opts transact; /* first: its rows are shared */
	struct strv windows;	       /* none: the configuration's */
	int64_t share;		       /* CONFIG_UNSAID, here and below */
	int64_t tries;
	int64_t success_after; /* nanoseconds */
	bool dry_run;
	bool retry; /* what is held is not */
	bool hold, release, release_all;
};

enum auto_update_outcome {
	OUTCOME_UPDATED,
	OUTCOME_CURRENT,
	OUTCOME_PLANNED, /* --dry-run: it may go */
	OUTCOME_HELD,
	OUTCOME_RELEASED,
	OUTCOME_NOT_IN_STAGE,
	OUTCOME_OUTSIDE_WINDOW,
	OUTCOME_REFUSED,
	OUTCOME_ROLLED_BACK,
	OUTCOME_FELL_BACK, /* from what had been committed */
	OUTCOME_FAILED,
};

/* What came of one app.  Strings may be NULL: not known. */
struct auto_update_result {
	char *pod;  /* UUID, or the word that was given */
	char *name; /* of the pod */
	char *app;
	char *image;	 /* its name */
	char *from, *to; /* versions; of a tag with the beginning of the ID */
	char *from_id, *to_id;
	char *reason;
	char *plan; /* JSON */
	enum auto_update_mode mode;
	enum auto_update_outcome outcome;
	enum update_strategy tier; /* UPDATE_AUTO = not known */
	int code;		   /* of rkt update */
	int64_t began, ended;	   /* nanoseconds since 1970 */
	bool is_on_trial;	   /* it is to be watched */
};

struct auto_update_results {
	struct auto_update_result *v;
	size_t n;
};

/* A name that was asked for, and what came of it. */
struct auto_update_fetched {
	char *name;
	char *why; /* in vain */
	int code;  /* 0 or -errno */
	struct image_id id;
};

/* One run of the command. */
struct auto_update_run {
	struct cmd_call *call;
	const struct auto_update_opts *opts;
	bool is_open; /* now lies in a window */
	uint32_t share;
	unsigned int tries;
	int64_t success_after;	   /* seconds */
	struct strbuf machine;	   /* its id; empty if nobody needs it */
	struct strbuf boot;	   /* its id; empty = not known */
	struct strv unsigned_from; /* registries whose images need no
				    * signature */
	struct auto_update_fetched *fetched;
	size_t n_fetched;
	struct auto_update_results results;
};

/* A new one at the end, borrowed until the next; of POD (UUID or word). */
struct auto_update_result *auto_update_add(struct auto_update_run *run,
					   const char *pod);

/* Takes the one with the index I away again. */
void auto_update_drop(struct auto_update_run *run, size_t i);

/* Updates the labelled apps of POD, or says why not; IS_ASKED for by name.
 * What came of it is in RUN's results. */
void auto_update_pod(struct auto_update_run *run, struct pod *pod,
		     bool is_asked);

/* The same of a pod that has ended: if a version on trial ended it, the one
 * before is what it starts with the next time.  Else there is no result.
 * False: somebody starts or removes it now, so that it was not looked at. */
bool auto_update_ended_pod(struct auto_update_run *run, struct pod *pod);

/* --hold, --release: of POD, which need not run. */
void auto_update_hold_pod(struct auto_update_run *run, struct pod *pod);

/* Looks at POD, of which there are results on trial, and brings those up to
 * date. */
void auto_update_watch_pod(struct auto_update_run *run, struct pod *pod);

/* Prints the results; rkt's exit code. */
int auto_update_show(const struct auto_update_run *run);

#endif
