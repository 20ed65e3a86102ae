/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

/* Numbers as rkt's users know them (Go's layouts and the humanize
 * package's words).  Everything appends to a string buffer. */

#include <stdbool.h>
#include <stdint.h>

struct strbuf;

/* NS since the epoch in local time: "2006-01-02 15:04:05.999 -0700 MST",
 * the fraction without trailing zeros. */
void format_time_full(struct strbuf *sb, int64_t ns);
/* "KEY=TIME" and a line's end; nothing for a time of 0. */
void format_time_line(struct strbuf *sb, const char *key, int64_t ns);

/* "now", "2 minutes ago", "1 week from now", seen from NOW_NS. */
void format_time_ago(struct strbuf *sb, int64_t ns, int64_t now_ns);

/* One of the two, seen from now. */
void format_time(struct strbuf *sb, int64_t ns, bool full);

/* "512 B", "4.2 MiB", "42 MiB". */
void format_size(struct strbuf *sb, uint64_t bytes);

/*
 * TEXT and a newline, broken at blanks for terminals of 80 columns; its own
 * newlines stay.  SB's last line is COLUMN wide; further lines of the same
 * paragraph begin with N_TABS tabs, as do further paragraphs.
 */
void format_wrapped(struct strbuf *sb, const char *text, unsigned int column,
		    unsigned int n_tabs);

#endif
