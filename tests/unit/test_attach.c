/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/terminal.h"
#include "spec/name_value.h"
#include "spec/stdio_mode.h"
#include "stage1/attach.h"

#define S UINT64_C(1000000000)

Test(terminal, escape_seen)
{
	static const struct {
		struct {
			const char *text;
			uint64_t ns;
		} typed[4];
		int at; /* the one that completes it; -1: none does */
	} tests[] = {
		{{{"\x1d\x1d\x1d", 0}}, 0},
		{{{"ls\n\x1d\x1d\x1d!", 7}}, 0},
		{{{"\x1d", S}, {"\x1d", S + S / 2}, {"\x1d", 2 * S}}, 2},
		{{{"\x1d", S}, {"\x1d", S}, {"\x1d", 2 * S + 1}}, -1},
		{{{"\x1d\x1d", S}, {"x\x1d", S}}, -1},
		{{{"\x1d\x1d", S}, {"x\x1d\x1d", S}, {"\x1d", S}}, 2},
		{{{"\x1d\x1d", S}, {"\x1d", 3 * S}, {"\x1d\x1d", 3 * S}}, 2},
		{{{"\x1b\x1b\x1b]]]", S}}, -1},
		{{{"", S}, {"\x1d\x1d\x1d", S}}, 1},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct escape escape = {0};
		int at = -1;

		for (int k = 0; k < 4 && tests[i].typed[k].text; k++) {
			const char *text = tests[i].typed[k].text;

			if (escape_seen(&escape, text, strlen(text),
					tests[i].typed[k].ns) &&
			    at < 0)
				at = k;
		}
		cr_expect_eq(at, tests[i].at, "row %zu: at %d", i, at);
	}
}

Test(terminal, tame)
{
	static const struct {
		const char *text, *shown;
	} tests[] = {
		{"plain\ttext\r\n", "plain\ttext\r\n"},
		{"\x1b[31mred\a\b\x7f", "?[31mred???"},
		{"gr\xc3\xbc\xc3\x9f\x65", "gr\xc3\xbc\xc3\x9f\x65"},
		{"\xc2\x9b\x33\x31m \xc2\xa0", "\xc2?31m \xc2\xa0"},
		{"\xe2\x82\xac", "\xe2\x82\xac"},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		size_t n = strlen(tests[i].text);
		char whole[64], bytes[64];
		unsigned char last = 0;

		memcpy(whole, tests[i].text, n + 1);
		terminal_tame(whole, n, &last);
		cr_expect_str_eq(whole, tests[i].shown, "row %zu: %s", i,
				 whole);
		/* However it comes. */
		memcpy(bytes, tests[i].text, n + 1);
		last = 0;
		for (size_t k = 0; k < n; k++)
			terminal_tame(bytes + k, 1, &last);
		cr_expect_str_eq(bytes, tests[i].shown, "row %zu: %s", i,
				 bytes);
	}
}

Test(stdio_mode, make)
{
	static const struct {
		const char *name, *value;
		int r;
		enum stdio_mode modes[3];
	} tests[] = {
		{"other", "x", 0, {STDIO_NULL, STDIO_LOG, STDIO_LOG}},
		{"stdin", "tty", 0, {STDIO_TTY, STDIO_LOG, STDIO_LOG}},
		{"stdin", "null", 0, {STDIO_NULL, STDIO_LOG, STDIO_LOG}},
		{"stdin", "log", -EINVAL, {0}},
		{"stdout", "null", 0, {STDIO_NULL, STDIO_NULL, STDIO_LOG}},
		{"stdout", "log", 0, {STDIO_NULL, STDIO_LOG, STDIO_LOG}},
		{"stderr", "stream", 0, {STDIO_NULL, STDIO_LOG, STDIO_STREAM}},
		{"stderr", "", -EINVAL, {0}},
		{"stderr", "Stream", -EINVAL, {0}},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct name_values list = NAME_VALUES_INIT;
		enum stdio_mode modes[3];
		struct error err = ERROR_INIT;
		char name[64] = STDIO_ANNOTATION_PREFIX;

		strcat(name, tests[i].name);
		name_values_add(&list, name, tests[i].value);
		cr_expect_eq(stdio_modes_make(&list, modes, &err), tests[i].r,
			     "row %zu", i);
		if (tests[i].r < 0)
			cr_expect(strstr(err.msg, tests[i].name), "%s",
				  err.msg);
		else
			cr_expect_eq(
				memcmp(modes, tests[i].modes, sizeof(modes)), 0,
				"row %zu", i);
		name_values_release(&list);
	}
}

Test(attach, record_check)
{
	static const struct {
		uint32_t wants, kind, length;
		size_t more; /* bytes after the head */
		int r;
	} tests[] = {
		{CONTROL_ATTACH_STDIN, ATTACH_INPUT, 5, 5, 0},
		{CONTROL_ATTACH_TTY_IN, ATTACH_INPUT, 0, 0, 0},
		{CONTROL_ATTACH_TTY_IN, ATTACH_INPUT, ATTACH_DATA_MAX,
		 ATTACH_DATA_MAX, 0},
		{CONTROL_ATTACH_STDIN, ATTACH_INPUT, ATTACH_DATA_MAX + 1,
		 ATTACH_DATA_MAX + 1, -EPROTO},
		{CONTROL_ATTACH_STDOUT, ATTACH_INPUT, 5, 5, -EPROTO},
		{CONTROL_ATTACH_STDIN, ATTACH_INPUT, 5, 4, -EPROTO},
		{CONTROL_ATTACH_STDIN, ATTACH_INPUT, 5, 6, -EPROTO},
		{CONTROL_ATTACH_STDOUT, ATTACH_SIZE, 4, 4, 0},
		{CONTROL_ATTACH_STDOUT, ATTACH_SIZE, 2, 2, -EPROTO},
		{CONTROL_ATTACH_STDOUT, ATTACH_EOF, 0, 0, 0},
		{CONTROL_ATTACH_STDOUT, ATTACH_EOF, 1, 1, -EPROTO},
		{CONTROL_ATTACH_STDIN, ATTACH_OUTPUT, 1, 1, -EPROTO},
		{CONTROL_ATTACH_STDIN, ATTACH_END, 260, 260, -EPROTO},
		{CONTROL_ATTACH_STDIN, 0, 0, 0, -EPROTO},
		{CONTROL_ATTACH_STDIN, UINT32_MAX, 0, 0, -EPROTO},
		{CONTROL_ATTACH_STDIN, ATTACH_INPUT, UINT32_MAX, 5, -EPROTO},
	};
	char *buf = calloc(1, sizeof(struct attach_head) + ATTACH_DATA_MAX + 1);
	struct attach_head got;

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct attach_head head = {tests[i].kind, tests[i].length};

		memcpy(buf, &head, sizeof(head));
		cr_expect_eq(attach_record_check(buf,
						 sizeof(head) + tests[i].more,
						 tests[i].wants, &got),
			     tests[i].r, "row %zu", i);
	}
	for (size_t n = 0; n < sizeof(got); n++)
		cr_expect_eq(attach_record_check(buf, n, UINT32_MAX, &got),
			     -EPROTO);
	free(buf);
}
