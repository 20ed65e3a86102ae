/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/time_window.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

#define DAYS 7
#define ALL_DAYS ((1U << DAYS) - 1)
#define DAY_MINUTES (24U * 60)

/* The day that LEN bytes at S name, or -1: the whole name, or three letters. */
static int find_day(const char *s, size_t len)
{
	static const char *const names[DAYS] = {
		"Sunday",   "Monday", "Tuesday", "Wednesday",
		"Thursday", "Friday", "Saturday"};

	for (int i = 0; i < DAYS; i++)
		if ((len == 3 || len == strlen(names[i])) &&
		    strncasecmp(s, names[i], len) == 0)
			return i;
	return -1;
}

/* "Mon" or "Mon..Fri", LEN bytes, added to *RET. */
static bool add_days(const char *s, size_t len, unsigned int *ret)
{
	const char *dots = memmem(s, len, "..", 2);
	size_t first_len = dots ? (size_t)(dots - s) : len;
	int first = find_day(s, first_len);
	int last = dots ? find_day(dots + 2, len - first_len - 2) : first;

	if (first < 0 || last < 0)
		return false;
	for (int day = first;; day = (day + 1) % DAYS) {
		*ret |= 1U << day;
		if (day == last)
			return true;
	}
}

static bool parse_days(const char *s, size_t len, unsigned int *ret)
{
	const char *end = s + len;

	*ret = 0;
	for (;;) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		size_t n = (size_t)((comma ? comma : end) - s);

		if (!add_days(s, n, ret))
			return false;
		if (!comma)
			return true;
		s = comma + 1;
	}
}

/* HH:MM at S; five bytes are there or a NUL comes before. */
static bool parse_minute(const char *s, unsigned int *ret)
{
	static const char form[] = "00:00";
	unsigned int hours, minutes;

	for (size_t i = 0; i < 5; i++)
		if (form[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != ':')
			return false;
	hours = (unsigned int)(s[0] - '0') * 10 + (unsigned int)(s[1] - '0');
	minutes = (unsigned int)(s[3] - '0') * 10 + (unsigned int)(s[4] - '0');
	*ret = hours * 60 + minutes;
	return minutes < 60 && *ret <= DAY_MINUTES;
}

int time_window_parse(const char *text, struct time_window *ret,
		      struct error *err)
{
	const char *blank = strrchr(text, ' ');
	const char *times = blank ? blank + 1 : text;
	struct time_window w = {.days = ALL_DAYS};
	size_t days_len;

	while (blank > text && blank[-1] == ' ')
		blank--;
	days_len = blank ? (size_t)(blank - text) : 0;
	if (blank && !parse_days(text, days_len, &w.days))
		return error_set(err, EINVAL,
				 "\"%.*s\" are no days: Mon..Fri or Sat,Sun",
				 (int)(days_len < 64 ? days_len : 64), text);
	if (!parse_minute(times, &w.from) || times[5] != '-' ||
	    !parse_minute(times + 6, &w.to) || times[11])
		return error_set(err, EINVAL,
				 "\"%.64s\" are no times: HH:MM-HH:MM as in "
				 "02:00-04:00",
				 times);
	if (w.from == w.to || w.from == DAY_MINUTES)
		return error_set(err, EINVAL,
				 "%s is no time (a whole day is 00:00-24:00)",
				 times);
	*ret = w;
	return 0;
}

bool time_window_has(const struct time_window *w, unsigned int wday,
		     unsigned int minute)
{
	bool today = w->days >> wday % DAYS & 1;
	bool yesterday = w->days >> (wday + DAYS - 1) % DAYS & 1;

	if (w->from < w->to)
		return today && minute >= w->from && minute < w->to;
	return (today && minute >= w->from) || (yesterday && minute < w->to);
}
