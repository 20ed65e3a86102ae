/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_HISTORY_H
#define SPEC_HISTORY_H

/*
 * Lines of a pod's `update.journal` and `history`, one JSON object each:
 *	{"time":"...","app":"web","from":1,"to":2,"state":"STAGED","text":"..."}
 * and "rollback":true where somebody asked to go back to a generation that
 * had served.  What else is known of the transaction stands in any line of
 * the journal; the line of the history has all of it, and "states", when each
 * was entered.  stage1 writes and settles them, stage0 reads them.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/stage1_abi.h"

struct strbuf;
struct strv;

/* When a state was entered, since the request. */
struct history_step {
	enum update_state state;
	uint64_t us;
};

#define HISTORY_STEPS_MAX 64

struct history_entry {
	char *time; /* UTC, microseconds */
	char *app;  /* AC Name */
	char *text;
	unsigned int from, to; /* generations */
	enum update_state state;
	bool rollback;	  /* asked for: `to` had served before */
	bool interrupted; /* rolled back because the pod ended: nobody's fault
			   */
	char *who;	  /* NULL = not noted, here and below */
	char *from_image, *to_image; /* NAME:VERSION */
	char *from_id, *to_id;	     /* image IDs */
	enum update_strategy tier;   /* UPDATE_AUTO = not noted */
	uint64_t us;		     /* since the request */
	struct update_counts counts;
	struct history_step steps[HISTORY_STEPS_MAX]; /* history only */
	size_t n_steps;
};

#define HISTORY_ENTRY_INIT                                                     \
	{                                                                      \
		0                                                              \
	}

/* "STAGED"; "UNKNOWN" of what is no state. */
const char *update_state_text(enum update_state state);

/* "restart", "handover", ...; "auto" of what is none. */
const char *update_strategy_text(enum update_strategy strategy);
/* The other way round; false if TEXT is none of them. */
bool update_strategy_parse(const char *text, enum update_strategy *ret);

/* What is to be noted. */
struct history_event {
	const char *app, *text;
	unsigned int from, to;
	enum update_state state;
	bool rollback, interrupted;
	const char *who;		    /* NULL = nothing, here and below */
	const char *from_image, *to_image;  /* NAME:VERSION */
	const char *from_id, *to_id;	    /* image IDs */
	enum update_strategy tier;	    /* UPDATE_AUTO = nothing */
	uint64_t us;			    /* since the request */
	const struct update_counts *counts; /* NULL = nothing */
};

/* Appends the line of EVENT with its newline; the time is now. */
void history_line_make(const struct history_event *event, struct strbuf *line);

/* LINE is LEN bytes, its newline may be there.  False if it is no entry. */
bool history_line_parse(const char *line, size_t len,
			struct history_entry *ret);
void history_entry_release(struct history_entry *entry);
#define cleanup_history_entry                                                  \
	__attribute__((__cleanup__(history_entry_release)))

/*
 * The next line of *TEXT (as strsep(3)) that is an entry, into RET; false at
 * the end.  Lines that are none are skipped.
 */
bool history_next(char **text, struct history_entry *ret);

/*
 * What of a journal goes to the history when its transaction is over: a line
 * an app, its last one with all that its other lines say.  Lines that are
 * none, and a torn one at the end, do not count.  Pure.
 */
void history_close_make(const char *journal, size_t len, struct strbuf *out);

/* True if generation NUMBER of APP served at some time, as TEXT says. */
bool history_has_run(const char *text, const char *app, unsigned int number);

/* The generation CURRENT came after when it was new; 0 if none.  Going back
 * to it and forth does not change that. */
unsigned int history_previous(const char *text, const char *app,
			      unsigned int current);

/*
 * True if APP has gone back from IMAGE (NAME:VERSION) and not gone there again
 * since: an update to it failed, or somebody rolled it back.  *RET_TIME is when
 * that was, as in a line, malloc'ed.
 */
bool history_is_held(const char *text, const char *app, const char *image,
		     char **ret_time);

/* Of `who` of what rkt auto-update does. */
#define HISTORY_AUTO_UPDATE "auto-update"

/* The time as it stands in lines. */
void history_now(struct strbuf *out);
/* TEXT from behind its last line that is not later than TIME (NULL: never). */
const char *history_after(const char *text, const char *time);

/*
 * How many updates of APP to IMAGE (NAME:VERSION or an image ID) have failed
 * since one was last committed, or HISTORY_WENT_BACK if somebody went back
 * from it since: not rkt auto-update, which remembers that itself.  *RET_TIME
 * (may be NULL) is when the last did, malloc'ed; NULL if none did.
 */
#define HISTORY_WENT_BACK UINT_MAX
unsigned int history_count_failed(const char *text, const char *app,
				  const char *image, char **ret_time);

/* The images (NAME:VERSION) that APP went to or came from, as far as TEXT
 * says, each once; and the IDs of those between which there is no other
 * difference. */
void history_list_images(const char *text, const char *app, struct strv *ret);

/* True if generation N of APP is CURRENT, or one of the KEEP before it, each
 * the one the next came after. */
bool history_keeps(const char *text, const char *app, unsigned int current,
		   unsigned int keep, unsigned int n);

/* What POD_KEEP_FILE says; UPDATE_KEEP if that is nothing, or NULL. */
unsigned int history_keep_parse(const char *text);

#endif
