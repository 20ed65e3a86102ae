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
 * and "held":1764000000 where nothing is to be tried until somebody releases
 * it, "released":"2025-11-24T16:00:00.000000Z" where what failed before does
 * not count any more.
 *
 * It is written before a version is tried.  How a try ended stands in the
 * pod's history (spec/history.h), which stage1 writes whoever was killed; the
 * record adds what nobody could write: that the host went down during the try,
 * and what became of a version after it was committed:
 *
 *	trying -> serving -> successful, or
 *	                  -> unwell -> (the version before) lost
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

/* True if NAME (REGISTRY/REPOSITORY) is one of FROM, or below one. */
bool auto_update_may_be_unsigned(const struct strv *from, const char *name);

/* What people read of an image that a tag means: "TAG@sha512-0123456789ab". */
char *auto_update_tag_text(const char *tag, const char *id);

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
	AUTO_UPDATE_LOST,	/* over; what counts against it is kept */
	AUTO_UPDATE_SERVING,	/* committed */
	AUTO_UPDATE_UNWELL,	/* and is to be gone back from */
	AUTO_UPDATE_SUCCESSFUL, /* and has been well for long enough */
};

struct auto_update_row {
	char *app;
	char *image; /* NAME:VERSION, or an image ID: as facts' current */
	enum auto_update_state state;
	int64_t since;	       /* begun, or serves: seconds since 1970 */
	char *boot;	       /* boot id; NULL = not known */
	unsigned int failed;   /* as of the history, when it was begun */
	unsigned int lost;     /* times that the host went down */
	unsigned int unwell;   /* times that it was gone back from */
	unsigned int restarts; /* of the app, when it began to serve */
	char *why;	       /* it was unwell the last time; NULL */
};

struct auto_update_record {
	int64_t held;	/* since when the pod is, seconds; 0 = it is not */
	char *released; /* history_now() of then; NULL = never */
	struct auto_update_row *v;
	size_t n;
};

#define AUTO_UPDATE_RECORD_INIT                                                \
	{                                                                      \
		.v = NULL                                                      \
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
	/* What is committed: NAME:VERSION, or, of an app that follows a tag,
	 * the image's ID. */
	const char *current;
	const char *history; /* of the pod; "" */
	const char *boot;    /* the id of this boot; NULL = not known */
	int64_t now;	     /* seconds since 1970 */
	int64_t success_after;
	/* Of the app that is committed, in this run of the pod. */
	const char *health;    /* "ok", "failing: REASON"; NULL = not asked */
	unsigned int restarts; /* by its policy */
	bool has_failed;       /* its end was the pod's, in any run */
	int exit_code;
};

/* Notes, before it is done, that IMAGE is to be tried. */
void auto_update_begin(struct auto_update_record *record,
		       const struct auto_update_facts *facts,
		       const char *image);

/* Brings the rows of the app up to date, when no update is under way.  True if
 * any is another now. */
bool auto_update_settle(struct auto_update_record *record,
			const struct auto_update_facts *facts);

/* The row of what is committed and not yet known to be good; NULL if there is
 * none.  Borrowed. */
const struct auto_update_row *
auto_update_find_trial(const struct auto_update_record *record,
		       const struct auto_update_facts *facts);

/* An app that serves a new version must not be started again so often. */
#define AUTO_UPDATE_RESTARTS_MAX 3

/*
 * Judges the version on trial: true if it is to be gone back from, or was
 * before and nobody did; that is noted in RECORD, and why in the row then.
 */
bool auto_update_judge(struct auto_update_record *record,
		       const struct auto_update_facts *facts);

/* Nothing is to be tried in this pod, since NOW; or all may be again, and what
 * counted against versions does not (NOW_TEXT: history_now()).  True if that
 * changes anything. */
bool auto_update_hold(struct auto_update_record *record, int64_t now);
void auto_update_release(struct auto_update_record *record,
			 const char *now_text);

/* True if IMAGE is CURRENT's name with a higher version. */
bool auto_update_is_higher(const char *image, const char *current);

/*
 * Those images that the app is held from: somebody went back from them, or
 * TRIES tries have failed.  As in facts' current into RET, and why into WHY, in
 * the same order.
 */
void auto_update_find_held(const struct auto_update_record *record,
			   const struct auto_update_facts *facts,
			   unsigned int tries, struct strv *ret,
			   struct strv *why);

#endif
