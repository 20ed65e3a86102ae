/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_HISTORY_H
#define SPEC_HISTORY_H

/*
 * Lines of a pod's `update.journal` and `history`, one JSON object each:
 *	{"time":"...","app":"web","from":1,"to":2,"state":"STAGED","text":"..."}
 * stage1 writes and settles them, stage0 reads them.
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
};

#define HISTORY_ENTRY_INIT                                                     \
	{                                                                      \
		0                                                              \
	}

/* "STAGED"; "UNKNOWN" of what is no state. */
const char *update_state_text(enum update_state state);

/* Appends the line with its newline; the time is now. */
void history_line_make(const char *app, unsigned int from, unsigned int to,
		       enum update_state state, const char *text,
		       struct strbuf *line);

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

/* The generation that served before CURRENT did last; 0 if none. */
unsigned int history_previous(const char *text, const char *app,
			      unsigned int current);

#endif
