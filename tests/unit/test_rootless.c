/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rootless.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(rootless, range_find)
{
	static const struct {
		const char *text, *name;
		uint32_t id, first, count;
	} rows[] = {
		{"", "ann", 1000, 0, 0},
		{"ann:100000:65536\n", "ann", 1000, 100000, 65536},
		{"bob:1:1\nann:100000:65536", "ann", 1000, 100000, 65536},
		{"1000:5:6\n", "ann", 1000, 5, 6},
		{"1000:5:6\n", NULL, 1000, 5, 6},
		{"1001:5:6\n", NULL, 1000, 0, 0},
		{"ann:5:6\n", NULL, 1000, 0, 0},
		{"ann2:5:6\n", "ann", 1000, 0, 0},
		{"ann:5:6\nann:7:8\n", "ann", 1000, 5, 6},
		/* lines that are none */
		{"ann:5\nann:5:x\nann::6\nann:5:0\nann:0:5\nann:-1:5\n"
		 "ann:4294967295:2\nann:99999999999:1\nann:5:6:7\n:::\n\n"
		 "ann:9:10\n",
		 "ann", 1000, 9, 10},
		{"ann:4294967294:1\n", "ann", 1000, 4294967294, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rootless_range range = rootless_range_find(
			rows[i].text, rows[i].name, rows[i].id);

		cr_expect_eq(range.first, rows[i].first, "row %zu", i);
		cr_expect_eq(range.count, rows[i].count, "row %zu", i);
	}
}

Test(rootless, name_find)
{
	static const char text[] = "root:x:0:0:root:/root:/bin/sh\n"
				   "short:x\n:x:7:7::/:\nodd:x:-1:1::/:\n"
				   "ann:x:1000:1000::/home/ann:/bin/sh";
	char *name = rootless_name_find(text, 1000);

	cr_expect_str_eq(name, "ann");
	free(name);
	name = rootless_name_find(text, 0);
	cr_expect_str_eq(name, "root");
	free(name);
	cr_expect_null(rootless_name_find(text, 7));
	cr_expect_null(rootless_name_find(text, 1));
	cr_expect_null(rootless_name_find("", 0));
}
