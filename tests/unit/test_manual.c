/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/manual.h"
#include "base/strbuf.h"

static const struct option_row rows[] = {
	{.name = "long-name",
	 .kind = OPTION_STRING,
	 .help = ".dots and 'quotes', a \\ and a-dash"},
	{.name = "all", .kind = OPTION_BOOL, .implied = "true", .help = "all"},
	{.name = "net", .kind = OPTION_LIST, .implied = "default", .help = "n"},
	{.name = "secret", .kind = OPTION_INT, .flags = OPTION_HIDDEN},
	{.name = NULL},
};

static const struct option_row globals[] = {
	{.name = "debug", .kind = OPTION_BOOL, .implied = "true", .help = "d"},
	{.name = NULL},
};

static void page_make(const char *name, struct strbuf *sb)
{
	const struct manual_page page = {
		.name = name,
		.summary = "does it",
		.usage = "[flags] WORD",
		.description = "First.\n.second\n\nThird:\n    ls -l\n\nLast.",
		.version = "1.2",
		.exit_status = "0: done.",
		.tables = {rows},
		.n_tables = 1,
		.globals = globals,
	};

	manual_begin(&page, sb);
	manual_end(&page, sb);
}

Test(manual, page_of_a_command)
{
	static const char *const wanted[] = {
		".TH PROG-SUB 1 \"\" \"rkt 1.2\"",
		"prog\\-sub \\- does it\n",
		"\\fBprog sub\\fR [flags] WORD\n",
		"First.\n\\&.second\n.PP\nThird:\n",
		".nf\n.RS 4\nls \\-l\n.RE\n.fi\n.PP\nLast.\n",
		"\\fB\\-\\-long\\-name\\fR=\\fIvalue\\fR\n"
		"\\&.dots and 'quotes', a \\e and a\\-dash\n",
		".TP\n\\fB\\-\\-all\\fR\nall\n",
		"\\fB\\-\\-net\\fR[=\\fIvalue\\fR]\n",
		"\\fB\\-\\-debug\\fR:\nsee\n.BR prog (1).\n",
		MANUAL_MORE "\n.SH SEE ALSO\n.BR prog (1)\n",
	};
	struct strbuf sb = STRBUF_INIT;

	page_make("prog sub", &sb);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		cr_expect(strstr(sb.buf, wanted[i]), "no \"%s\" in:\n%s",
			  wanted[i], sb.buf);
	cr_expect(!strstr(sb.buf, "secret"));
	strbuf_release(&sb);
}

Test(manual, page_of_a_program)
{
	struct strbuf sb = STRBUF_INIT;

	page_make("prog", &sb);
	cr_expect(strstr(sb.buf, ".SH GLOBAL OPTIONS\n.TP\n\\fB\\-\\-debug"));
	cr_expect(strstr(sb.buf, ".SH EXIT STATUS\n0: done.\n"));
	strbuf_release(&sb);
}
