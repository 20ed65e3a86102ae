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

Test(strv, env_unset)
{
	cleanup_strv struct strv env = STRV_INIT;

	strv_env_unset(&env, "A");
	strv_env_set(&env, "A", "1");
	strv_env_set(&env, "AB", "2");
	strv_env_set(&env, "B", "3");
	strv_env_unset(&env, "A");
	strv_env_unset(&env, "C");
	cr_expect_eq(env.n, 2);
	cr_expect_null(strv_env_get(&env, "A"));
	cr_expect_str_eq(env.v[1], "B=3");
	cr_expect_null(env.v[2]);
}
