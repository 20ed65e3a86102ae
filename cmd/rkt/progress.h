/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_PROGRESS_H
#define CMD_RKT_PROGRESS_H

/* How far downloads are, on stderr: a bar on a terminal, else a line for
 * each that is done. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_progress;
struct strbuf;

#define PROGRESS_ENDED_MAX 256 /* of several, each with a line */

struct progress {
	int64_t started_ms; /* of the download that is shown; 0 = none */
	uint64_t began_at;  /* its bytes then */
	/* Of several at once: */
	int64_t all_started_ms;
	size_t n_lines; /* on the terminal, above the cursor */
	bool has_ended[PROGRESS_ENDED_MAX]; /* a line says so */
};

/* The progress of struct image_fetcher; ARG is a struct progress. */
void progress_show(void *arg, const struct image_progress *seen);

/* The same of several: on a terminal a line for each that has begun, else one
 * when it has ended. */
void progress_show_all(void *arg, const struct image_progress *v, size_t n);
/* Takes those lines away again, until they are shown the next time. */
void progress_hide_all(void *arg);

/*
 * "Downloading ACI: [=====>    ] 1.2 MB/4.5 MB 3.4 MB/s 1s" after MS
 * milliseconds for SINCE_BEGIN bytes, at most COLUMNS wide; 0 COLUMNS: without
 * a bar, for a download that is done.  Appends.  Pure.
 */
void progress_format(const struct image_progress *seen, uint64_t since_begin,
		     int64_t ms, unsigned int columns, struct strbuf *sb);

#endif
