/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_JSON_WRITE_H
#define SPEC_JSON_WRITE_H

/*
 * Writes JSON to a string buffer: members in the order they are added,
 * strings as valid UTF-8 (bytes that are not become U+FFFD).  Balance of
 * open and close is the caller's business and asserted.
 *
 *	struct json_writer w;
 *	json_writer_init(&w, &sb, JSON_COMPACT_STYLE);
 *	json_open_object(&w, NULL);
 *	json_add_string(&w, "name", pod->name);
 *	json_close_object(&w);
 *
 * KEY is the member name inside an object and NULL inside an array or at the
 * top.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;
struct strv;

enum json_style {
	JSON_COMPACT_STYLE = 0, /* no blanks at all */
	JSON_PRETTY_STYLE,	/* one value a line, tab indent */
};

struct json_writer {
	struct strbuf *out;
	enum json_style style;
	unsigned depth;
	bool has_items; /* the open container has one already */
};

void json_writer_init(struct json_writer *w, struct strbuf *out,
		      enum json_style style);

void json_open_object(struct json_writer *w, const char *key);
void json_close_object(struct json_writer *w);
void json_open_array(struct json_writer *w, const char *key);
void json_close_array(struct json_writer *w);

/* S == NULL writes null. */
void json_add_string(struct json_writer *w, const char *key, const char *s);
/* Only if S is neither NULL nor empty. */
void json_add_string_if(struct json_writer *w, const char *key, const char *s);
void json_add_int(struct json_writer *w, const char *key, int64_t value);
void json_add_uint(struct json_writer *w, const char *key, uint64_t value);
void json_add_bool(struct json_writer *w, const char *key, bool value);
void json_add_null(struct json_writer *w, const char *key);
void json_add_strv(struct json_writer *w, const char *key,
		   const struct strv *sv);
/* TEXT is JSON already. */
void json_add_raw(struct json_writer *w, const char *key, const char *text);

/* The quoted form of S alone. */
void json_quote(struct strbuf *out, const char *s);
/* A compact array of strings. */
void json_strv_write(const struct strv *sv, struct strbuf *out);

#endif
