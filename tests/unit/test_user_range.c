/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/user_range.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "spec/app.h"
#include "spec/uuid.h"

#define LAST USER_RANGE_FIRST_MAX

Test(user_range, parse)
{
	static const struct {
		const char *text;
		int r;
		uint32_t first;
	} rows[] = {
		{"524288:65536", 0, 524288},
		{"1879048192:65536", -EINVAL, 0}, /* 0x70000000 */
		{"1878982656:65536", 0, LAST},
		{"458752:65536", -EINVAL, 0}, /* below the first */
		{"524289:65536", -EINVAL, 0}, /* no multiple */
		{"524288:65535", -EINVAL, 0},
		{"524288:1", -EINVAL, 0},
		{"0:65536", -EINVAL, 0},
		{"524288", -EINVAL, 0},
		{"524288:", -EINVAL, 0},
		{":65536", -EINVAL, 0},
		{"524288:65536:1", -EINVAL, 0},
		{"-524288:65536", -EINVAL, 0},
		{"524288:65536\n", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct user_range range = {0};
		char text[USER_RANGE_TEXT_MAX];

		cr_expect_eq(user_range_parse(rows[i].text, &range, NULL),
			     rows[i].r, "%s", rows[i].text);
		if (rows[i].r < 0)
			continue;
		cr_expect_eq(range.first, rows[i].first, "%s", rows[i].text);
		cr_expect_eq(range.count, USER_RANGE_COUNT);
		user_range_format(&range, text);
		cr_expect_str_eq(text, rows[i].text);
	}
}

static struct uuid uuid_of(uint32_t start)
{
	struct uuid u = {{0}};

	for (int i = 0; i < 4; i++)
		u.b[i] = (uint8_t)(start >> (24 - 8 * i));
	return u;
}

#define N_RANGES ((LAST - USER_RANGE_FIRST_MIN) / USER_RANGE_COUNT + 1)

Test(user_range, choose)
{
	static const struct {
		const char *what;
		uint32_t start; /* of the UUID */
		struct user_range taken[3];
		int r;
		uint32_t first;
	} rows[] = {
		{"first", 0, {{0, 0}}, 0, 0x80000},
		{"by uuid", 7, {{0, 0}}, 0, 0xf0000},
		{"last", N_RANGES - 1, {{0, 0}}, 0, LAST},
		{"around", N_RANGES, {{0, 0}}, 0, 0x80000},
		{"taken", 0, {{0x80000, 65536}}, 0, 0x90000},
		{"two taken",
		 0,
		 {{0x90000, 65536}, {0x80000, 65536}},
		 0,
		 0xa0000},
		{"its last user", 0, {{0x8ffff, 1}}, 0, 0x90000},
		{"its first user", 0, {{0x80000, 1}}, 0, 0x90000},
		{"before it", 0, {{0, 0x80000}}, 0, 0x80000},
		{"behind it", 0, {{0x90000, 65536}}, 0, 0x80000},
		{"nobody's", 0, {{0x80000, 0}}, 0, 0x80000},
		{"last is taken", N_RANGES - 1, {{LAST, 65536}}, 0, 0x80000},
		{"all but one",
		 5,
		 {{0, 0x12340000}, {0x12350000, 0x70000000}},
		 0,
		 0x12340000},
		{"all", 5, {{0, UINT32_MAX}}, -ENOSPC, 0},
		{"all, barely",
		 5,
		 {{0x80000, LAST - 0x80000}, {LAST + 65535, 1}},
		 -ENOSPC,
		 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct user_ranges taken = {
			.v = (struct user_range *)rows[i].taken, .n = 3};
		struct uuid uuid = uuid_of(rows[i].start);
		struct user_range range = {0};

		cr_expect_eq(user_range_choose(&uuid, &taken, &range, NULL),
			     rows[i].r, "%s", rows[i].what);
		cr_expect_eq(range.first, rows[i].first, "%s: %#x",
			     rows[i].what, range.first);
	}
}

Test(user_range, subids)
{
	struct user_ranges taken = USER_RANGES_INIT;

	user_ranges_add_subids(
		&taken, "ann:100000:65536\n# comment\n\nbob:1:2:3\n"
			"1000:-1:5\nx:99999999999:5\n:7:8\nlast:524288:65536");
	cr_assert_eq(taken.n, 3);
	cr_expect_eq(taken.v[0].first, 100000);
	cr_expect_eq(taken.v[0].count, 65536);
	cr_expect_eq(taken.v[1].first, 7);
	cr_expect_eq(taken.v[2].first, 524288);
	user_ranges_release(&taken);
	cr_expect_eq(taken.n, 0);
}

Test(user_range, app)
{
	static const struct {
		const char *user, *group;
		int64_t gid;
		const char *message; /* NULL: fits */
	} rows[] = {
		{"0", "0", 0, NULL},
		{"65535", "65535", 65535, NULL},
		{"root", "/etc/passwd", 5, NULL},
		{"65536", "0", 0, "user 65536"},
		{"0", "70000", 0, "group 70000"},
		{"0", "0", 65536, "supplementary group 65536"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t gid = rows[i].gid;
		struct app app = {
			.user = (char *)rows[i].user,
			.group = (char *)rows[i].group,
			.supplementary_gids = &gid,
			.n_supplementary_gids = 1,
		};
		struct error err = ERROR_INIT;
		int r = user_range_check_app(&app, &err);

		cr_expect_eq(r, rows[i].message ? -EINVAL : 0, "%s:%s",
			     rows[i].user, rows[i].group);
		if (rows[i].message)
			cr_expect(strstr(err.msg, rows[i].message), "%s",
				  err.msg);
	}
}
