/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "base/strbuf.h"
#include "base/strv.h"
#include "base/table.h"

/* '|' between cells, '\n' between rows. */
Test(table, format)
{
	static const struct {
		const char *cells, *want;
	} tests[] = {
		{"A|B", "A\tB\n"},
		{"ID|NAME\nlong-cell|x", "ID\t\tNAME\nlong-cell\tx\n"},
		{"1234567|x\n12345678|y", "1234567\t\tx\n12345678\ty\n"},
		{"|c\nb|", "\tc\nb\t\n"},
		/* a row without the cell ends the column */
		{"123456789|x\nalone\na|x", "123456789\tx\nalone\na\tx\n"},
		{"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4|x",
		 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\tx\n"},
		/* what steers terminals, or makes columns */
		{"a\tb\x1b[31m\rc|x\x7f", "a?b?[31m?c\tx?\n"},
		{"\xc2\x9b"
		 "31m|x",
		 "\xc2\xbf"
		 "31m\tx\n"},
		{"\xc2\xa0\xe2\x82\x90|x", "\xc2\xa0\xe2\x82\x90\tx\n"},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_table struct table t = TABLE_INIT;
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;
		cleanup_strv struct strv rows = STRV_INIT;

		strv_split(&rows, tests[i].cells, '\n');
		for (size_t k = 0; k < rows.n; k++) {
			cleanup_strv struct strv cells = STRV_INIT;

			strv_split(&cells, rows.v[k], '|');
			table_row(&t);
			for (size_t c = 0; c < cells.n; c++)
				table_add(&t, cells.v[c]);
		}
		table_format(&t, &sb);
		cr_expect_str_eq(sb.buf, tests[i].want, "%zu: %s", i, sb.buf);
	}
}
