/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "spec/net_list.h"

struct row {
	const char *values[3];
	enum net_kind kind;
	const char *text;
	const char *error;
};

static const struct row rows[] = {
	{{NULL}, NET_KIND_CNI, "default", NULL},
	{{"default"}, NET_KIND_CNI, "default", NULL},
	{{"none"}, NET_KIND_NONE, "none", NULL},
	{{"host"}, NET_KIND_HOST, "host", NULL},
	{{"all"}, NET_KIND_CNI, "all", NULL},
	{{"a,b:IP=1.2.3.4;MTU=9"}, NET_KIND_CNI, "a,b:IP=1.2.3.4;MTU=9", NULL},
	{{"a", "b"}, NET_KIND_CNI, "a,b", NULL},
	{{"default:"}, NET_KIND_CNI, "default", NULL},
	{{""}, 0, NULL, "netname must not be empty"},
	{{"a,"}, 0, NULL, "netname must not be empty"},
	{{":x"}, 0, NULL, "netname must not be empty"},
	{{"a,a"}, 0, NULL, "found duplicate netname \"a\""},
	{{"a", "a:x"}, 0, NULL, "found duplicate netname \"a\""},
	{{"host,none"}, 0, NULL, "network \"none\" excludes all others"},
	{{"none", "a"}, 0, NULL, "network \"none\" excludes all others"},
	{{"a,b", "host"}, 0, NULL, "network \"host\" excludes all others"},
	{{"all:x"},
	 0,
	 NULL,
	 "arguments are not supported by special netname \"all\""},
	{{"host:x"},
	 0,
	 NULL,
	 "arguments are not supported by special netname \"host\""},
	{{"a:b:c"},
	 0,
	 NULL,
	 "network \"a\" provided with invalid arguments: [b c]"},
};

Test(net_list, forms)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		cleanup_net_list struct net_list list = NET_LIST_INIT;
		cleanup_free char *text = NULL;
		struct error err = ERROR_INIT;
		int r = 0;

		for (int k = 0; k < 3 && row->values[k] && r == 0; k++)
			r = net_list_add(&list, row->values[k], &err);
		if (row->error) {
			cr_expect_eq(r, -EINVAL, "row %zu", i);
			cr_expect_str_eq(err.msg, row->error, "row %zu: %s", i,
					 err.msg);
			continue;
		}
		cr_expect_eq(r, 0, "row %zu: %s", i, err.msg);
		cr_expect_eq(net_list_kind(&list), row->kind, "row %zu", i);
		text = net_list_text(&list);
		cr_expect_str_eq(text, row->text, "row %zu: %s", i, text);
	}
}

Test(net_list, at_most_64)
{
	cleanup_net_list struct net_list list = NET_LIST_INIT;
	char name[8];

	for (int i = 0; i < NET_LIST_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		cr_assert_eq(net_list_add(&list, name, NULL), 0);
	}
	cr_expect_eq(net_list_add(&list, "more", NULL), -EINVAL);
}
