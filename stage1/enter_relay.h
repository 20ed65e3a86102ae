/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ENTER_RELAY_H
#define STAGE1_ENTER_RELAY_H

/* What a command in a pod (stage1/enter.c) prints, on its way to a terminal of
 * the caller's.  The command does not get that terminal itself. */

#include "stage1/event.h"

struct error;

struct enter_relay {
	struct event_source source; /* the pipe's end */
	struct event_loop *loop;
	int to;
	int theirs; /* the command's end, until it has it */
};

#define ENTER_RELAY_INIT                                                       \
	{                                                                      \
		.source = {.fd = -EBADF}, .theirs = -EBADF                     \
	}

/* The command gets R->theirs; what it writes there goes to TO. */
int enter_relay_open(struct enter_relay *r, struct event_loop *loop, int to,
		     struct error *err);
/* All that is there: what runs on in the background may never end. */
void enter_relay_close(struct enter_relay *r);

#endif
