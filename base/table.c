/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
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
 * The width of column COL in the block that begins at row I.  As in tabwriter
 * a block is consecutive rows that have a cell there which is not their last.
 */
static size_t block_width(const struct table *t, size_t i, size_t col)
{
	size_t width = 0;

	for (; i < t->n_rows && col + 1 < t->rows[i].n; i++) {
		size_t w = text_width(t->rows[i].v[col]) + 1;

		if (w > width)
			width = w;
	}
	return (width + TAB - 1) / TAB * TAB;
}

static size_t most_cells(const struct table *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_rows; i++)
		if (t->rows[i].n > n)
			n = t->rows[i].n;
	return n;
}

static bool begins_block(const struct table *t, size_t i, size_t col)
{
	return i == 0 || col + 1 >= t->rows[i - 1].n;
}

void table_format(const struct table *t, struct strbuf *out)
{
	cleanup_free size_t *widths =
		xcalloc(most_cells(t) + 1, sizeof(*widths));

	for (size_t i = 0; i < t->n_rows; i++) {
		const struct strv *row = &t->rows[i];

		for (size_t col = 0; col < row->n; col++) {
			size_t at = text_width(row->v[col]);

			strbuf_addstr(out, row->v[col]);
			if (col + 1 == row->n)
				break;
			if (begins_block(t, i, col))
				widths[col] = block_width(t, i, col);
			for (; at < widths[col]; at = at / TAB * TAB + TAB)
				strbuf_addch(out, '\t');
		}
		strbuf_addch(out, '\n');
	}
}
