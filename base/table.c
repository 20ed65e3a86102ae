/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"

#define TAB 8

void table_release(struct table *t)
{
	strbuf_release(&t->text);
	free(t->cells);
	free(t->rows);
	*t = (struct table)TABLE_INIT;
}

static void push(size_t **v, size_t *n, size_t *room, size_t value)
{
	if (*n == *room) {
		*room = *room * 2 + 16;
		*v = xreallocarray(*v, *room, sizeof(**v));
	}
	(*v)[(*n)++] = value;
}

void table_row(struct table *t)
{
	push(&t->rows, &t->n_rows, &t->room_rows, t->n_cells);
}

struct strbuf *table_cell(struct table *t)
{
	push(&t->cells, &t->n_cells, &t->room_cells, t->text.len);
	return &t->text;
}

void table_add(struct table *t, const char *text)
{
	strbuf_addstr(table_cell(t), text);
}

void table_addf(struct table *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(table_cell(t), fmt, ap);
	va_end(ap);
}

static size_t cell_count(const struct table *t, size_t row)
{
	size_t end = row + 1 < t->n_rows ? t->rows[row + 1] : t->n_cells;

	return end - t->rows[row];
}

/* Borrowed; it is LEN bytes long. */
static const char *cell_text(const struct table *t, size_t row, size_t col,
			     size_t *len)
{
	size_t i = t->rows[row] + col;
	size_t end = i + 1 < t->n_cells ? t->cells[i + 1] : t->text.len;

	*len = end - t->cells[i];
	return t->text.buf + t->cells[i];
}

/* Characters, not bytes: continuation bytes take no room. */
static size_t text_width(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/*
 * The width of column COL in the block that begins at ROW.  As in tabwriter
 * a block is consecutive rows that have a cell there which is not their last.
 */
static size_t block_width(const struct table *t, size_t row, size_t col)
{
	size_t width = 0;

	for (; row < t->n_rows && col + 1 < cell_count(t, row); row++) {
		size_t len;
		const char *s = cell_text(t, row, col, &len);
		size_t w = text_width(s, len) + 1;

		if (w > width)
			width = w;
	}
	return (width + TAB - 1) / TAB * TAB;
}

static size_t most_cells(const struct table *t)
{
	size_t most = 0;

	for (size_t i = 0; i < t->n_rows; i++) {
		size_t n = cell_count(t, i);

		if (n > most)
			most = n;
	}
	return most;
}

static bool begins_block(const struct table *t, size_t row, size_t col)
{
	return row == 0 || col + 1 >= cell_count(t, row - 1);
}

/* Cells may come from images: what would steer a terminal, or begin a row or a
 * column of its own, does not. */
static void add_text(const char *s, size_t len, struct strbuf *out)
{
	size_t at = out->len;

	strbuf_add(out, s, len);
	for (size_t i = at; i < out->len; i++) {
		unsigned char c = (unsigned char)out->buf[i];

		if (c < ' ' || c == 0x7f)
			out->buf[i] = '?';
		/* U+0080 to U+009F become another character of their size. */
		else if (c >= 0x80 && c < 0xa0 && i > at &&
			 (unsigned char)out->buf[i - 1] == 0xc2)
			out->buf[i] = (char)0xbf;
	}
}

static void format_row(const struct table *t, size_t row, size_t *widths,
		       struct strbuf *out)
{
	size_t n = cell_count(t, row);

	for (size_t col = 0; col < n; col++) {
		size_t len;
		const char *s = cell_text(t, row, col, &len);

		add_text(s, len, out);
		if (col + 1 == n)
			break;
		if (begins_block(t, row, col))
			widths[col] = block_width(t, row, col);
		for (size_t at = text_width(s, len); at < widths[col];
		     at = at / TAB * TAB + TAB)
			strbuf_addch(out, '\t');
	}
	strbuf_addch(out, '\n');
}

void table_format(const struct table *t, struct strbuf *out)
{
	cleanup_free size_t *widths =
		xcalloc(most_cells(t) + 1, sizeof(*widths));

	/* At least; not to grow step by step. */
	strbuf_grow(out, t->text.len + t->n_cells);
	for (size_t i = 0; i < t->n_rows; i++)
		format_row(t, i, widths, out);
}
