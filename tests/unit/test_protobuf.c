/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/protobuf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/utf8.h"

static void expect_bytes(const struct strbuf *sb, const char *bytes, size_t len,
			 const char *what)
{
	cr_expect(sb->len == len && memcmp(sb->buf, bytes, len) == 0, "%s: %zu",
		  what, sb->len);
}
#define EXPECT_BYTES(sb, text) expect_bytes(sb, text, sizeof(text) - 1, #text)

/* The examples of the specification, and the limits. */
Test(protobuf, numbers)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	protobuf_add_uint(&out, 1, 150);
	EXPECT_BYTES(&out, "\x08\x96\x01");
	strbuf_reset(&out);
	protobuf_add_uint(&out, 16, 1);
	EXPECT_BYTES(&out, "\x80\x01\x01");
	strbuf_reset(&out);
	protobuf_add_int(&out, 1, -2);
	EXPECT_BYTES(&out, "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
	strbuf_reset(&out);
	protobuf_add_sint(&out, 1, -1);
	protobuf_add_sint(&out, 1, 1);
	protobuf_add_sint(&out, 1, -2);
	EXPECT_BYTES(&out, "\x08\x01\x08\x02\x08\x03");
	strbuf_reset(&out);
	protobuf_add_uint(&out, 1, 0);
	protobuf_add_sint(&out, 1, 0);
	protobuf_add_text(&out, 1, "");
	protobuf_add_text(&out, 1, NULL);
	protobuf_add_bytes(&out, 1, "", 0);
	cr_expect(out.len == 0, "defaults are left out");
}

Test(protobuf, texts)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	protobuf_add_text(&out, 2, "testing");
	EXPECT_BYTES(&out, "\x12\x07testing");
	strbuf_reset(&out);
	protobuf_add_element(&out, 2, "", 0);
	EXPECT_BYTES(&out, "\x12\x00");
	strbuf_reset(&out);
	protobuf_add_text(&out, 2,
			  "a\xff"
			  "b\xc3\xa9\xe2\x82");
	EXPECT_BYTES(&out, "\x12\x0d"
			   "a\xef\xbf\xbd"
			   "b\xc3\xa9"
			   "\xef\xbf\xbd\xef\xbf\xbd");
}

/* The length of a message takes one byte or more, and may hold others. */
Test(protobuf, messages)
{
	static const size_t lens[] = {0,   1,	  125,	 126,	127,
				      128, 16381, 16384, 300000};

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		cleanup_strbuf struct strbuf out = STRBUF_INIT,
					     in = STRBUF_INIT;
		struct protobuf_reader r;
		struct protobuf_field f;
		size_t outer, inner;

		for (size_t k = 0; k < lens[i]; k++)
			strbuf_addch(&in, 'x');
		protobuf_add_uint(&out, 9, 7);
		outer = protobuf_open(&out, 3);
		inner = protobuf_open(&out, 1);
		protobuf_add_bytes(&out, 2, in.buf, in.len);
		protobuf_close(&out, inner);
		protobuf_close(&out, outer);
		protobuf_add_uint(&out, 10, 8);
		r = (struct protobuf_reader){out.buf, out.buf + out.len};
		cr_assert(protobuf_next(&r, &f) == 1 && f.number == 9);
		cr_assert(protobuf_next(&r, &f) == 1 && f.number == 3 &&
				  f.has_bytes,
			  "%zu", lens[i]);
		struct protobuf_reader o = {f.bytes, f.bytes + f.len};
		cr_assert(protobuf_next(&r, &f) == 1 && f.number == 10 &&
			  f.value == 8);
		cr_assert(protobuf_next(&r, &f) == 0);
		cr_assert(protobuf_next(&o, &f) == 1 && f.number == 1);
		cr_expect(protobuf_next(&o, &f) == 0);
	}
}

Test(protobuf, damaged)
{
	static const struct {
		const char *bytes;
		size_t len;
		int last; /* of protobuf_next() */
	} rows[] = {
		{"", 0, 0},
		{"\x08", 1, -EBADMSG},
		{"\x08\x96", 2, -EBADMSG},
		{"\x00\x01", 2, -EBADMSG}, /* field 0 */
		{"\x0b\x0c", 2, -EBADMSG}, /* groups */
		{"\x0f\x01", 2, -EBADMSG}, /* no such form */
		{"\x0a\x02x", 3, -EBADMSG},
		{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, -EBADMSG},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12,
		 -EBADMSG},
		{"\x09"
		 "1234567",
		 8, -EBADMSG},
		{"\x0d"
		 "123",
		 4, -EBADMSG},
		{"\x09"
		 "12345678\x0d"
		 "1234",
		 14, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct protobuf_reader r = {rows[i].bytes,
					    rows[i].bytes + rows[i].len};
		struct protobuf_field f;
		int more;

		while ((more = protobuf_next(&r, &f)) > 0)
			;
		cr_expect(more == rows[i].last, "row %zu: %d", i, more);
	}
}

Test(protobuf, utf8)
{
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
		{"a", 1},
		{"\x7f", 1},
		{"\x80", 0},
		{"\xc1\xbf", 0},
		{"\xc2\x80", 2},
		{"\xc2", 0},
		{"\xc2x", 0},
		{"\xe0\x9f\xbf", 0},
		{"\xe0\xa0\x80", 3},
		{"\xed\x9f\xbf", 3},
		{"\xed\xa0\x80", 0},
		{"\xef\xbf\xbf", 3},
		{"\xe2\x82", 0},
		{"\xf0\x90\x80\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xf0\x90\x80", 0},
	};

	cr_expect(utf8_len("", 0) == 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect(utf8_len(rows[i].text, strlen(rows[i].text)) ==
				  rows[i].len,
			  "row %zu", i);
}
