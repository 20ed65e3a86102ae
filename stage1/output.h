/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_OUTPUT_H
#define STAGE1_OUTPUT_H

/*
 * What apps print.  Each app's stdout and stderr are pipes that end here;
 * every line goes to logs/APP in the CRI format
 *	2006-01-02T15:04:05.000000000Z stdout F text
 * (P instead of F: the line goes on in the next record) and to the terminal
 * as rkt shows it: "[  12.345678] APP[PID]: text".  Where the terminal is a
 *unit's stream to the journal, lines go to the journal itself instead, with
 *fields.
 *
 * A log is rotated to APP.1, APP.2, ... when it reaches OUTPUT_LOG_MAX; the
 * last OUTPUT_LOGS_KEPT stay.  A terminal or a journal that does not take its
 * bytes stops the reading of the pipes, never the supervisor.  What a process
 *that ends leaves in its pipe is read all the same: beyond OUTPUT_WAITING_MAX
 *and JOURNALD_WAITING_MAX it goes to the log alone, is counted and said.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"
#include "stage1/event.h"
#include "stage1/journald.h"

struct error;
struct json_node;
struct state_writer;

#define OUTPUT_LOG_MAX (10L * 1024 * 1024)
#define OUTPUT_LOGS_KEPT 4
#define OUTPUT_LINE_MAX 16384
#define OUTPUT_WAITING_MAX (16UL << 20) /* for the terminal */

struct output_stream;

/* Where lines are kept: --log. */
enum output_kept {
	OUTPUT_KEPT_ALL,     /* in the log, and in the journal if the terminal
			      * is a unit's stream to it */
	OUTPUT_KEPT_FILE,    /* in the log alone */
	OUTPUT_KEPT_JOURNAL, /* in the journal alone */
};

/* One a pod. */
struct output {
	enum output_kept kept;
	struct event_loop *loop;
	int logs_dirfd;
	int terminal;	       /* -EBADF: nobody looks */
	struct strbuf pending; /* not yet taken by the terminal */
	uint64_t n_unshown;    /* lines that were too many for `pending` */
	struct event_source terminal_source;
	struct journald journal; /* instead of a terminal */
	struct output_stream *streams;
};

/* One an app. */
struct output_log {
	struct output *output;
	char *app;
	int fd;
	off_t size;
	bool is_losing; /* said, and not over */
};

/* One a pipe. */
struct output_stream {
	struct output_log *log;
	const char *name; /* "stdout" or "stderr" */
	pid_t pid;	  /* shown on the terminal */
	struct event_source source;
	struct strbuf line;   /* begun, not ended */
	struct strbuf fields; /* of each line in the journal */
	bool is_terminal;     /* its lines end with "\r\n" */
	/* Gets what was read as it is, at most OUTPUT_LINE_MAX at once; may be
	 * NULL. */
	void (*tap)(void *data, const char *buf, size_t n);
	void *tap_data;
	struct output_stream *next;
};

/* TERMINAL is borrowed; a negative one only keeps lines.  JOURNAL_STREAM says
 * whether it is the journal's.  -ENOENT and the like: no journal for
 * OUTPUT_KEPT_JOURNAL. */
int output_init(struct output *output, struct event_loop *loop, int pod_dirfd,
		int terminal, enum output_kept kept, struct error *err);
void output_release(struct output *output);
/* Stops showing: what comes now goes to the logs alone. */
void output_detach_terminal(struct output *output);

int output_log_open(struct output_log *log, struct output *output,
		    const char *app, struct error *err);
void output_log_close(struct output_log *log);

/* Takes FD, the reading end.  PID, is_terminal and the tap may be set later in
 * the struct. */
int output_stream_open(struct output_stream *stream, struct output_log *log,
		       const char *name, int fd, struct error *err);
/* The journal's fields of the stream's lines; IMAGE is "NAME:VERSION". */
void output_stream_describe(struct output_stream *stream, const char *pod,
			    unsigned int generation, const char *image);
/* Reads what is there, then closes; an unfinished line is written out. */
void output_stream_close(struct output_stream *stream);

/* --- for another supervisor (stage1/state.h) --------------------------------
 */

void output_save(const struct output *output, struct state_writer *w,
		 const char *key);
/* The same as output_init(), and what the terminal has not taken. */
int output_restore(const struct json_node *node, struct output *output,
		   struct event_loop *loop, int pod_dirfd,
		   enum output_kept kept, struct error *err);
/* When every stream is there: none is read before the terminal is. */
void output_resume(struct output *output);

void output_stream_save(const struct output_stream *stream,
			struct state_writer *w, const char *key);
/* Nothing if it was closed. */
int output_stream_restore(const struct json_node *node,
			  struct output_stream *stream, struct output_log *log,
			  const char *name, struct error *err);

#endif
