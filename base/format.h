/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

/* Numbers and tables as rkt's users know them (Go's layouts and the humanize
 * package's words).  Everything appends to a string buffer. */

#include <stdint.h>

struct strbuf;

/* NS since the epoch in local time: "2006-01-02 15:04:05.999 -0700 MST",
 * the fraction without trailing zeros. */
void format_time_full(struct strbuf *sb, int64_t ns);

/* "now", "2 minutes ago", "1 week from now", seen from NOW_NS. */
void format_time_ago(struct strbuf *sb, int64_t ns, int64_t now_ns);

/* "512 B", "4.2 MiB", "42 MiB". */
void format_size(struct strbuf *sb, uint64_t bytes);

/*
 * TEXT is lines of cells, each cell but possibly a line's last one ended by a
 * TAB: appends it with as many TABs as the columns need (tab stops every 8).
 * Scripts split at one or more TABs.
 */
void format_table(struct strbuf *sb, const char *text);

#endif
