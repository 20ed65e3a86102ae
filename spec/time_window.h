/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_TIME_WINDOW_H
#define SPEC_TIME_WINDOW_H

/*
 * When something may be done by itself, in words like systemd.time(7)'s:
 *
 *	[DAYS ]HH:MM-HH:MM
 *
 * DAYS are Mon, Monday, Mon..Fri (also Fri..Mon), and lists of them with
 * commas; none means every day.  A window that ends at an earlier time than it
 * begins ends on the next day, and its day is the one it begins on.  24:00 is
 * the end of a day.  Pure.
 */

#include <stdbool.h>

struct error;

struct time_window {
	unsigned int days; /* 1 << tm_wday: Sunday is bit 0 */
	/* Minutes since midnight.  to <= from: of the next day. */
	unsigned int from, to;
};

/* -EINVAL says what is wrong; *RET is set on success only. */
int time_window_parse(const char *text, struct time_window *ret,
		      struct error *err);

/* True if the MINUTEth minute of a day (0..1439) that is the weekday WDAY
 * (0..6, as tm_wday) lies in it. */
bool time_window_has(const struct time_window *window, unsigned int wday,
		     unsigned int minute);

#endif
