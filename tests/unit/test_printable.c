/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/printable.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(printable, rows)
{
	static const char *const rows[][2] = {
		{"", ""},
		{"Jos\xc3\xa9 <j@example.com>", "Jos\xc3\xa9 <j@example.com>"},
		{"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80",
		 "\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80"},
		{"a\nb\tc\033[31m\x7f", "a?b?c?[31m?"},
		{"a\xc2\x9b"
		 "1m",
		 "a?1m"}, /* C1: CSI */
		{"a\xe2\x80\xae"
		 "b\xe2\x81\xa6",
		 "a?b?"},			      /* RLO, LRI */
		{"a\xe2\x80\x8b\xef\xbb\xbf", "a??"}, /* invisible */
		{"a\xff\xc3", "a??"},
		{"\xc0\xaf\xe0\x80\xaf", "?????"}, /* overlong */
		{"\xed\xa0\x80", "?"},		   /* surrogate */
		{"\xf4\x90\x80\x80", "?"},	   /* past U+10FFFF */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "%s", rows[i][0]);
		make_printable(text);
		cr_expect_str_eq(text, rows[i][1], "row %zu: %s", i, text);
	}
}
