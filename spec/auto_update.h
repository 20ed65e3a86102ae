/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_AUTO_UPDATE_H
#define SPEC_AUTO_UPDATE_H

/*
 * What `rkt auto-update` decides by: which apps it is for, which machines get
 * a version early, and what it has tried before.  Pure.
 *
 * The record is a file of the pod (AUTO_UPDATE_FILE), so that it stays as long
 * as the pod does and goes with it:
 *
 *	{"images":[{"app":"web","image":"example.com/web:2.0.0",
 *		"state":"trying","since":1764000000,"boot":"ID","failed":0,
 *		"lost":0}]}
 *
 * It is written before a version is tried.  How a try ended stands in the
 * pod's history (spec/history.h), which stage1 writes whoever was killed; the
 * record adds what nobody could write: that the host went down during the try.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;
struct name_values;
struct strbuf;

#define AUTO_UPDATE_LABEL "rkt.io/auto-update"

enum auto_update_mode {
	AUTO_UPDATE_NO,
	AUTO_UPDATE_LOCAL,    /* what is in the store */
	AUTO_UPDATE_REGISTRY, /* what is found for the image's name */
};

/*
 * What N lists of annotations or labels say, the first one that has
 * AUTO_UPDATE_LABEL counts; AUTO_UPDATE_NO if none has.  -EINVAL.
 */
int auto_update_mode_make(const struct name_values *const lists[], size_t n,
			  enum auto_update_mode *ret, struct error *err);
const char *auto_update_mode_text(enum auto_update_mode mode);

/* --- staged -----------------------------------------------------------------
 */

/* Of all machines; 1/100 of a percent. */
#define AUTO_UPDATE_SHARE_ALL 10000

/* "10", "0.5", "10%" into 1/100 of a percent.  -EINVAL. */
int auto_update_share_parse(const char *text, uint32_t *ret, struct error *err);

/*
 * True if the machine MACHINE (its machine-id) is among the SHARE of all that
 * get IMAGE (NAME:VERSION).  Which those are differs from image to image; who
 * is among few is among more, too.
 */
bool auto_update_is_in_stage(const char *machine, const char *image,
			     uint32_t share);

/* --- the record -------------------------------------------------------------
 */

enum auto_update_state {
	AUTO_UPDATE_TRYING,	/* begun; how it ended was not noted here */
	AUTO_UPDATE_LOST,	/* the host went down meanwhile */
	AUTO_UPDATE_SERVING,	/* committed */
	AUTO_UPDATE_SUCCESSFUL, /* and has stayed so long enough */
};

struct auto_update_row {
	char *app;
	char *image; /* NAME:VERSION */
	enum auto_update_state state;
	int64_t since;	     /* seconds since 1970 */
	char *boot;	     /* boot id; NULL = not known */
	unsigned int failed; /* as of the history, when it was begun */
	unsigned int lost;   /* times */
};

struct auto_update_record {
	struct auto_update_row *v;
	size_t n;
};

#define AUTO_UPDATE_RECORD_INIT                                                \
	{                                                                      \
		NULL, 0                                                        \
	}

void auto_update_record_release(struct auto_update_record *record);
#define cleanup_auto_update_record                                             \
	__attribute__((__cleanup__(auto_update_record_release)))

/* RET must be AUTO_UPDATE_RECORD_INIT, and is set on success only. */
int auto_update_record_parse(const char *buf, size_t len,
			     struct auto_update_record *ret, struct error *err);
void auto_update_record_write(const struct auto_update_record *record,
			      struct strbuf *out);

/* Borrowed; NULL if there is none. */
const struct auto_update_row *
auto_update_find(const struct auto_update_record *record, const char *app,
		 const char *image);

struct auto_update_facts {
	const char *app;
	const char *current; /* NAME:VERSION that is committed */
	const char *history; /* of the pod; "" */
	const char *boot;    /* the id of this boot; NULL = not known */
	int64_t now;	     /* seconds since 1970 */
	int64_t success_after;
};

/* Notes, before it is done, that IMAGE is to be tried. */
void auto_update_begin(struct auto_update_record *record,
		       const struct auto_update_facts *facts,
		       const char *image);

/* Brings the rows of the app up to date, when no update is under way.  True if
 * any is another now. */
bool auto_update_settle(struct auto_update_record *record,
			const struct auto_update_facts *facts);

/* True if IMAGE is CURRENT's name with a higher version. */
bool auto_update_is_higher(const char *image, const char *current);

/*
 * Those images that the app is held from: somebody went back from them, or
 * TRIES tries have failed.  NAME:VERSION into RET, and why into WHY, in the
 * same order.
 */
void auto_update_find_held(const struct auto_update_record *record,
			   const struct auto_update_facts *facts,
			   unsigned int tries, struct strv *ret,
			   struct strv *why);

#endif
