/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_JSON_READ_H
#define SPEC_JSON_READ_H

/*
 * Reading JSON the way the reference decoder does: unknown keys are ignored,
 * a key matches exactly or else without regard to ASCII case, the last of
 * repeated keys wins, null reads as absent.  Text with a NUL byte, a BOM,
 * invalid UTF-8, trailing garbage, more than MANIFEST_MAX bytes or more than
 * 2048 levels is refused with line and column.
 *
 * A struct json_doc owns the parsed text and collects what is wrong with it.
 * Readers never stop at the first problem: they note it, with the JSON path
 * of the value, and go on; json_doc_result() says how it went.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;
struct json_t;
struct strbuf;

/* One finding about a document. */
struct problem {
	char *where; /* "line 3, column 7" or "app.ports[0].port" */
	char *text;
	bool is_warning; /* does not make the document invalid */
};

struct problems {
	struct problem *v;
	size_t n;
	size_t n_errors; /* of them not warnings */
};

#define PROBLEMS_INIT                                                          \
	{                                                                      \
		NULL, 0, 0                                                     \
	}

void problems_release(struct problems *p);
#define cleanup_problems __attribute__((__cleanup__(problems_release)))

struct json_doc {
	struct json_t *root;
	struct error *err;	   /* borrowed, may be NULL: first error */
	struct problems *problems; /* borrowed, may be NULL: all of them */
	size_t n_errors;
};

/*
 * A value and the way to it.  Nodes live on the reader's stack and point to
 * the node they were taken from, so a parent must outlive its children.
 */
struct json_node {
	const struct json_t *json;
	struct json_doc *doc;
	const struct json_node *up;
	const char *key; /* member name; NULL = index */
	size_t index;
};

/*
 * Parses LEN bytes.  Any JSON value may stand at the top.  Problems go to
 * PROBLEMS and the first error to ERR (both may be NULL, both borrowed until
 * json_doc_release()).  -EINVAL malformed, -EFBIG too long.
 */
int json_doc_parse(struct json_doc *ret, const char *buf, size_t len,
		   struct problems *problems, struct error *err);
void json_doc_release(struct json_doc *doc);
#define cleanup_json_doc __attribute__((__cleanup__(json_doc_release)))

/* 0, or -EINVAL if a reader noted an error. */
int json_doc_result(const struct json_doc *doc);

struct json_node json_root(struct json_doc *doc);

/* Notes an error / a warning at NODE. */
void json_problem(const struct json_node *node, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
void json_warning(const struct json_node *node, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
/* Notes ERR's message at NODE: for the *_check functions of this folder. */
void json_problem_error(const struct json_node *node, const struct error *err);

bool json_node_is_null(const struct json_node *node);
bool json_node_is_object(const struct json_node *node);
bool json_node_is_number(const struct json_node *node);
bool json_node_is_string(const struct json_node *node);

/* True if NODE is an object / array; otherwise notes the problem. */
bool json_want_object(const struct json_node *node);
bool json_want_array(const struct json_node *node);

/* The member KEY; false if absent or null (not a problem). */
bool json_member(const struct json_node *object, const char *key,
		 struct json_node *ret);
/* The member KEY, also when it is null. */
bool json_member_or_null(const struct json_node *object, const char *key,
			 struct json_node *ret);
/*
 * Walks the members in the order written: IT starts as { 0 }, each name is
 * in it->key.
 */
bool json_next_member(const struct json_node *object, struct json_node *it);

/* Elements of an array; 0 for anything else. */
size_t json_n_items(const struct json_node *array);
bool json_item(const struct json_node *array, size_t index,
	       struct json_node *ret);

/* Scalars of NODE: false, with the problem noted, for another type. */
bool json_read_string(const struct json_node *node, const char **ret);
bool json_read_bool(const struct json_node *node, bool *ret);
bool json_read_int(const struct json_node *node, int64_t min, int64_t max,
		   int64_t *ret);
/* A malloc'ed copy; NULL if not a string. */
char *json_read_string_dup(const struct json_node *node);
/* An array of strings, appended to RET; null items read as "". */
bool json_read_strv(const struct json_node *node, struct strv *ret);
/* NODE as compact JSON text, malloc'ed. */
char *json_read_raw(const struct json_node *node);
/* Number as its shortest decimal text into SB: "1.5". */
void json_read_number_text(const struct json_node *node, struct strbuf *sb);

/*
 * Members of OBJECT by KEY: absent or null leaves *ret alone, a wrong type is
 * noted.  The char ** form replaces (frees) what *ret held.
 */
void json_get_string(const struct json_node *object, const char *key,
		     char **ret);
void json_get_bool(const struct json_node *object, const char *key, bool *ret);
void json_get_int(const struct json_node *object, const char *key, int64_t min,
		  int64_t max, int64_t *ret);
void json_get_strv(const struct json_node *object, const char *key,
		   struct strv *ret);

/*
 * Like json_get_string(), and CHECK must accept the string; null is a
 * problem here, as in the reference decoder.  True if *ret was set.
 */
bool json_get_checked(const struct json_node *object, const char *key,
		      int (*check)(const char *s, struct error *err),
		      char **ret);

/* Calls READ for each element of the array KEY, if it is there. */
void json_for_each(const struct json_node *object, const char *key,
		   void (*read)(const struct json_node *item, void *arg),
		   void *arg);

/* BUF is a JSON array of strings. */
int json_strv_parse(const char *buf, size_t len, struct strv *ret,
		    struct error *err);

#endif
