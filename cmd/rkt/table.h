/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_TABLE_H
#define CMD_RKT_TABLE_H

/*
 * Tables as Go's tabwriter prints them for rkt (tab width 8, padding 1, tabs
 * as padding), so columns are separated by one or more TABs, and times as
 * rkt shows them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;
struct strv;

struct table {
	struct strv *rows;
	size_t n_rows;
};

#define TABLE_INIT                                                             \
	{                                                                      \
		NULL, 0                                                        \
	}

void table_release(struct table *t);
#define cleanup_table __attribute__((__cleanup__(table_release)))

/* A new row, borrowed until the next one: push its cells. */
struct strv *table_row(struct table *t);
/* Appends all rows; the last cell of a row has no padding. */
void table_format(const struct table *t, struct strbuf *out);

/* "2006-01-02 15:04:05.999 -0700 MST", milliseconds without trailing zeros. */
void time_format_full(int64_t ns, struct strbuf *out);
/* "now", "2 minutes ago", ... seen from NOW. */
void time_format_ago(int64_t ns, int64_t now_ns, struct strbuf *out);
/* One of the two. */
void time_format(int64_t ns, bool full, struct strbuf *out);

#endif
