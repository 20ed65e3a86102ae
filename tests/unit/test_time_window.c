/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "spec/time_window.h"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))
#define AT(hours, minutes) ((hours)*60U + (minutes))

enum { SUN, MON, TUE, WED, THU, FRI, SAT };

Test(time_window, has)
{
	static const struct {
		const char *text;
		unsigned int day, minute;
		bool has;
	} rows[] = {
		{"02:00-04:00", SUN, AT(2, 0), true},
		{"02:00-04:00", SAT, AT(3, 59), true},
		{"02:00-04:00", SAT, AT(4, 0), false},
		{"02:00-04:00", SAT, AT(1, 59), false},
		{"Mon..Fri 02:00-04:00", MON, AT(2, 0), true},
		{"Mon..Fri 02:00-04:00", FRI, AT(2, 0), true},
		{"Mon..Fri 02:00-04:00", SAT, AT(2, 0), false},
		{"Mon..Fri 02:00-04:00", SUN, AT(2, 0), false},
		{"fri..MON 00:00-24:00", SUN, AT(23, 59), true},
		{"fri..MON 00:00-24:00", THU, AT(23, 59), false},
		{"Saturday,Wed 12:00-12:01", WED, AT(12, 0), true},
		{"Saturday,Wed 12:00-12:01", SAT, AT(12, 0), true},
		{"Saturday,Wed 12:00-12:01", THU, AT(12, 0), false},
		/* Over midnight: the day is the one it begins on. */
		{"Sat 22:00-02:00", SAT, AT(22, 0), true},
		{"Sat 22:00-02:00", SUN, AT(1, 59), true},
		{"Sat 22:00-02:00", SUN, AT(2, 0), false},
		{"Sat 22:00-02:00", SUN, AT(22, 0), false},
		{"Sat 22:00-02:00", SAT, AT(1, 0), false},
		{"Sat   22:00-00:00", SAT, AT(23, 59), true},
		{"Sat   22:00-00:00", SUN, AT(0, 0), false},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct time_window w;
		struct error err = ERROR_INIT;

		cr_assert_eq(time_window_parse(rows[i].text, &w, &err), 0,
			     "%s: %s", rows[i].text, err.msg);
		cr_expect_eq(time_window_has(&w, rows[i].day, rows[i].minute),
			     rows[i].has, "%s: day %u, minute %u", rows[i].text,
			     rows[i].day, rows[i].minute);
	}
}

Test(time_window, refused)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "no times"},
		{"2:00-4:00", "no times"},
		{"02:00", "no times"},
		{"02:00-04:00x", "no times"},
		{"02:60-04:00", "no times"},
		{"02:00-24:01", "no times"},
		{"02:00-99:00", "no times"},
		{"02:00-02:00", "no time (a whole day is"},
		{"24:00-02:00", "no time (a whole day is"},
		{" 02:00-04:00", "no days"},
		{"Mo 02:00-04:00", "no days"},
		{"Mon, 02:00-04:00", "no days"},
		{"Mon,,Tue 02:00-04:00", "no days"},
		{"Mon.. 02:00-04:00", "no days"},
		{"..Mon 02:00-04:00", "no days"},
		{"Mon..Tue..Wed 02:00-04:00", "no days"},
		{"Mon Tue 02:00-04:00", "no days"},
		{"Mon 02:00-04:00 ", "no days"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct time_window w = {.days = 99};
		struct error err = ERROR_INIT;

		cr_expect_eq(time_window_parse(rows[i].text, &w, &err), -EINVAL,
			     "%s", rows[i].text);
		cr_expect(strstr(err.msg, rows[i].message), "%s: %s",
			  rows[i].text, err.msg);
		cr_expect_eq(w.days, 99);
	}
}
