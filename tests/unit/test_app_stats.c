/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/app_stats.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(app_stats, find)
{
	static const struct {
		const char *text, *key;
		bool found;
		uint64_t value;
	} tests[] = {
		{"usage_usec 12\nuser_usec 5\n", "usage_usec", true, 12},
		{"usage_usec 12\nuser_usec 5\n", "user_usec", true, 5},
		{"usage_usec 12\n", "usage", false, 0},
		{"usage_usec 12\n", "usec", false, 0},
		{"a x\n", "a", false, 0},
		{"VmRSS:\t   812 kB\n", "VmRSS:", true, 812},
		{"a", "a", false, 0},
		{"", "a", false, 0},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		uint64_t value = 0;

		cr_expect_eq(stats_find(tests[i].text, tests[i].key, &value),
			     tests[i].found, "%s", tests[i].text);
		cr_expect_eq(value, tests[i].value, "%s", tests[i].text);
	}
}

Test(app_stats, sum)
{
	const char *text = "8:0 rbytes=10 wbytes=20 rios=1 dbytes=7\n"
			   "8:16 rbytes=1 wbytes=2\n8:32 \n";

	cr_expect_eq(stats_sum(text, "rbytes"), 11);
	cr_expect_eq(stats_sum(text, "wbytes"), 22);
	cr_expect_eq(stats_sum(text, "bytes"), 0);
	cr_expect_eq(stats_sum("", "rbytes"), 0);
}

Test(app_stats, ticks)
{
	static const struct {
		const char *text;
		int r;
		uint64_t ticks;
	} tests[] = {
		{"7 (sh) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0", 0, 42},
		{"7 (a) 1 2 (b) c) R 1 2 3 4 5 6 7 8 9 10 3 4 0", 0, 7},
		{"7 (sh) S 1 2 3", -EINVAL, 0},
		{"7 sh S", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		uint64_t ticks = 0;

		cr_expect_eq(stats_parse_ticks(tests[i].text, &ticks),
			     tests[i].r, "%s", tests[i].text);
		if (tests[i].r == 0)
			cr_expect_eq(ticks, tests[i].ticks, "%s",
				     tests[i].text);
	}
}

Test(app_stats, status)
{
	struct app_process_stats p;

	cr_assert_eq(stats_parse_status("Name:\ta\033b\nUid:\t1\t501\t1\t1\n"
					"NSpid:\t700\t6\t3\nVmRSS:\t  8 kB\n"
					"Threads:\t2\n",
					&p),
		     0);
	cr_expect_str_eq(p.name, "a?b");
	cr_expect_eq(p.uid, 501);
	cr_expect_eq(p.pod_pid, 3);
	cr_expect_eq(p.rss, 8192);
	cr_expect_eq(p.threads, 2);
	/* A zombie. */
	cr_assert_eq(stats_parse_status("Name:\tx\nUid:\t0\t0\t0\t0\n"
					"NSpid:\t9\nThreads:\t1\n",
					&p),
		     0);
	cr_expect_eq(p.rss, 0);
	cr_expect_eq(p.pod_pid, 9);
	cr_expect_eq(stats_parse_status("", &p), -EINVAL);
	cr_expect_eq(stats_parse_status("Name:\tx\nUid:\t0\n", &p), -EINVAL);
}
