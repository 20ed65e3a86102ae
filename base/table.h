/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

/*
 * Tables as Go's tabwriter prints them for rkt (tab width 8, padding 1, tabs
 * as padding), so columns are separated by one or more TABs.
 *
 * All texts lie one after the other: tables may have thousands of rows, and
 * memory that is not touched costs nothing.
 */

#include <stddef.h>

#include "base/strbuf.h"

struct table {
	struct strbuf text;
	size_t *cells; /* where each begins in text */
	size_t n_cells, room_cells;
	size_t *rows; /* the first cell of each */
	size_t n_rows, room_rows;
};

#define TABLE_INIT                                                             \
	{                                                                      \
		.text = STRBUF_INIT                                            \
	}

void table_release(struct table *t);
#define cleanup_table __attribute__((__cleanup__(table_release)))

/* Begins a row: its cells follow. */
void table_row(struct table *t);
/* Begins a cell of the last row; what is appended to the result until the next
 * call is its text. */
struct strbuf *table_cell(struct table *t);
void table_add(struct table *t, const char *text);
void table_addf(struct table *t, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
/* Appends all rows; the last cell of a row has no padding.  Control characters
 * in cells are shown as '?'. */
void table_format(const struct table *t, struct strbuf *out);

#endif
