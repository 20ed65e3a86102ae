/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stddef.h>

#include "spec/semver.h"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))

Test(semver, check)
{
	static const struct {
		const char *s;
		bool ok;
	} rows[] = {
		{"0.0.0", true},
		{"1.2.3", true},
		{"10.20.30", true},
		{"99999999999999999999999.999999999999999999.99999999999999999",
		 true},
		{"1.1.2-prerelease+meta", true},
		{"1.1.2+meta", true},
		{"1.1.2+meta-valid", true},
		{"1.0.0-alpha", true},
		{"1.0.0-alpha.beta.1", true},
		{"1.0.0-alpha0.valid", true},
		{"1.0.0-0A.is.legal", true},
		{"1.0.0--", true},
		{"1.2.3----R-S.12.9.1--.12+788", true},
		{"1.0.0+0.build.1-rc.10000aaa-kk-0.1", true},
		{"1.0.0+001", true},
		{"1.22.1-9+deb12u3", true},
		{"", false},
		{"1", false},
		{"1.2", false},
		{"1.2.3.4", false},
		{"01.1.1", false},
		{"1.01.1", false},
		{"1.1.01", false},
		{"v1.2.3", false},
		{"1.2.3-", false},
		{"1.2.3+", false},
		{"1.2.3-01", false},
		{"1.2.3-a..b", false},
		{"1.2.3-a.", false},
		{"1.2.3-.a", false},
		{"1.2.3+a+b", false},
		{"1.2.3-a_b", false},
		{"1.2-SNAPSHOT", false},
		{"-1.0.3", false},
		{"1.2.3 ", false},
		{"latest", false},
		{"1.2.3-\303\244", false},
	};

	for (size_t i = 0; i < N_OF(rows); i++)
		cr_expect_eq(semver_check(rows[i].s), rows[i].ok, "%s",
			     rows[i].s);
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

/* Every row is below those after it; the order of section 11 and more. */
Test(semver, order)
{
	static const char *const rows[] = {
		"0.0.0",
		"0.9.9",
		"1.0.0-0",
		"1.0.0-1",
		"1.0.0-2",
		"1.0.0-10",
		"1.0.0-99999999999999999999998",
		"1.0.0-99999999999999999999999",
		"1.0.0--",
		"1.0.0-1a",
		"1.0.0-alpha",
		"1.0.0-alpha.1",
		"1.0.0-alpha.1.0",
		"1.0.0-alpha.beta",
		"1.0.0-beta",
		"1.0.0-beta.2",
		"1.0.0-beta.11",
		"1.0.0-rc.1",
		"1.0.0",
		"1.0.9",
		"1.0.10",
		"1.9.0",
		"1.10.0",
		"2.0.0",
		"10.0.0",
		"18446744073709551616.0.0",
	};

	for (size_t i = 0; i < N_OF(rows); i++)
		for (size_t k = 0; k < N_OF(rows); k++)
			cr_expect_eq(sign(semver_compare(rows[i], rows[k])),
				     (i > k) - (i < k), "%s and %s", rows[i],
				     rows[k]);
}

Test(semver, metadata_does_not_count)
{
	cr_expect_eq(semver_compare("1.0.0+a", "1.0.0"), 0);
	cr_expect_eq(semver_compare("1.0.0+a", "1.0.0+b"), 0);
	cr_expect_eq(semver_compare("1.0.0-9+deb12u3", "1.0.0-9+deb12u4"), 0);
	cr_expect_lt(semver_compare("1.0.0-a+z", "1.0.0-a.b+a"), 0);
	cr_expect_lt(semver_compare("1.0.0-a+z", "1.0.0+a"), 0);
	cr_expect_gt(semver_compare("1.0.0+z", "1.0.0-a"), 0);
}

Test(semver, compare_builds)
{
	static const struct {
		const char *a, *b;
		bool has_order;
		int sign;
	} rows[] = {
		{"1.2.3+deb12u3", "1.2.3+deb12u4", true, -1},
		{"1.2.3+deb12u9", "1.2.3+deb12u10", true, -1},
		{"1.2.3+deb12u1", "1.2.3+deb12u1", true, 0},
		{"1.2.3", "1.2.3+deb12u1", true, -1},
		{"1.2.3", "1.2.3", true, 0},
		{"1.2.3+a", "1.2.3+a.1", true, -1},
		{"1.2.3+20240131.g1", "1.2.3+20231231.g9", true, 1},
		{"1.2.3+007", "1.2.3+7", true, 0},
		{"1.2.3+0", "1.2.3+00", true, 0},
		{"1.2.3+gabc", "1.2.3+gdef", false, 0},
		{"1.2.3+g1a", "1.2.3+g1b", false, 0},
		{"1.2.3+1", "1.2.3+a", false, 0},
		{"1.2.3-rc+99999999999999999999", "1.2.3-rc+9999999999", true,
		 1},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		int there = 0, back = 0;

		cr_expect_eq(
			semver_compare_builds(rows[i].a, rows[i].b, &there),
			rows[i].has_order, "%s %s", rows[i].a, rows[i].b);
		cr_expect_eq(semver_compare_builds(rows[i].b, rows[i].a, &back),
			     rows[i].has_order);
		if (!rows[i].has_order)
			continue;
		cr_expect_eq(sign(there), rows[i].sign, "%s %s", rows[i].a,
			     rows[i].b);
		cr_expect_eq(sign(back), -rows[i].sign);
	}
}
