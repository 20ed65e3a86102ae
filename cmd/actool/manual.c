/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manual.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "cmd/actool/actool.h"

static const char exit_status[] =
	"0: done. 1: failed, or what was checked is not valid. 2: used "
	"wrongly.";

static int print(const struct strbuf *sb)
{
	(void)fwrite(sb->buf, 1, sb->len, stdout);
	return ACTOOL_OK;
}

static void add_commands(struct strbuf *sb)
{
	manual_commands(sb);
	for (const struct actool_command *const *c = actool_commands; *c; c++) {
		cleanup_free char *name = xasprintf("actool %s", (*c)->name);

		manual_command(name, (*c)->summary, sb);
	}
}

int actool_manual(const struct actool_command *command)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_free char *name = xasprintf("actool%s%s", command ? " " : "",
					    command ? command->name : "");
	struct manual_page page = {
		.name = name,
		.summary = "build, check and sign App Container images",
		.usage = "COMMAND [FLAGS] ARGUMENTS",
		.description = "Flags may have one dash or two.",
		.version = RKT_VERSION,
		.exit_status = exit_status,
		.globals = actool_global_rows,
	};

	if (command) {
		page.summary = command->summary;
		page.usage = command->usage;
		page.description = command->description;
		page.tables[page.n_tables++] = command->options;
	}
	manual_begin(&page, &sb);
	if (!command)
		add_commands(&sb);
	manual_end(&page, &sb);
	return print(&sb);
}

int actool_list_pages(void)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;

	strbuf_addstr(&sb, "actool\tactool\n");
	for (const struct actool_command *const *c = actool_commands; *c; c++)
		strbuf_addf(&sb, "actool-%s\tactool %s\n", (*c)->name,
			    (*c)->name);
	return print(&sb);
}

static void offer(struct strbuf *sb, const char *current, const char *word,
		  const char *what)
{
	if (strncmp(word, current, strlen(current)) == 0)
		strbuf_addf(sb, "%s\t%s\n", word, what);
}

int actool_complete(int argc, char *const *argv)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	const char *current = argc > 0 ? argv[argc - 1] : "";
	const struct option_row *tables[] = {actool_global_rows, NULL};

	for (const struct actool_command *const *c = actool_commands; *c; c++) {
		if (argc > 2 && !strcmp(argv[1], (*c)->name))
			tables[1] = (*c)->options;
		if (argc <= 2)
			offer(&sb, current, (*c)->name, (*c)->summary);
	}
	if (current[0] == '-') {
		size_t n;
		cleanup_free const struct option_row **rows =
			option_sorted(tables, 2, &n);

		for (size_t i = 0; i < n; i++) {
			cleanup_free char *flag =
				xasprintf("--%s%s", rows[i]->name,
					  rows[i]->implied ? "" : "=");

			offer(&sb, current, flag, rows[i]->help);
		}
	} else if (argc > 2) {
		strbuf_addstr(&sb, ":files\n");
	}
	return print(&sb);
}
