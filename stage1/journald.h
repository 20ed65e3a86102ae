/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_JOURNALD_H
#define STAGE1_JOURNALD_H

/*
 * Lines to the host's journal, in its own protocol: a datagram of KEY=VALUE
 * lines for each (systemd.io, "Native Journal Protocol").  What journald does
 * not take at once waits here, and who sends is told to stop; what it never
 * takes, because it has gone, is counted and said.  So is what comes when more
 * than JOURNALD_WAITING_MAX bytes wait: who sends has not stopped.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "stage1/event.h"

#define JOURNALD_WAITING_MAX (16UL << 20)
#define JOURNALD_SOCKET "/run/systemd/journal/socket"

struct journald {
	struct event_loop *loop;
	const char *path;	    /* of its socket; borrowed */
	struct event_source source; /* .fd is -EBADF: not in use */
	struct strbuf pending;	    /* datagrams, each after its size */
	size_t sent;		    /* bytes of them that are done */
	size_t begun;		    /* where the last one starts */
	bool is_full;
	bool is_only; /* what it does not take is nowhere */
	/* Told when journald takes no more, and when it has taken all. */
	void (*on_full)(struct journald *j, bool is_full);
	void *data;
	uint64_t n_lost;
	uint64_t n_dropped; /* since it was full */
};

#define JOURNALD_INIT                                                          \
	{                                                                      \
		.source = {.fd = -EBADF}, .pending = STRBUF_INIT               \
	}

/* True if FD, standard output as systemd opened it for a unit, is a stream
 * to the journal; VARIABLE is JOURNAL_STREAM's value, or NULL. */
bool journald_is_stream(int fd, const char *variable);

/* -errno if nobody listens at PATH. */
int journald_open(struct journald *j, struct event_loop *loop,
		  const char *path);
/* Waits up to a few seconds for what it has not taken. */
void journald_close(struct journald *j);

/*
 * One datagram: its fields are appended to what journald_begin() returns.  Some
 * are gathered and sent together, at journald_flush() at the latest.
 */
struct strbuf *journald_begin(struct journald *j);
void journald_end(struct journald *j);
void journald_flush(struct journald *j);

/* What another supervisor has to send, as its j->pending.  Borrowed. */
struct strbuf journald_unsent(const struct journald *j);

/* --- pure ----------------------------------------------------------------- */

/*
 * Appends the fields of one LINE (LEN bytes, no newline) to those in SB.
 * "<3>text" is text with priority 3, as systemd takes it from standard output;
 * without it the priority is 6, informational.
 */
void journald_line(struct strbuf *sb, const char *line, size_t len,
		   bool is_complete);

/* Appends KEY=VALUE; what a newline in VALUE would begin is left out. */
void journald_field(struct strbuf *sb, const char *key, const char *value);

#endif
