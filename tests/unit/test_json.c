/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/stage1_abi.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

Test(json, syntax_errors_have_a_position)
{
	static const struct {
		const char *in;
		size_t len; /* 0 = strlen */
		const char *want;
	} rows[] = {
		{"", 0, "line 1, column 1"},
		{"{\"a\":1,}", 0, "line 1, column 8"},
		{"{\n\t\"a\": b\n}", 0, "line 2, column 7"},
		{"\n<html>", 0, "line 2, column 1"},
		{"{} x", 0, "line 1, column 4"},
		{"\xef\xbb\xbf{}", 0, "line 1, column 1"},
		{"{\"a\":\"\0\"}", 9, "line 1, column 7: NUL byte"},
		{"{\"a\":\"\\u0000\"}", 0, "line 1"},
		{"\"\xff\"", 0, "line 1"},
		{"\"\xed\xa0\x80\"", 0, "line 1"},
		{"[1", 0, "line 1, column 3"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t len = rows[i].len ? rows[i].len : strlen(rows[i].in);
		struct json_doc doc cleanup_json_doc = {0};
		struct error err = ERROR_INIT;
		int r = json_doc_parse(&doc, rows[i].in, len, NULL, &err);

		cr_expect(r == -EINVAL, "%s: %d", rows[i].in, r);
		cr_expect(strstr(err.msg, rows[i].want), "%s: %s", rows[i].in,
			  err.msg);
	}
}

Test(json, limits)
{
	char *big cleanup_free = xmalloc(MANIFEST_MAX + 1);
	char *deep cleanup_free = xmalloc(6001);
	struct json_doc doc cleanup_json_doc = {0};
	struct error err = ERROR_INIT;

	memset(big, ' ', MANIFEST_MAX + 1);
	cr_expect(json_doc_parse(&doc, big, MANIFEST_MAX + 1, NULL, &err) ==
		  -EFBIG);
	cr_expect(err.code == EFBIG, "%s", err.msg);
	big[0] = '1';
	cr_expect(json_doc_parse(&doc, big, MANIFEST_MAX, NULL, NULL) == 0);
	json_doc_release(&doc);
	memset(deep, '[', 3000);
	memset(deep + 3000, ']', 3000);
	cr_expect(json_doc_parse(&doc, deep, 6000, NULL, &err) == -EINVAL);
}

Test(json, keys_match_exactly_then_in_any_case_and_the_last_wins)
{
	static const struct {
		const char *in;
		const char *want;
	} rows[] = {
		{"{\"exec\":\"a\"}", "a"},
		{"{\"Exec\":\"a\"}", "a"},
		{"{\"EXEC\":\"a\",\"exec\":\"b\"}", "b"},
		{"{\"exec\":\"b\",\"EXEC\":\"a\"}", "b"},
		{"{\"exec\":\"a\",\"exec\":\"b\"}", "b"},
		{"{\"eXec\":\"a\",\"Exec\":\"b\"}", "b"},
		{"{\"exec\":null}", NULL},
		{"{\"execs\":\"a\"}", NULL},
		{"{}", NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct json_doc doc cleanup_json_doc = {0};
		char *got cleanup_free = NULL;
		struct json_node root;

		cr_assert(json_doc_parse(&doc, rows[i].in, strlen(rows[i].in),
					 NULL, NULL) == 0);
		root = json_root(&doc);
		json_get_string(&root, "exec", &got);
		cr_expect(json_doc_result(&doc) == 0);
		cr_expect((!got && !rows[i].want) ||
				  (got && rows[i].want &&
				   strcmp(got, rows[i].want) == 0),
			  "%s: %s", rows[i].in, got);
	}
}

Test(json, problems_name_the_path)
{
	static const char in[] =
		"{\"a\":{\"b\":[1,\"x\",{\"c\":true}]},\"n\":70}";
	struct problems problems cleanup_problems = PROBLEMS_INIT;
	struct json_doc doc cleanup_json_doc = {0};
	struct strv sv cleanup_strv = STRV_INIT;
	struct error err = ERROR_INIT;
	struct json_node root, a;
	int64_t number = -1;

	cr_assert(json_doc_parse(&doc, in, strlen(in), &problems, &err) == 0);
	root = json_root(&doc);
	cr_assert(json_member(&root, "a", &a));
	json_get_strv(&a, "b", &sv);
	json_get_int(&root, "n", 1, 69, &number);
	json_warning(&root, "only a %s", "warning");
	cr_expect(json_doc_result(&doc) == -EINVAL);
	cr_expect_str_eq(err.msg, "a.b[0]: must be a string, is a number");
	cr_assert(problems.n == 4);
	cr_expect(problems.n_errors == 3);
	cr_expect_str_eq(problems.v[1].where, "a.b[2]");
	cr_expect_str_eq(problems.v[2].where, "n");
	cr_expect_str_eq(problems.v[2].text, "70 is not in 1..69");
	cr_expect(problems.v[3].is_warning);
	cr_expect(number == -1);
}

Test(json, problems_are_bounded)
{
	struct problems problems cleanup_problems = PROBLEMS_INIT;
	struct json_doc doc cleanup_json_doc = {0};
	struct strbuf in cleanup_strbuf = STRBUF_INIT;
	struct strv sv cleanup_strv = STRV_INIT;
	struct json_node root;

	strbuf_addch(&in, '[');
	for (int i = 0; i < 5000; i++)
		strbuf_addstr(&in, "1,");
	strbuf_addstr(&in, "1]");
	cr_assert(json_doc_parse(&doc, in.buf, in.len, &problems, NULL) == 0);
	root = json_root(&doc);
	json_read_strv(&root, &sv);
	cr_expect(problems.n == 100);
	cr_expect(problems.n_errors == 5001);
}

Test(json, members_are_walked_in_order)
{
	static const char in[] = "{\"z\":1,\"a\":2,\"m\":3}";
	struct json_doc doc cleanup_json_doc = {0};
	struct strbuf got cleanup_strbuf = STRBUF_INIT;
	struct json_node it = {0};
	struct json_node root;

	cr_assert(json_doc_parse(&doc, in, strlen(in), NULL, NULL) == 0);
	root = json_root(&doc);
	while (json_next_member(&root, &it))
		strbuf_addstr(&got, it.key);
	cr_expect_str_eq(got.buf, "zam");
}

Test(json, numbers_keep_their_shortest_text)
{
	static const char *const rows[] = {"1.5", "0.1", "-3", "1e+20",
					   "9223372036854775807"};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct json_doc doc cleanup_json_doc = {0};
		struct strbuf got cleanup_strbuf = STRBUF_INIT;
		struct json_node root;

		cr_assert(json_doc_parse(&doc, rows[i], strlen(rows[i]), NULL,
					 NULL) == 0);
		root = json_root(&doc);
		json_read_number_text(&root, &got);
		cr_expect_str_eq(got.buf, rows[i]);
	}
}

static void write_sample(struct json_writer *w)
{
	struct strv sv cleanup_strv = STRV_INIT;

	strv_push(&sv, "x");
	strv_push(&sv, "");
	json_open_object(w, NULL);
	json_add_string(w, "s", "a\"b\\c\n\x01");
	json_add_string_if(w, "left out", "");
	json_add_int(w, "i", -5);
	json_add_uint(w, "u", UINT64_MAX);
	json_add_bool(w, "b", true);
	json_add_null(w, "n");
	json_add_strv(w, "v", &sv);
	json_open_object(w, "o");
	json_close_object(w);
	json_open_array(w, "e");
	json_close_array(w);
	json_add_raw(w, "r", "[1]");
	json_close_object(w);
}

Test(json, writer_compact)
{
	struct strbuf out cleanup_strbuf = STRBUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_COMPACT_STYLE);
	write_sample(&w);
	cr_expect_str_eq(out.buf,
			 "{\"s\":\"a\\\"b\\\\c\\n\\u0001\",\"i\":-5,"
			 "\"u\":18446744073709551615,\"b\":true,\"n\":null,"
			 "\"v\":[\"x\",\"\"],\"o\":{},\"e\":[],\"r\":[1]}");
}

Test(json, writer_pretty)
{
	struct strbuf out cleanup_strbuf = STRBUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_PRETTY_STYLE);
	json_open_object(&w, NULL);
	json_add_int(&w, "a", 1);
	json_open_array(&w, "b");
	json_add_string(&w, NULL, "c");
	json_add_bool(&w, NULL, false);
	json_close_array(&w);
	json_open_object(&w, "d");
	json_close_object(&w);
	json_close_object(&w);
	cr_expect_str_eq(out.buf, "{\n\t\"a\": 1,\n\t\"b\": [\n\t\t\"c\",\n"
				  "\t\tfalse\n\t],\n\t\"d\": {}\n}");
}

Test(json, any_bytes_are_quoted_as_utf8)
{
	static const struct {
		const char *in;
		const char *want;
	} rows[] = {
		{"h\xc3\xa4h", "\"h\xc3\xa4h\""},
		{"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
		{"a\xff"
		 "b",
		 "\"a\xef\xbf\xbd"
		 "b\""},
		{"\xc3", "\"\xef\xbf\xbd\""},
		{"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\x7f/<>&", "\"\x7f/<>&\""},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct strbuf out cleanup_strbuf = STRBUF_INIT;

		json_quote(&out, rows[i].in);
		cr_expect_str_eq(out.buf, rows[i].want);
	}
}

Test(json, string_arrays)
{
	static const char in[] = "[\"a\",null,\"\"]";
	struct strbuf out cleanup_strbuf = STRBUF_INIT;
	struct strv sv cleanup_strv = STRV_INIT;
	struct error err = ERROR_INIT;

	cr_assert(json_strv_parse(in, strlen(in), &sv, &err) == 0);
	cr_expect(sv.n == 3);
	json_strv_write(&sv, &out);
	cr_expect_str_eq(out.buf, "[\"a\",\"\",\"\"]");
	cr_expect(json_strv_parse("{}", 2, &sv, &err) == -EINVAL);
	cr_expect(json_strv_parse("[1]", 3, &sv, &err) == -EINVAL);
	cr_expect(sv.n == 3, "left alone on failure");
}
