/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_HISTORY_H
#define SPEC_HISTORY_H

/*
 * Lines of a pod's `update.journal` and `history`, one JSON object each:
 *	{"time":"...","app":"web","from":1,"to":2,"state":"STAGED","text":"..."}
 * and "rollback":true where somebody asked to go back to a generation that
 * had served.  stage1 writes and settles them, stage0 reads them.
 */

#include <stdbool.h>
#include <stddef.h>

#include "spec/stage1_abi.h"

struct strbuf;

struct history_entry {
	char *time; /* UTC, microseconds */
	char *app;  /* AC Name */
	char *text;
	unsigned int from, to; /* generations */
	enum update_state state;
	bool rollback; /* asked for: `to` had served before */
};

#define HISTORY_ENTRY_INIT                                                     \
	{                                                                      \
		0                                                              \
	}

/* "STAGED"; "UNKNOWN" of what is no state. */
const char *update_state_text(enum update_state state);

/* What is to be noted. */
struct history_event {
	const char *app, *text;
	unsigned int from, to;
	enum update_state state;
	bool rollback;
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

/* True if generation NUMBER of APP served at some time, as TEXT says. */
bool history_has_run(const char *text, const char *app, unsigned int number);

/* The generation CURRENT came after when it was new; 0 if none.  Going back
 * to it and forth does not change that. */
unsigned int history_previous(const char *text, const char *app,
			      unsigned int current);

#endif
