/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_STATE_H
#define STAGE1_STATE_H

/*
 * What a supervisor knows and cannot find out again, as a record another one
 * goes on from: stage1 executes a newer version of itself (stage1/reexec.h),
 * which keeps its process number, its children and the descriptors the record
 * names.
 *
 * The record is JSON.  What a struct has in it is a table of rows: one table
 * for both directions.  Reading is strict, because to go on without a part of
 * the state would be worse than not to go on: a member that no row knows and a
 * row without its member are errors, so an older stage1 refuses what a newer
 * one added.  A row that was added later is OPTIONAL: what it is about stays as
 * it is when the record has none.
 *
 * Times are CLOCK_MONOTONIC, which an execve does not change.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "stage1/event.h"

struct error;

/* Raised when an old stage1 would misread a record it knows all members of. */
#define STATE_FORMAT 1

enum state_kind {
	STATE_BOOL,
	STATE_SIGNED,	/* of `size` bytes */
	STATE_UNSIGNED, /* the same */
	STATE_FD,	/* int; null if it is none */
	STATE_TEXT,	/* char * */
	STATE_NULLABLE, /* the same, or NULL */
	STATE_CHARS,	/* char[size], terminated */
	STATE_BYTES,	/* struct strbuf, as hex digits */
	STATE_STRV,
	STATE_TIMER,   /* when it is due; nothing else of it, and it is armed by
			* who reads: event_timer_resume() */
	STATE_ADDRESS, /* struct sockaddr_storage, as hex digits */
	STATE_NESTED,  /* known, but read and written by somebody else; may be
			* missing */
};

struct state_row {
	const char *key;
	enum state_kind kind;
	bool optional;
	size_t offset, size;
};

#define STATE_KIND(lvalue)                                                     \
	_Generic((lvalue),                                                     \
		bool: STATE_BOOL,                                              \
		int: STATE_SIGNED,                                             \
		long: STATE_SIGNED,                                            \
		unsigned short: STATE_UNSIGNED,                                \
		unsigned int: STATE_UNSIGNED,                                  \
		unsigned long: STATE_UNSIGNED,                                 \
		unsigned long long: STATE_UNSIGNED,                            \
		char *: STATE_TEXT,                                            \
		struct strbuf: STATE_BYTES,                                    \
		struct strv: STATE_STRV,                                       \
		struct event_timer: STATE_TIMER,                               \
		struct sockaddr_storage: STATE_ADDRESS)

#define STATE_ROW_OF(type, member, what, name)                                 \
	{                                                                      \
		.key = (name), .kind = (what),                                 \
		.offset = offsetof(type, member),                              \
		.size = sizeof(((type *)0)->member)                            \
	}
/* A member, whose type says how; and the same under another name. */
#define STATE_ROW(type, member) STATE_ROW_AS(type, member, #member)
#define STATE_ROW_AS(type, member, name)                                       \
	STATE_ROW_OF(type, member, STATE_KIND(((type *)0)->member), name)
#define STATE_FD_ROW(type, member) STATE_FD_ROW_AS(type, member, #member)
#define STATE_FD_ROW_AS(type, member, name)                                    \
	STATE_ROW_OF(type, member, STATE_FD, name)
/* One that was added later. */
#define STATE_OPTIONAL_FD_ROW(type, member)                                    \
	STATE_OPTIONAL_FD_ROW_AS(type, member, #member)
#define STATE_OPTIONAL_FD_ROW_AS(type, member, name)                           \
	{                                                                      \
		.key = (name), .kind = STATE_FD, .optional = true,             \
		.offset = offsetof(type, member), .size = sizeof(int)          \
	}
#define STATE_NULLABLE_ROW(type, member)                                       \
	STATE_ROW_OF(type, member, STATE_NULLABLE, #member)
#define STATE_CHARS_ROW(type, member)                                          \
	STATE_ROW_OF(type, member, STATE_CHARS, #member)
#define STATE_NESTED_ROW(name)                                                 \
	{                                                                      \
		.key = (name), .kind = STATE_NESTED                            \
	}

/* --- writing ---------------------------------------------------------------
 */

struct state_writer {
	struct json_writer json;
	/* Those the record names: the next stage1 has to have them. */
	int *fds;
	size_t n_fds;
};

void state_writer_init(struct state_writer *w, struct strbuf *out);
void state_writer_release(struct state_writer *w);

/* The members of FROM into the object that is open. */
void state_write(struct state_writer *w, const struct state_row *rows, size_t n,
		 const void *from);
/* One object of its own. */
void state_write_object(struct state_writer *w, const char *key,
			const struct state_row *rows, size_t n,
			const void *from);

/* --- reading ---------------------------------------------------------------
 */

/*
 * The members of OBJECT into TO, whose pointers are replaced (freed) and whose
 * descriptors are its own from then on.  A descriptor must be open and without
 * close-on-exec, which is set: so none belongs to two.  0, or -EINVAL with the
 * problem noted in the document.
 */
int state_read(const struct json_node *object, const struct state_row *rows,
	       size_t n, void *to);

/* Those with a constant table. */
#define STATE_WRITE(w, rows, from)                                             \
	state_write((w), (rows), sizeof(rows) / sizeof((rows)[0]), (from))
#define STATE_WRITE_OBJECT(w, key, rows, from)                                 \
	state_write_object((w), (key), (rows),                                 \
			   sizeof(rows) / sizeof((rows)[0]), (from))
#define STATE_READ(object, rows, to)                                           \
	state_read((object), (rows), sizeof(rows) / sizeof((rows)[0]), (to))

#endif
