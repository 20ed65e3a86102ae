/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/actool/actool.h"

static int run_help(const struct actool_call *call);
static int run_version(const struct actool_call *call);

struct help_opts {
	bool man;
	bool pages;
};

static const struct option_row help_rows[] = {
	{.name = "man",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .flags = OPTION_HIDDEN,
	 .offset = offsetof(struct help_opts, man),
	 .help = "print the manual page of the command"},
	{.name = "pages",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .flags = OPTION_HIDDEN,
	 .offset = offsetof(struct help_opts, pages),
	 .help = "list the manual pages there are"},
	{0}};

static const struct actool_command actool_help = {
	.name = "help",
	.summary = "show the commands, or how to use one",
	.usage = "[COMMAND]",
	.options = help_rows,
	.opts_size = sizeof(struct help_opts),
	.max_args = 1,
	.run = run_help,
};

static const struct actool_command actool_version = {
	.name = "version",
	.summary = "show the versions of actool and of the appc specification",
	.usage = "",
	.run = run_version,
};

const struct actool_command *const actool_commands[] = {
	&actool_build,		&actool_cat_manifest,
	&actool_discover,	&actool_genkey,
	&actool_patch_manifest, &actool_sign,
	&actool_validate,	&actool_version,
	&actool_help,		NULL,
};

struct globals {
	bool debug;
	bool help;
};

const struct option_row actool_global_rows[] = {
	{.name = "debug",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct globals, debug),
	 .help = "print every level of an error on a line of its own"},
	{.name = "help",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct globals, help),
	 .help = "show how to use the command"},
	{0}};

static const struct actool_command *command_find(const char *name)
{
	for (const struct actool_command *const *c = actool_commands; *c; c++) {
		if (!strcmp((*c)->name, name))
			return *c;
	}
	return NULL;
}

/* Rows of an actool command show what their value is, as row->shown. */
static void flags_help(const struct option_row *rows, struct strbuf *sb)
{
	for (const struct option_row *r = rows; r && r->name; r++) {
		if (r->flags & OPTION_HIDDEN)
			continue;
		strbuf_addf(sb, "  --%s%s%s\n        %s\n", r->name,
			    r->shown ? "=" : "", r->shown ? r->shown : "",
			    r->help);
	}
}

static void overview(struct strbuf *sb)
{
	strbuf_addstr(sb, "actool - build, check and sign App Container images"
			  "\n\nUSAGE\n  actool COMMAND [FLAGS] ARGUMENTS\n\n"
			  "COMMANDS\n");
	for (const struct actool_command *const *c = actool_commands; *c; c++)
		strbuf_addf(sb, "  %-16s%s\n", (*c)->name, (*c)->summary);
	strbuf_addstr(sb, "\nFLAGS\n");
	flags_help(actool_global_rows, sb);
	strbuf_addstr(sb, "\nEXIT CODES\n"
			  "  0 done, 1 failed or not valid, 2 used wrongly\n\n"
			  "actool help COMMAND tells more.\n");
}

static void command_help(const struct actool_command *c, struct strbuf *sb)
{
	strbuf_addf(sb, "actool %s - %s\n\nUSAGE\n  actool %s %s\n", c->name,
		    c->summary, c->name, c->usage);
	if (c->description)
		strbuf_addf(sb, "\nDESCRIPTION\n%s", c->description);
	strbuf_addstr(sb, "\nFLAGS\n");
	flags_help(c->options, sb);
	flags_help(actool_global_rows, sb);
}

/* Of COMMAND, or of all for NULL. */
static int print_help(const struct actool_command *command)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;

	if (command)
		command_help(command, &sb);
	else
		overview(&sb);
	(void)fwrite(sb.buf, 1, sb.len, stdout);
	return ACTOOL_OK;
}

static int run_help(const struct actool_call *call)
{
	const struct actool_command *command = NULL;
	const struct help_opts *o = call->opts;

	if (call->argc) {
		command = command_find(call->argv[0]);
		if (!command) {
			log_error("no command \"%s\"", call->argv[0]);
			return ACTOOL_USAGE;
		}
	}
	if (o->pages || o->man)
		return o->pages ? actool_list_pages() : actool_manual(command);
	return print_help(command);
}

static int run_version(const struct actool_call *call)
{
	(void)call;
	printf("actool version %s\nappc version %s\n", RKT_VERSION,
	       RKT_APPC_VERSION);
	return ACTOOL_OK;
}

int actool_fail(struct error *err)
{
	error_sanitize(err);
	if (log_is_debug())
		log_failure(err, NULL);
	else
		log_error("%s", err->msg);
	return ACTOOL_FAILED;
}

static int usage_error(const struct actool_command *command,
		       const struct error *err)
{
	log_error("%s", err->msg);
	log_error("usage: actool %s %s", command->name, command->usage);
	return ACTOOL_USAGE;
}

/* The appc tool takes its flags with one dash too: "-x" becomes "--x". */
static char *flag_normalise(const char *arg)
{
	if (!strcmp(arg, "-h"))
		return xstrdup("--help");
	return xasprintf("%s%s", arg[1] == '-' ? "" : "-", arg);
}

/*
 * Applies the flags among ARGV and moves the other words to its front.
 * Strings among the options live as long as argv does, so what
 * flag_normalise() makes is kept until the program ends.
 */
static int read_arguments(const struct option_set *sets, size_t n,
			  struct actool_call *call, struct strv *owned,
			  struct error *err)
{
	int kept = 0;
	int i = 0;

	for (; i < call->argc; i++) {
		char *pair[3] = {NULL, call->argv[i + 1], NULL};
		int r;

		if (!strcmp(call->argv[i], "--")) {
			i++;
			break;
		}
		if (!option_is_flag(call->argv[i])) {
			call->argv[kept++] = call->argv[i];
			continue;
		}
		pair[0] = flag_normalise(call->argv[i]);
		strv_take(owned, pair[0]);
		r = option_apply(sets, n, pair, err);
		if (r < 0)
			return r;
		i += r - 1;
	}
	while (i < call->argc)
		call->argv[kept++] = call->argv[i++];
	call->argv[kept] = NULL;
	call->argc = kept;
	return 0;
}

static int check_count(const struct actool_command *command,
		       const struct actool_call *call, struct error *err)
{
	if (call->argc < command->min_args)
		return error_set(err, EINVAL, "too few arguments");
	if (call->argc > command->max_args)
		return error_set(err, EINVAL, "too many arguments");
	return 0;
}

static int run_command(const struct actool_command *command, int argc,
		       char **argv)
{
	cleanup_strv struct strv owned = STRV_INIT;
	cleanup_free void *opts = xcalloc(1, command->opts_size + 1);
	struct actool_call call = {opts, argc, argv};
	struct globals globals = {0};
	const struct option_set sets[] = {
		{command->options, opts},
		{actool_global_rows, &globals},
	};
	struct error err = ERROR_INIT;
	int r = read_arguments(sets, 2, &call, &owned, &err);

	log_init(command->name, globals.debug);
	if (r == 0 && globals.help)
		return print_help(command);
	if (r == 0)
		r = check_count(command, &call, &err);
	if (r < 0)
		return usage_error(command, &err);
	return command->run(&call);
}

static int actool_main(int argc, char **argv)
{
	const struct actool_command *command;
	char *debug = NULL;

	log_init("actool", false);
	/* As the appc tool: before the command, too. */
	while (argc > 1 &&
	       (!strcmp(argv[1], "--debug") || !strcmp(argv[1], "-debug"))) {
		debug = *++argv;
		argc--;
	}
	if (argc < 2) {
		log_error("missing command (try actool help)");
		return ACTOOL_USAGE;
	}
	if (option_is_flag(argv[1])) {
		const char *flag = argv[1] + strspn(argv[1], "-");

		if (!strcmp(flag, "help") || !strcmp(flag, "h"))
			return print_help(NULL);
		if (!strcmp(flag, "version"))
			return run_version(NULL);
	}
	if (!strcmp(argv[1], "__complete"))
		return actool_complete(argc - 2, argv + 2);
	command = command_find(argv[1]);
	if (!command) {
		log_error("no command \"%s\" (try actool help)", argv[1]);
		return ACTOOL_USAGE;
	}
	if (!debug)
		return run_command(command, argc - 2, argv + 2);
	argv[1] = debug;
	return run_command(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int code;

	process_open_standard_fds();
	code = actool_main(argc, argv);
	if (stdout_flush(&err) == 0 || code != ACTOOL_OK)
		return code;
	return actool_fail(&err);
}
