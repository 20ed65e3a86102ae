/* SPDX-License-Identifier: Apache-2.0 */
#include "base/format.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/strbuf.h"

#define NS_PER_S 1000000000LL

void format_time_full(struct strbuf *sb, int64_t ns)
{
	time_t seconds = ns / NS_PER_S;
	int ms = (int)(ns % NS_PER_S / 1000000);
	char text[64], zone[64], fraction[8] = "";
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		return;
	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	(void)strftime(zone, sizeof(zone), "%z %Z", &tm);
	if (ms > 0)
		(void)snprintf(fraction, sizeof(fraction), ".%03d", ms);
	for (size_t n = strlen(fraction); n > 0 && fraction[n - 1] == '0'; n--)
		fraction[n - 1] = '\0';
	strbuf_addf(sb, "%s%s %s", text, fraction, zone);
}

void format_time_line(struct strbuf *sb, const char *key, int64_t ns)
{
	if (!ns)
		return;
	strbuf_addf(sb, "%s=", key);
	format_time_full(sb, ns);
	strbuf_addch(sb, '\n');
}

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)
#define MONTH (30 * DAY)
#define YEAR (12 * MONTH)

/* Below LIMIT seconds: FORMAT with the difference in UNITs. */
static const struct {
	int64_t limit;
	int64_t unit; /* 0: the text has no number */
	const char *text;
} ago[] = {
	{1, 0, "now"},
	{2, 0, "1 second"},
	{MINUTE, 1, "seconds"},
	{2 * MINUTE, 0, "1 minute"},
	{HOUR, MINUTE, "minutes"},
	{2 * HOUR, 0, "1 hour"},
	{DAY, HOUR, "hours"},
	{2 * DAY, 0, "1 day"},
	{WEEK, DAY, "days"},
	{2 * WEEK, 0, "1 week"},
	{MONTH, WEEK, "weeks"},
	{2 * MONTH, 0, "1 month"},
	{YEAR, MONTH, "months"},
	{18 * MONTH, 0, "1 year"},
	{2 * YEAR, 0, "2 years"},
	{37LL * YEAR, YEAR, "years"},
	{INT64_MAX, 0, "a long while"},
};

/* Lists have thousands of these: printf() would be most of their cost. */
static void add_number(struct strbuf *sb, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	strbuf_add(sb, digits + i, sizeof(digits) - i);
}

void format_time_ago(struct strbuf *sb, int64_t ns, int64_t now_ns)
{
	int64_t diff = (now_ns - ns) / NS_PER_S;
	bool is_future = diff < 0;
	size_t i = 0;

	if (diff < 0)
		diff = -diff;
	while (diff >= ago[i].limit && ago[i].limit != INT64_MAX)
		i++;
	if (ago[i].unit) {
		add_number(sb, (uint64_t)(diff / ago[i].unit));
		strbuf_addch(sb, ' ');
	}
	strbuf_addstr(sb, ago[i].text);
	if (i > 0)
		strbuf_addstr(sb, is_future ? " from now" : " ago");
}

void format_size(struct strbuf *sb, uint64_t bytes)
{
	static const char *const units[] = {"B",   "KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	uint64_t tenths, whole;
	size_t i = 0;

	for (; value >= 1024 && i + 1 < sizeof(units) / sizeof(*units); i++)
		value /= 1024;
	tenths = (uint64_t)(value * 10 + 0.5);
	whole = tenths / 10;
	if (i > 0 && whole < 10) {
		add_number(sb, whole);
		strbuf_addch(sb, '.');
		add_number(sb, tenths % 10);
	} else {
		/* A half goes to the even neighbour, as with Go's %.0f. */
		add_number(sb, whole + (tenths % 10 + (whole & 1) > 5));
	}
	strbuf_addch(sb, ' ');
	strbuf_addstr(sb, units[i]);
}

void format_time(struct strbuf *sb, int64_t ns, bool full)
{
	struct timespec now;

	if (full) {
		format_time_full(sb, ns);
		return;
	}
	(void)clock_gettime(CLOCK_REALTIME, &now);
	format_time_ago(sb, ns, now.tv_sec * NS_PER_S + now.tv_nsec);
}

/* --- paragraphs ------------------------------------------------------------
 */

#define COLUMNS 80

static unsigned int new_line(struct strbuf *sb, unsigned int n_tabs)
{
	strbuf_addch(sb, '\n');
	for (unsigned int i = 0; i < n_tabs; i++)
		strbuf_addch(sb, '\t');
	return n_tabs * 8;
}

void format_wrapped(struct strbuf *sb, const char *text, unsigned int column,
		    unsigned int n_tabs)
{
	bool first = true; /* word of its line */

	while (*text) {
		size_t n = strcspn(text, " \n");

		if (!first && column + 1 + n > COLUMNS) {
			column = new_line(sb, n_tabs);
			first = true;
		}
		if (!first)
			strbuf_addch(sb, ' ');
		strbuf_add(sb, text, n);
		column += (unsigned int)n + !first;
		first = false;
		text += n;
		if (*text == '\n') {
			/* No blanks at the end of an empty line. */
			column = new_line(sb, text[1] == '\n' ? 0 : n_tabs);
			first = true;
		}
		text += *text != '\0';
	}
	strbuf_addch(sb, '\n');
}
