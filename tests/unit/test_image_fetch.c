/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>

#include "aci/image_fetch.h"
#include "base/error.h"

Test(image_fetch, arg_parse)
{
	static const struct {
		const char *arg;
		bool is_file;
		int want; /* kind or -errno */
		const char *value;
	} tests[] = {
		{"sha512-ab12", false, IMAGE_ARG_ID, "sha512-ab12"},
		{"sha512-ab12", true, IMAGE_ARG_FILE, "sha512-ab12"},
		{"/a/b.aci", false, IMAGE_ARG_FILE, "/a/b.aci"},
		{"/a/b", false, IMAGE_ARG_FILE, "/a/b"},
		{"b.aci", false, IMAGE_ARG_FILE, "b.aci"},
		{"./b", false, IMAGE_ARG_FILE, "./b"},
		{"../b", false, IMAGE_ARG_FILE, "../b"},
		{"b", true, IMAGE_ARG_FILE, "b"},
		{"b:1", true, IMAGE_ARG_FILE, "b:1"},
		{"b", false, IMAGE_ARG_NAME, "b"},
		{"example.com/b", false, IMAGE_ARG_NAME, "example.com/b"},
		{"example.com/b:1.0", false, IMAGE_ARG_NAME,
		 "example.com/b:1.0"},
		{"my-app:v1.0", false, IMAGE_ARG_NAME, "my-app:v1.0"},
		{"./b:1", false, IMAGE_ARG_NAME, "./b:1"},
		{"b,os=linux", false, IMAGE_ARG_NAME, "b,os=linux"},
		{"file:///a/b.aci", false, IMAGE_ARG_FILE, "/a/b.aci"},
		{"file:///a/b", false, -EINVAL, NULL},
		{"file://b.aci", false, -EINVAL, NULL},
		{"https://a/b.aci", false, IMAGE_ARG_URL, "https://a/b.aci"},
		{"http://a/b.aci", false, IMAGE_ARG_URL, "http://a/b.aci"},
		{"https://a/b", false, -EINVAL, NULL},
		{"docker://busybox", false, IMAGE_ARG_DOCKER,
		 "docker://busybox"},
		{"docker:busybox", false, IMAGE_ARG_DOCKER, "docker:busybox"},
		{"ftp://a/b.aci", false, -EINVAL, NULL},
		{"HTTPS://a/b.aci", false, -EINVAL, NULL},
		{"", false, -EINVAL, NULL},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		struct error err = ERROR_INIT;
		struct image_arg arg;
		int r = image_arg_parse(tests[i].arg, tests[i].is_file, &arg,
					&err);

		if (tests[i].want < 0) {
			cr_expect_eq(r, tests[i].want, "%s", tests[i].arg);
			cr_expect_neq(err.msg[0], '\0');
			continue;
		}
		cr_assert_eq(r, 0, "%s: %s", tests[i].arg, err.msg);
		cr_expect_eq((int)arg.kind, tests[i].want, "%s", tests[i].arg);
		cr_expect_str_eq(arg.value, tests[i].value);
	}
}

Test(image_fetch, pull_policy)
{
	enum pull_policy policy;

	cr_assert_eq(pull_policy_parse("never", &policy, NULL), 0);
	cr_expect_eq(policy, PULL_NEVER);
	cr_assert_eq(pull_policy_parse("new", &policy, NULL), 0);
	cr_expect_eq(policy, PULL_NEW);
	cr_assert_eq(pull_policy_parse("update", &policy, NULL), 0);
	cr_expect_eq(policy, PULL_UPDATE);
	cr_expect_eq(pull_policy_parse("sometimes", &policy, NULL), -EINVAL);
}
