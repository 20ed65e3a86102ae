/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define TAB 8
#define SECOND INT64_C(1000000000)

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

void time_format_full(int64_t ns, struct strbuf *out)
{
	time_t seconds = (time_t)(ns / SECOND);
	int ms = (int)(ns % SECOND / 1000000);
	char text[64];
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		return;
	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	strbuf_addstr(out, text);
	if (ms) {
		strbuf_addf(out, ".%03d", ms);
		while (out->buf[out->len - 1] == '0')
			strbuf_setlen(out, out->len - 1);
	}
	(void)strftime(text, sizeof(text), " %z %Z", &tm);
	strbuf_addstr(out, text);
}

void time_format_ago(int64_t ns, int64_t now_ns, struct strbuf *out)
{
	/* rkt's words; N counts units. */
	static const struct {
		int64_t below; /* seconds */
		const char *text;
		int64_t unit;
	} words[] = {
		{1, "now", 0},
		{2, "1 second ago", 0},
		{60, "N seconds ago", 1},
		{120, "1 minute ago", 0},
		{3600, "N minutes ago", 60},
		{7200, "1 hour ago", 0},
		{86400, "N hours ago", 3600},
		{2 * 86400, "1 day ago", 0},
		{7 * 86400, "N days ago", 86400},
		{14 * 86400, "1 week ago", 0},
		{30 * 86400, "N weeks ago", 7 * 86400},
		{60 * 86400, "1 month ago", 0},
		{360 * 86400, "N months ago", 30 * 86400},
		{540 * 86400, "1 year ago", 0},
		{720 * 86400, "2 years ago", 0},
		{37 * 360 * INT64_C(86400), "N years ago", 360 * 86400},
		{INT64_MAX, "a long while ago", 0},
	};
	int64_t ago = now_ns > ns ? (now_ns - ns) / SECOND : 0;
	size_t i = 0;

	while (ago >= words[i].below)
		i++;
	if (words[i].unit)
		strbuf_addf(out, "%lld %s", (long long)(ago / words[i].unit),
			    strchr(words[i].text, ' ') + 1);
	else
		strbuf_addstr(out, words[i].text);
}

void time_format(int64_t ns, bool full, struct strbuf *out)
{
	struct timespec now;

	if (full) {
		time_format_full(ns, out);
		return;
	}
	(void)clock_gettime(CLOCK_REALTIME, &now);
	time_format_ago(ns, now.tv_sec * SECOND + now.tv_nsec, out);
}
