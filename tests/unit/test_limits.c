/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"

static void add_line(struct strbuf *sb, const char *name, const char *soft,
		     const char *hard)
{
	strbuf_addf(sb, "%-25s %-20s %-20s %-10s\n", name, soft, hard, "units");
}

Test(limits, parse)
{
	static const struct {
		const char *soft, *hard;
		int r;
	} tests[] = {
		{"0", "unlimited", 0},
		{"18446744073709551614", "unlimited", 0},
		{"-1", "unlimited", -EINVAL},
		{"1", "", -EINVAL},
		{"many", "5", -EINVAL},
		{"18446744073709551616", "5", -EINVAL},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;
		struct rlimit limits[RLIM_NLIMITS];

		add_line(&sb, "Limit", "Soft Limit", "Hard Limit");
		for (int n = 1; n < RLIM_NLIMITS; n++)
			add_line(&sb, "Max of some", "3", "4");
		cr_expect_eq(limits_parse(sb.buf, limits), -EINVAL);
		strbuf_addf(&sb, "%-25s %-20s %s\n", "Max realtime timeout",
			    tests[i].soft, tests[i].hard);
		cr_expect_eq(limits_parse(sb.buf, limits), tests[i].r, "%s %s",
			     tests[i].soft, tests[i].hard);
		cr_expect_eq(limits[0].rlim_cur, 3);
		cr_expect_eq(limits[RLIM_NLIMITS - 2].rlim_max, 4);
		if (tests[i].r == 0)
			cr_expect_eq(limits[RLIM_NLIMITS - 1].rlim_max,
				     RLIM_INFINITY);
	}
	cr_expect_eq(limits_parse("", NULL), -EINVAL);
}

Test(limits, read_own)
{
	struct rlimit limits[RLIM_NLIMITS], own;

	cr_assert_eq(limits_read(getpid(), limits, NULL), 0);
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		cr_assert_eq(getrlimit((__rlimit_resource_t)i, &own), 0);
		cr_expect_eq(limits[i].rlim_cur, own.rlim_cur, "%d", i);
		cr_expect_eq(limits[i].rlim_max, own.rlim_max, "%d", i);
	}
}
