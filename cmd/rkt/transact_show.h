/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_TRANSACT_SHOW_H
#define CMD_RKT_TRANSACT_SHOW_H

/*
 * What is printed of a transaction: a line or JSON object a state, and at the
 * end one for all, with a line an app where they are several.
 */

#include <stdbool.h>

struct cmd_call;
struct control_reply;
struct transact_call;

bool show_is_json(const struct transact_call *call);

void show_progress(const struct transact_call *call,
		   const struct control_reply *reply);

/* The end; returns the exit code. */
int show_done(const struct transact_call *call,
	      const struct control_reply *reply);

/* The transaction goes on without us; returns 0. */
int show_switched(const struct transact_call *call,
		  const struct control_reply *reply);

/* For struct command: an object, if that is what CALL asks for.  Its opts
 * begin with a struct transact_opts. */
bool show_failed(const struct cmd_call *call, const char *text);

/* The object at the end of what was no transaction. */
void show_end(const struct transact_call *call, const char *result, int code,
	      const char *text);

/*
 * The line or object at the end of what did not come to a transaction: CODE
 * is the exit code, which is returned.  Lines about failures go to stderr.
 */
int transact_end(const struct transact_call *call, int code, const char *text);

#endif
