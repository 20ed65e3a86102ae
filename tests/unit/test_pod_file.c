/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/pod_file.h"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))
#define HEAD "{\"rktKind\":\"pod\",\"rktVersion\":\"v1\","

/* Words, each in brackets. */
static int parse(const char *text, struct strbuf *ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	int r = pod_file_parse(text, strlen(text), &words, err);

	for (size_t i = 0; i < words.n; i++)
		strbuf_addf(ret, "[%s]", words.v[i]);
	return r;
}

Test(pod_file, words)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{HEAD "\"apps\":[{\"image\":\"a\"}]}", "[a]"},
		{HEAD "\"apps\":[{\"image\":\"a\",\"args\":[]}]}",
		 "[a][--][---]"},
		{HEAD "\"flags\":[\"--net=host\",\"--private-users\"],"
		      "\"apps\":[{\"args\":[\"-v\",\"--\"],"
		      "\"flags\":[\"--memory=1M\"],\"image\":\"a:1\"},"
		      "{\"image\":\"b,x=y\"}]}",
		 "[--net=host][--private-users][a:1][--memory=1M][--][-v][--]"
		 "[---][b,x=y]"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_strbuf struct strbuf words = STRBUF_INIT;
		struct error err = ERROR_INIT;

		cr_expect_eq(parse(rows[i].text, &words, &err), 0, "%s: %s",
			     rows[i].text, err.msg);
		cr_expect_str_eq(words.buf, rows[i].words, "%s", rows[i].text);
	}
}

Test(pod_file, refused_with_path)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "line 1"},
		{"[]", "object"},
		{"{}", "\"rktKind\" is missing"},
		{"{\"rktKind\":\"pods\"}", "rktKind: \"pods\" is not known"},
		{"{\"rktKind\":\"pod\",\"rktVersion\":\"v2\"}",
		 "rktVersion: \"v2\" is not known"},
		{HEAD "\"x\":1}", "x: nobody knows this member"},
		{HEAD "\"Apps\":[]}", "Apps: nobody knows this member"},
		{HEAD "\"flags\":[]}", "\"apps\" is missing"},
		{HEAD "\"apps\":{}}", "apps: "},
		{HEAD "\"apps\":[]}", "at least one app"},
		{HEAD "\"apps\":[\"a\"]}", "apps[0]: "},
		{HEAD "\"apps\":[{}]}", "apps[0]: \"image\" is missing"},
		{HEAD "\"apps\":[{\"image\":\"\"}]}", "apps[0].image: "},
		{HEAD "\"apps\":[{\"image\":\"--x\"}]}", "is no image"},
		{HEAD "\"apps\":[{\"image\":\"a\",\"env\":[]}]}",
		 "apps[0].env: nobody knows this member"},
		{HEAD "\"flags\":[\"--net\",\"host\"],\"apps\":[{\"image\":"
		      "\"a\"}]}",
		 "flags[1]: \"host\" is no flag"},
		{HEAD "\"flags\":[\"--\"],\"apps\":[{\"image\":\"a\"}]}",
		 "flags[0]: \"--\" is no flag"},
		{HEAD "\"apps\":[{\"image\":\"a\",\"flags\":[\"---\"]}]}",
		 "apps[0].flags[0]: "},
		{HEAD "\"apps\":[{\"image\":\"a\",\"args\":[\"---\"]}]}",
		 "apps[0].args[0]: "},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_strbuf struct strbuf words = STRBUF_INIT;
		struct error err = ERROR_INIT;

		cr_expect_eq(parse(rows[i].text, &words, &err), -EINVAL, "%s",
			     rows[i].text);
		cr_expect(strstr(err.msg, rows[i].message), "%s: %s",
			  rows[i].text, err.msg);
		cr_expect_eq(words.len, 0, "%s", rows[i].text);
	}
}
