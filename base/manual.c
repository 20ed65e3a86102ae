/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manual.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

static void add_escaped(struct strbuf *sb, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\')
			strbuf_addstr(sb, "\\e");
		else if (text[i] == '-')
			strbuf_addstr(sb, "\\-");
		else
			strbuf_addch(sb, text[i]);
	}
}

/* One line of text; a dot or quote at its start is no request. */
static void add_line(struct strbuf *sb, const char *text, size_t len)
{
	if (len > 0 && (text[0] == '.' || text[0] == '\''))
		strbuf_addstr(sb, "\\&");
	add_escaped(sb, text, len);
	strbuf_addch(sb, '\n');
}

static void add_text(struct strbuf *sb, const char *text)
{
	bool is_code = false;
	bool is_gap = false;

	while (*text) {
		size_t len = strcspn(text, "\n");
		bool code = strncmp(text, "    ", 4) == 0;
		size_t indent = strspn(text, " ");

		if (code != is_code)
			strbuf_addstr(sb, code ? ".PP\n.nf\n.RS 4\n"
					       : ".RE\n.fi\n");
		if (is_gap && !code)
			strbuf_addstr(sb, ".PP\n");
		is_gap = len == 0;
		is_code = code;
		if (code)
			indent = 4;
		if (len > 0)
			add_line(sb, text + indent, len - indent);
		text += len + (text[len] == '\n');
	}
	if (is_code)
		strbuf_addstr(sb, ".RE\n.fi\n");
}

static void add_bold(struct strbuf *sb, const char *text)
{
	strbuf_addstr(sb, "\\fB");
	add_escaped(sb, text, strlen(text));
	strbuf_addstr(sb, "\\fR");
}

void manual_page_name(const char *name, struct strbuf *sb)
{
	for (; *name; name++)
		strbuf_addch(sb, *name == ' ' ? '-' : *name);
}

/* "--name", "--name=value", "--name[=value]". */
static void add_option(struct strbuf *sb, const struct option_row *row)
{
	bool is_switch = row->implied && strcmp(row->implied, "true") == 0;
	const char *shown = row->shown && *row->shown ? row->shown : NULL;

	strbuf_addstr(sb, ".TP\n");
	if (row->letter)
		strbuf_addf(sb, "\\fB\\-%c\\fR, ", row->letter);
	strbuf_addstr(sb, "\\fB\\-\\-");
	add_escaped(sb, row->name, strlen(row->name));
	strbuf_addstr(sb, "\\fR");
	if (!is_switch) {
		strbuf_addstr(sb, row->implied ? "[=\\fI" : "=\\fI");
		if (!shown)
			shown = "value";
		add_escaped(sb, shown, strlen(shown));
		strbuf_addstr(sb, row->implied ? "\\fR]" : "\\fR");
	}
	strbuf_addch(sb, '\n');
	add_text(sb, row->help);
	if (is_switch && shown && strcmp(shown, "true") == 0)
		add_text(sb, "This is the default.");
}

static void add_options(struct strbuf *sb, const char *title,
			const struct option_row *const *tables, size_t n_tables)
{
	size_t n;
	cleanup_free const struct option_row **rows =
		option_sorted(tables, n_tables, &n);

	if (n == 0)
		return;
	strbuf_addf(sb, ".SH %s\n", title);
	for (size_t i = 0; i < n; i++)
		add_option(sb, rows[i]);
}

static bool is_program(const struct manual_page *page)
{
	return !strchr(page->name, ' ');
}

static void add_title(const struct manual_page *page, struct strbuf *sb)
{
	cleanup_strbuf struct strbuf name = STRBUF_INIT;

	manual_page_name(page->name, &name);
	strbuf_addstr(sb, ".TH ");
	for (size_t i = 0; i < name.len; i++)
		strbuf_addch(sb, (char)toupper((unsigned char)name.buf[i]));
	strbuf_addf(sb,
		    " 1 \"\" \"rkt %s\" \"User Commands\"\n.nh\n.ad l\n.SH "
		    "NAME\n",
		    page->version);
	add_escaped(sb, name.buf, name.len);
	strbuf_addstr(sb, " \\- ");
	add_line(sb, page->summary, strlen(page->summary));
}

void manual_begin(const struct manual_page *page, struct strbuf *sb)
{
	add_title(page, sb);
	strbuf_addstr(sb, ".SH SYNOPSIS\n");
	add_bold(sb, page->name);
	if (page->usage[0]) {
		strbuf_addch(sb, ' ');
		add_escaped(sb, page->usage, strlen(page->usage));
	}
	strbuf_addch(sb, '\n');
	if (page->description) {
		strbuf_addstr(sb, ".SH DESCRIPTION\n");
		add_text(sb, page->description);
	}
}

void manual_commands(struct strbuf *sb)
{
	strbuf_addstr(sb, ".SH COMMANDS\n");
}

void manual_command(const char *name, const char *summary, struct strbuf *sb)
{
	cleanup_strbuf struct strbuf page = STRBUF_INIT;

	manual_page_name(name, &page);
	strbuf_addstr(sb, ".TP\n");
	add_bold(sb, page.buf);
	strbuf_addstr(sb, "(1)\n");
	add_line(sb, summary, strlen(summary));
}

void manual_end(const struct manual_page *page, struct strbuf *sb)
{
	size_t program_len = strcspn(page->name, " ");
	cleanup_free const struct option_row **global_rows = NULL;
	size_t n;

	add_options(sb, "OPTIONS", page->tables, page->n_tables);
	if (is_program(page)) {
		add_options(sb, "GLOBAL OPTIONS", &page->globals, 1);
	} else if (page->globals) {
		global_rows = option_sorted(&page->globals, 1, &n);
		strbuf_addstr(sb, ".SH GLOBAL OPTIONS\n");
		for (size_t i = 0; i < n; i++) {
			strbuf_addstr(sb, i ? ",\n\\fB\\-\\-" : "\\fB\\-\\-");
			add_escaped(sb, global_rows[i]->name,
				    strlen(global_rows[i]->name));
			strbuf_addstr(sb, "\\fR");
		}
		strbuf_addf(sb, ":\nsee\n.BR %.*s (1).\n", (int)program_len,
			    page->name);
	}
	if (page->exit_status) {
		strbuf_addstr(sb, ".SH EXIT STATUS\n");
		add_text(sb, page->exit_status);
	}
	strbuf_addstr(sb, MANUAL_MORE "\n.SH SEE ALSO\n");
	if (is_program(page))
		strbuf_addstr(sb, ".BR rkt (1),\n.BR actool (1),\n.BR "
				  "rkt\\-update (7),\n.BR rkt.conf (5),\n"
				  ".BR aci (5)\n");
	else
		strbuf_addf(sb, ".BR %.*s (1)\n", (int)program_len, page->name);
}
