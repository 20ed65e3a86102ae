/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CONSOLE_H
#define STAGE1_CONSOLE_H

/*
 * `rkt run --interactive`: the app gets a pseudo terminal of the pod's own
 * devpts, and the caller's terminal is joined to it in raw mode, with window
 * size changes.  ^] three times within a second ends the pod (exit code 1).
 */

#include "base/strbuf.h"
#include "base/terminal.h"
#include "stage1/event.h"

struct error;
struct json_node;
struct state_writer;

struct console {
	struct event_loop *loop;
	struct event_source input;  /* the caller's stdin */
	struct event_source master; /* our side of the pty */
	struct strbuf to_app;
	int slave;
	struct terminal terminal; /* the caller's */
	struct escape escape;
	void (*on_escape)(void *data);
	void *data;
};

/* A pseudo terminal of PTS, a directory descriptor of the pod's devpts; our
 * side does not block. */
int console_open_pty(int pts, int *ret_master, int *ret_slave,
		     struct error *err);

/* PTS is a directory descriptor of the pod's devpts. */
int console_open(struct console *console, int pts, struct event_loop *loop,
		 void (*on_escape)(void *), void *data, struct error *err);
/* Borrowed: becomes the app's stdio and /dev/console. */
int console_slave(const struct console *console);
/* After SIGWINCH. */
void console_resize(struct console *console);
/* Shows what the app still said, and gives the terminal back as it was. */
void console_close(struct console *console);

/* For another supervisor (stage1/state.h). */
void console_save(const struct console *console, struct state_writer *w,
		  const char *key);
int console_restore(const struct json_node *node, struct console *console,
		    struct event_loop *loop, void (*on_escape)(void *),
		    void *data, struct error *err);

#endif
