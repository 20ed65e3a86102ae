/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

#include "base/error.h"
#include "base/option.h"
#include "base/strbuf.h"
#include "base/strv.h"

struct opts {
	bool full;
	const char *name;
	struct strv list;
	int64_t n;
	int64_t wait;
};

static const struct option_row rows[] = {
	{.name = "full",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, full),
	 .help = "all of it"},
	{.name = "name",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, name),
	 .help = "a name"},
	{.name = "list",
	 .kind = OPTION_LIST,
	 .letter = 'l',
	 .offset = offsetof(struct opts, list),
	 .help = "several"},
	{.name = "n",
	 .kind = OPTION_INT,
	 .flags = OPTION_HIDDEN,
	 .offset = offsetof(struct opts, n)},
	{.name = "wait",
	 .kind = OPTION_DURATION,
	 .implied = "-1s",
	 .letter = 'w',
	 .offset = offsetof(struct opts, wait),
	 .help = "how long"},
	{.name = NULL},
};

Test(option, apply)
{
	static const struct {
		const char *a, *b;
		int used;
		const char *msg;
	} tests[] = {
		{"--full", "x", 1, NULL},
		{"--full=false", NULL, 1, NULL},
		{"--full=maybe", NULL, -EINVAL,
		 "invalid argument \"maybe\" for --full: invalid syntax"},
		{"--name", "x", 2, NULL},
		{"--name=", NULL, 1, NULL},
		{"--name", NULL, -EINVAL, "flag needs an argument: --name"},
		{"--nam", "x", -EINVAL, "unknown flag: --nam"},
		{"--list=a", NULL, 1, NULL},
		{"--n=-3", NULL, 1, NULL},
		{"--n", "3x", -EINVAL,
		 "invalid argument \"3x\" for --n: invalid syntax"},
		{"--wait", "10s", 1, NULL},
		{"--wait=10s", NULL, 1, NULL},
		{"-w", "10s", 1, NULL},
		{"-wx", "10s", -EINVAL, "unknown shorthand flag: 'x' in -wx"},
		{"-ww", "10s", 1, NULL},
		{"-l", "a", 2, NULL},
		{"-la", "b", 1, NULL},
		{"-wl", "a", 2, NULL},
		{"-wl", NULL, -EINVAL, "flag needs an argument: 'l' in -wl"},
		{"-x", NULL, -EINVAL, "unknown shorthand flag: 'x' in -x"},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		struct opts o = {0};
		const struct option_set set = {rows, &o};
		struct error err = ERROR_INIT;
		char *argv[] = {(char *)tests[i].a, (char *)tests[i].b, NULL};
		int r = option_apply(&set, 1, argv, &err);

		cr_expect_eq(r, tests[i].used, "%s: %d", tests[i].a, r);
		cr_expect_str_eq(err.msg, tests[i].msg ? tests[i].msg : "");
		strv_release(&o.list);
	}
}

Test(option, values)
{
	struct opts o = {0};
	const struct option_set set = {rows, &o};
	const char *argv[] = {"--full", "--list=a", "--list", "b",
			      "-wlc",	"--n=-3",   NULL};

	for (int i = 0; argv[i];) {
		int r = option_apply(&set, 1, (char *const *)argv + i, NULL);

		cr_assert_gt(r, 0);
		i += r;
	}
	cr_expect(o.full);
	cr_expect_eq(o.list.n, 3);
	cr_expect_str_eq(o.list.v[1], "b");
	cr_expect_str_eq(o.list.v[2], "c");
	cr_expect_eq(o.wait, -1000000000);
	cr_expect_eq(o.n, -3);
	strv_release(&o.list);
}

Test(option, help)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	const struct option_row *table = rows;

	option_help(&table, 1, &sb);
	cr_expect_str_eq(sb.buf, "      --full[=false]\tall of it\n"
				 "  -l, --list=\tseveral\n"
				 "      --name=\"\"\ta name\n"
				 "  -w, --wait[=0s]\thow long\n");
}
