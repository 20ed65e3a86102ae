/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/json_diff.h"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))

static void changes_text(const struct json_changes *c, struct strbuf *out)
{
	for (size_t i = 0; i < c->n; i++)
		strbuf_addf(out, "%s%s %s %s", i ? "; " : "", c->v[i].path,
			    c->v[i].before ? c->v[i].before : "-",
			    c->v[i].after ? c->v[i].after : "-");
}

Test(json_diff, rows)
{
	static const struct {
		const char *before, *after, *changes;
	} rows[] = {
		{"{}", "{ }", ""},
		{"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", ""},
		{"1", "2", ". 1 2"},
		{"{\"a\":1}", "{\"a\":2}", "a 1 2"},
		{"{\"a\":1}", "{\"b\":null}", "a 1 -; b - null"},
		{"{\"a\":{\"b\":[1,2]}}", "{\"a\":{\"b\":[1,3]}}",
		 "a.b [1,2] [1,3]"},
		{"{\"l\":[{\"name\":\"v\",\"value\":\"1\"},"
		 "{\"name\":\"o\",\"value\":\"x\"}]}",
		 "{\"l\":[{\"name\":\"o\",\"value\":\"x\"},"
		 "{\"name\":\"v\",\"value\":\"2\"},"
		 "{\"name\":\"n\",\"value\":\"y\"}]}",
		 "l[v] \"1\" \"2\"; l[n] - {\"name\":\"n\",\"value\":\"y\"}"},
		{"{\"i\":[{\"name\":\"c\",\"value\":{\"limit\":\"1\"}}]}",
		 "{\"i\":[{\"name\":\"c\",\"value\":{\"limit\":\"2\"}}]}",
		 "i[c].value.limit \"1\" \"2\""},
		{"{\"p\":[{\"name\":\"h\",\"port\":80}]}",
		 "{\"p\":[{\"name\":\"h\",\"port\":81}]}", "p[h].port 80 81"},
		/* Twice one name: nothing says which is which. */
		{"[{\"name\":\"a\",\"x\":1},{\"name\":\"a\",\"x\":2}]",
		 "[{\"name\":\"a\",\"x\":1}]",
		 ". [{\"name\":\"a\",\"x\":1},{\"name\":\"a\",\"x\":2}] "
		 "[{\"name\":\"a\",\"x\":1}]"},
		{"[]", "{}", ". [] {}"},
		/* Empty names and keys stay apart. */
		{"{\"a\":[]}", "{\"a\":[{\"name\":\"\"}]}",
		 "a [] [{\"name\":\"\"}]"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_json_changes struct json_changes c = JSON_CHANGES_INIT;
		cleanup_strbuf struct strbuf text = STRBUF_INIT;
		struct error err = ERROR_INIT;

		cr_assert_eq(json_diff(rows[i].before, strlen(rows[i].before),
				       rows[i].after, strlen(rows[i].after), &c,
				       &err),
			     0, "%s", err.msg);
		changes_text(&c, &text);
		cr_expect_str_eq(text.buf, rows[i].changes, "%s: %s",
				 rows[i].before, text.buf);
	}
}

Test(json_diff, not_json)
{
	cleanup_json_changes struct json_changes c = JSON_CHANGES_INIT;

	cr_expect_eq(json_diff("{", 1, "{}", 2, &c, NULL), -EINVAL);
	cr_expect_eq(json_diff("{}", 2, "{", 1, &c, NULL), -EINVAL);
}
