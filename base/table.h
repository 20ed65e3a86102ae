/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

/*
 * Tables as Go's tabwriter prints them for rkt (tab width 8, padding 1, tabs
 * as padding), so columns are separated by one or more TABs.
 */

#include <stddef.h>

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

#endif
