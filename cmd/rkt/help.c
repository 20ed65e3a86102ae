/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/globals.h"

static void path_name(const struct command *const *path, struct strbuf *sb)
{
	for (; *path; path++) {
		strbuf_addstr(sb, (*path)->name);
		if (path[1])
			strbuf_addch(sb, ' ');
	}
}

void cmd_each(const struct command *parent, const char *prefix,
	      cmd_each_fn *each, struct strbuf *sb)
{
	for (const struct command *const *c = parent->subcommands; c && *c;
	     c++) {
		cleanup_strbuf struct strbuf name = STRBUF_INIT;

		if ((*c)->flags & CMD_HIDDEN)
			continue;
		strbuf_addf(&name, "%s%s%s", prefix, *prefix ? " " : "",
			    (*c)->name);
		each(name.buf, *c, sb);
		cmd_each(*c, name.buf, each, sb);
	}
}

/* Of a group, what is in it. */
static void list_command(const char *name, const struct command *command,
			 struct strbuf *sb)
{
	if (!command->run)
		return;
	strbuf_addf(sb, "\t%s\t", name);
	format_wrapped(sb, command->summary,
		       ((unsigned int)strlen(name) / 8 + 2) * 8, 3);
}

static void add_indented(struct strbuf *sb, const char *text)
{
	strbuf_addch(sb, '\t');
	format_wrapped(sb, text, 8, 1);
}

static void help_of_options(const struct command *command, struct strbuf *sb)
{
	const struct option_row *tables[8] = {command->options};
	size_t n = 1;

	for (const struct option_row *const *more = command->more_options;
	     more && *more && n < 8; more++)
		tables[n++] = *more;
	option_help(tables, n, sb);
}

static void help_of_globals(struct strbuf *sb)
{
	const struct option_row *rows = globals_rows;

	option_help(&rows, 1, sb);
}

void cmd_help(const struct command *const *path, struct strbuf *sb)
{
	cleanup_strbuf struct strbuf line = STRBUF_INIT;
	const struct command *command = path[0];
	bool root = !path[1];
	size_t name_len;

	for (size_t i = 1; path[i]; i++)
		command = path[i];
	path_name(path, &line);
	name_len = line.len;
	strbuf_addstr(sb, "NAME:\n");
	strbuf_addf(&line, " - %s", command->summary);
	add_indented(sb, line.buf);
	strbuf_setlen(&line, name_len);
	strbuf_addf(&line, "%s%s", command->usage[0] ? " " : "",
		    command->usage);
	strbuf_addstr(sb, "\nUSAGE:\n");
	add_indented(sb, line.buf);
	if (root)
		strbuf_addf(sb, "\nVERSION:\n\t%s\n", RKT_VERSION);
	if (command->subcommands) {
		strbuf_addstr(sb, "\nCOMMANDS:\n");
		cmd_each(command, "", list_command, sb);
	}
	if (command->description) {
		strbuf_addstr(sb, "\nDESCRIPTION:\n");
		add_indented(sb, command->description);
	}
	if (command->options) {
		strbuf_addstr(sb, "\nOPTIONS:\n");
		help_of_options(command, sb);
	}
	strbuf_addstr(sb, root ? "\nOPTIONS:\n" : "\nGLOBAL OPTIONS:\n");
	help_of_globals(sb);
}

void cmd_print_usage(const struct cmd_call *call)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_strbuf struct strbuf rows = STRBUF_INIT;
	const struct command *command = call->command;

	strbuf_addstr(&sb, "Usage:\n  ");
	path_name(call->path, &sb);
	strbuf_addf(&sb, "%s%s\n", command->usage[0] ? " " : "",
		    command->usage);
	help_of_options(command, &rows);
	if (rows.len > 0)
		strbuf_addf(&sb, "\nFlags:\n%s", rows.buf);
	strbuf_addch(&sb, '\n');
	(void)fwrite(sb.buf, 1, sb.len, stdout);
	(void)fflush(stdout);
}

int cmd_usage(const struct cmd_call *call, const char *message)
{
	if (call->file) {
		log_error("%s: %s", call->file, message);
		return RKT_EXIT_FAILURE;
	}
	if (!call->command->failed || !call->command->failed(call, message))
		cmd_print_usage(call);
	log_error("%s", message);
	return RKT_EXIT_FAILURE;
}

int cmd_failure(const struct cmd_call *call, const struct error *err,
		const char *what)
{
	struct error copy = *err;

	log_failure(err, what);
	error_sanitize(&copy);
	if (call->command->failed)
		(void)call->command->failed(call, error_innermost(&copy));
	return RKT_EXIT_FAILURE;
}

struct opts {
	bool man;
	bool pages;
};

static const struct option_row rows[] = {
	{.name = "man",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .flags = OPTION_HIDDEN,
	 .offset = offsetof(struct opts, man),
	 .help = "print the manual page of the command"},
	{.name = "pages",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .flags = OPTION_HIDDEN,
	 .offset = offsetof(struct opts, pages),
	 .help = "list the manual pages there are"},
	{.name = NULL},
};

static int help_run(struct cmd_call *call)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	const struct opts *o = call->opts;
	const struct command *path[CMD_DEPTH_MAX];
	int used = cmd_find(call->argv, path);

	if (used < call->argc) {
		log_error("unknown help topic \"%s\"", call->argv[used]);
		return RKT_EXIT_FAILURE;
	}
	if (o->man || o->pages)
		cmd_manual(o->pages ? NULL : path, &sb);
	else
		cmd_help(path, &sb);
	(void)fwrite(sb.buf, 1, sb.len, stdout);
	return 0;
}

const struct command cmd_help_command = {
	.name = "help",
	.summary = "Help about any command",
	.usage = "[COMMAND]",
	.words = CMD_WORDS_COMMANDS,
	.description = "Shows what a command does and its options.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = help_run,
};
