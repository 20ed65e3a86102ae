/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "base/strv.h"

Test(strv, sorted)
{
	static const char *const in[] = {"b", "a/b", "", "a", "B", "a"};
	static const char *const want[] = {"", "B", "a", "a", "a/b", "b"};
	cleanup_strv struct strv sv = STRV_INIT;

	strv_sort(&sv);
	cr_expect_not(strv_sorted_has(&sv, "a"));
	for (size_t i = 0; i < sizeof(in) / sizeof(*in); i++)
		strv_push(&sv, in[i]);
	strv_sort(&sv);
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		cr_expect_str_eq(sv.v[i], want[i]);
		cr_expect(strv_sorted_has(&sv, want[i]));
	}
	cr_expect_not(strv_sorted_has(&sv, "a/"));
	cr_expect_null(sv.v[sv.n]);
}
