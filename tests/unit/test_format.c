/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/format.h"
#include "base/strbuf.h"

#define S 1000000000LL

Test(format, time_full)
{
	static const struct {
		int64_t ns;
		const char *want;
	} tests[] = {
		{0, "1970-01-01 00:00:00 +0000 UTC"},
		{1447415110 * S, "2015-11-13 11:45:10 +0000 UTC"},
		{1447415110 * S + 120000000,
		 "2015-11-13 11:45:10.12 +0000 UTC"},
		{1447415110 * S + 999999999,
		 "2015-11-13 11:45:10.999 +0000 UTC"},
		{1447415110 * S + 999, "2015-11-13 11:45:10 +0000 UTC"},
	};

	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;

		format_time_full(&sb, tests[i].ns);
		cr_expect_str_eq(sb.buf, tests[i].want);
	}
}

Test(format, time_ago)
{
	static const struct {
		int64_t ago;
		const char *want;
	} tests[] = {
		{0, "now"},
		{1, "1 second ago"},
		{59, "59 seconds ago"},
		{60, "1 minute ago"},
		{121, "2 minutes ago"},
		{3600, "1 hour ago"},
		{86400, "1 day ago"},
		{3 * 86400, "3 days ago"},
		{8 * 86400, "1 week ago"},
		{15 * 86400, "2 weeks ago"},
		{70 * 86400, "2 months ago"},
		{400 * 86400, "1 year ago"},
		{600 * 86400, "2 years ago"},
		{1000 * 86400, "2 years ago"},
		{40LL * 366 * 86400, "a long while ago"},
		{-120, "2 minutes from now"},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;

		format_time_ago(&sb, 1700000000 * S - tests[i].ago * S,
				1700000000 * S);
		cr_expect_str_eq(sb.buf, tests[i].want, "%lld: %s",
				 (long long)tests[i].ago, sb.buf);
	}
}

Test(format, size)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} tests[] = {
		{0, "0 B"},
		{9, "9 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{4404019, "4.2 MiB"},
		{44040192, "42 MiB"},
		{5ULL << 30, "5.0 GiB"},
		{10189, "10 KiB"}, /* 9.95 */
		{10752, "10 KiB"}, /* 10.5 and 11.5: to the even one */
		{11776, "12 KiB"},
		{10855, "11 KiB"}, /* 10.6 */
		{1048575, "1024 KiB"},
		{UINT64_MAX, "16 EiB"},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;

		format_size(&sb, tests[i].bytes);
		cr_expect_str_eq(sb.buf, tests[i].want);
	}
}

Test(format, wrapped)
{
	static const struct {
		const char *text;
		unsigned int column, n_tabs;
		const char *want;
	} rows[] = {
		{"", 0, 0, "\n"},
		{"one two", 0, 0, "one two\n"},
		{"one two", 73, 0, "one two\n"},
		{"one two", 74, 1, "one\n\ttwo\n"},
		{"a-word-that-is-too-long-for-it", 60, 2,
		 "a-word-that-is-too-long-for-it\n"},
		{"one\n\ntwo", 8, 1, "one\n\n\ttwo\n"},
		{"one\n  two", 8, 1, "one\n\t  two\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;

		format_wrapped(&sb, rows[i].text, rows[i].column,
			       rows[i].n_tabs);
		cr_expect_str_eq(sb.buf, rows[i].want, "row %zu: \"%s\"", i,
				 sb.buf);
	}
}
