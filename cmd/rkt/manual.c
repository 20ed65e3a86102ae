/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manual.h"

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/globals.h"

static const char exit_status[] =
	"0: done. 254: rkt failed, and said why. 2: no command was given. A "
	"command that runs a pod in the foreground exits as its apps did: "
	"with 0 if all of them did, else with the status of the first that "
	"did not.";

static void list_page(const char *name, const struct command *command,
		      struct strbuf *sb)
{
	(void)command;
	manual_page_name(name, sb);
	strbuf_addf(sb, "\t%s\n", name);
}

static void list_command(const char *name, const struct command *command,
			 struct strbuf *sb)
{
	if (command->run)
		manual_command(name, command->summary, sb);
}

static void add_page(const struct command *const *path, struct strbuf *sb)
{
	cleanup_strbuf struct strbuf name = STRBUF_INIT;
	const struct command *command = path[0];
	struct manual_page page = {
		.version = RKT_VERSION,
		.exit_status = path[1] ? NULL : exit_status,
		.globals = globals_rows,
	};

	strbuf_addstr(&name, command->name);
	while (*++path) {
		command = *path;
		strbuf_addf(&name, " %s", command->name);
	}
	page.name = name.buf;
	page.summary = command->summary;
	page.usage = command->usage;
	page.description = command->description;
	page.tables[page.n_tables++] = command->options;
	for (const struct option_row *const *more = command->more_options;
	     more && *more && page.n_tables < MANUAL_TABLES_MAX; more++)
		page.tables[page.n_tables++] = *more;
	manual_begin(&page, sb);
	if (command->subcommands) {
		manual_commands(sb);
		cmd_each(command, name.buf, list_command, sb);
	}
	manual_end(&page, sb);
}

void cmd_manual(const struct command *const *path, struct strbuf *sb)
{
	if (path) {
		add_page(path, sb);
		return;
	}
	list_page(cmd_root.name, &cmd_root, sb);
	cmd_each(&cmd_root, cmd_root.name, list_page, sb);
}
