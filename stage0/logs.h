/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_LOGS_H
#define STAGE0_LOGS_H

/*
 * The logs of a pod's apps, read back: records of the CRI format from
 * logs/APP and its rotated predecessors (APP.1 is newer than APP.2), those of
 * all apps in the order of their times.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"

struct error;
struct logs;
struct pod;
struct strbuf;

struct log_record {
	const char *time; /* 2006-01-02T15:04:05.000000000Z, sortable */
	size_t time_len;
	const char *stream; /* "stdout" or "stderr" */
	size_t stream_len;
	bool is_partial; /* the line goes on in the next record */
	const char *text;
	size_t text_len;
};

/* One line without its newline; -EINVAL.  RET borrows from LINE. */
int log_record_parse(const char *line, size_t len, struct log_record *ret);

/* Opens the logs of APPS (names); an app that never ran has none. */
int logs_open(const struct pod *pod, const struct strv *apps, struct logs **ret,
	      struct error *err);
void logs_free(struct logs *logs);

/* Appends "[TIME] APP: TEXT" lines of all that is there now, or none. */
int logs_read(struct logs *logs, struct strbuf *out, struct error *err);

/* Readable when there may be more, until logs_wait(); negative if the kernel
 * gives no more of these: then it has to be looked again and again. */
int logs_fd(const struct logs *logs);

/* Waits until there may be more, at most TIMEOUT_MS. */
int logs_wait(struct logs *logs, int timeout_ms, struct error *err);

#endif
