/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define TAB 8

void table_release(struct table *t)
{
	for (size_t i = 0; i < t->n_rows; i++)
		strv_release(&t->rows[i]);
	free(t->rows);
	*t = (struct table)TABLE_INIT;
}

struct strv *table_row(struct table *t)
{
	t->rows = xreallocarray(t->rows, t->n_rows + 1, sizeof(*t->rows));
	t->rows[t->n_rows] = (struct strv)STRV_INIT;
	return &t->rows[t->n_rows++];
}

/* Characters, not bytes: continuation bytes take no room. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/*
 * The width of column COL around row I.  As in tabwriter a column is a block
 * of consecutive rows that have a cell there which is not their last.
 */
static size_t column_width(const struct table *t, size_t i, size_t col)
{
	size_t width = 0;
	size_t first = i;

	while (first > 0 && col + 1 < t->rows[first - 1].n)
		first--;
	for (; first < t->n_rows && col + 1 < t->rows[first].n; first++) {
		size_t w = text_width(t->rows[first].v[col]) + 1;

		if (w > width)
			width = w;
	}
	return (width + TAB - 1) / TAB * TAB;
}

void table_format(const struct table *t, struct strbuf *out)
{
	for (size_t i = 0; i < t->n_rows; i++) {
		const struct strv *row = &t->rows[i];

		for (size_t col = 0; col < row->n; col++) {
			size_t at = text_width(row->v[col]);
			size_t width;

			strbuf_addstr(out, row->v[col]);
			if (col + 1 == row->n)
				break;
			width = column_width(t, i, col);
			for (; at < width; at = at / TAB * TAB + TAB)
				strbuf_addch(out, '\t');
		}
		strbuf_addch(out, '\n');
	}
}
