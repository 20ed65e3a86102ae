/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/globals.h"
#include "cmd/rkt/rootless.h"

/* One a line. */
/* clang-format off */
static const struct command *const commands[] = {
	&cmd_api_service,
	&cmd_app,
	&cmd_attach,
	&cmd_auto_update,
	&cmd_cat_manifest,
	&cmd_complete,
	&cmd_completion,
	&cmd_config,
	&cmd_cp,
	&cmd_enter,
	&cmd_exec,
	&cmd_export,
	&cmd_fetch,
	&cmd_gc,
	&cmd_generate,
	&cmd_help_command,
	&cmd_history,
	&cmd_image,
	&cmd_list,
	&cmd_logs,
	&cmd_metadata_service,
	&cmd_prepare,
	&cmd_push,
	&cmd_rm,
	&cmd_rollback,
	&cmd_run,
	&cmd_run_prepared,
	&cmd_start,
	&cmd_stats,
	&cmd_status,
	&cmd_stop,
	&cmd_top,
	&cmd_trust,
	&cmd_update,
	&cmd_version,
	NULL,
};
/* clang-format on */

const struct command cmd_root = {
	.name = "rkt",
	.summary = "rkt, the application container runner",
	.usage = "[command]",
	.description = "A CLI for running app containers on Linux.\n\nTo get "
		       "the help on any specific command, run \"rkt help "
		       "command\".",
	.subcommands = commands,
};

/* NAME or an unambiguous prefix of it. */
static const struct command *subcommand_find(const struct command *parent,
					     const char *name)
{
	const struct command *found = NULL;
	size_t len = strlen(name);

	for (const struct command *const *c = parent->subcommands; c && *c;
	     c++) {
		if (strncmp((*c)->name, name, len) != 0)
			continue;
		if ((*c)->name[len] == '\0')
			return *c;
		if (found)
			return NULL;
		found = *c;
	}
	return len > 0 ? found : NULL;
}

int cmd_find(char *const *words, const struct command *path[CMD_DEPTH_MAX])
{
	int n = 0;

	path[0] = &cmd_root;
	path[1] = NULL;
	while (words[n] && n + 2 < CMD_DEPTH_MAX) {
		const struct command *c = subcommand_find(path[n], words[n]);

		if (!c)
			break;
		path[++n] = c;
		path[n + 1] = NULL;
	}
	return n;
}

/* True if some command below COMMAND has a flag NAME that takes the next
 * word as its value. */
static bool takes_value(const struct command *command, const char *name)
{
	const struct option_set sets[] = {{.rows = command->options},
					  {.rows = globals_rows}};
	const struct option_row *row =
		option_find(sets, 2, name, strlen(name), NULL);

	if (row)
		return !row->implied;
	for (const struct option_row *const *more = command->more_options;
	     more && *more; more++) {
		const struct option_set set = {.rows = *more};

		row = option_find(&set, 1, name, strlen(name), NULL);
		if (row)
			return !row->implied;
	}
	for (const struct command *const *c = command->subcommands; c && *c;
	     c++)
		if (takes_value(*c, name))
			return true;
	return false;
}

void cmd_take_words(int *argc, char **argv, char *words[CMD_DEPTH_MAX])
{
	const struct command *at = &cmd_root;
	int n_words = 0;
	int kept = 1;
	int i = 1;

	for (; i < *argc && at->subcommands && n_words + 2 < CMD_DEPTH_MAX;
	     i++) {
		if (strcmp(argv[i], "--") == 0)
			break;
		if (!option_is_flag(argv[i])) {
			at = subcommand_find(at, argv[i]);
			if (!at && n_words > 0)
				break;
			words[n_words++] = argv[i];
			if (!at) {
				i++;
				break;
			}
			continue;
		}
		argv[kept++] = argv[i];
		if (!strchr(argv[i], '=') && strncmp(argv[i], "--", 2) == 0 &&
		    takes_value(&cmd_root, argv[i] + 2) && i + 1 < *argc)
			argv[kept++] = argv[++i];
	}
	words[n_words] = NULL;
	while (i < *argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*argc = kept;
}

/* Applies the flag at ARGV; like option_apply(). */
static int apply_flag(const struct cmd_call *call, char *const *argv,
		      struct error *err)
{
	struct option_set sets[2 + CMD_MORE_MAX] = {call->sets[0],
						    call->sets[1]};
	size_t n = 2;

	for (const struct option_row *const *more = call->command->more_options;
	     more && *more && n < 2 + CMD_MORE_MAX; more++)
		sets[n++] = (struct option_set){*more, call->opts};
	return option_apply(sets, n, argv, err);
}

/* Reads the flags of call->argv and leaves the other words there. */
static int read_flags(struct cmd_call *call, struct error *err)
{
	bool interspersed = !(call->command->flags & CMD_NON_INTERSPERSED);
	int kept = 0;
	int i = 0;

	while (i < call->argc) {
		char *arg = call->argv[i];
		int r;

		if (strcmp(arg, "--") == 0 && interspersed) {
			i++;
			break;
		}
		if (strcmp(arg, "--") == 0 ||
		    (!option_is_flag(arg) && !interspersed))
			break;
		if (!option_is_flag(arg)) {
			call->argv[kept++] = arg;
			i++;
			continue;
		}
		r = apply_flag(call, call->argv + i, err);
		if (r < 0)
			return r;
		i += r;
	}
	while (i < call->argc)
		call->argv[kept++] = call->argv[i++];
	call->argv[kept] = NULL;
	call->argc = kept;
	return 0;
}

static int read_arguments(struct cmd_call *call, struct globals *globals,
			  struct error *err)
{
	int r = 0;

	if (!(call->command->flags & CMD_OWN_FLAGS))
		r = read_flags(call, err);
	if (r == 0 && !globals->help && call->command->parse)
		r = call->command->parse(call, err);
	return r;
}

static int print_help(const struct command *const *path)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;

	cmd_help(path, &sb);
	(void)fwrite(sb.buf, 1, sb.len, stdout);
	return 0;
}

static int run_command(struct cmd_call *call)
{
	const struct command *command = call->command;
	struct error err = ERROR_INIT;

	if (!(command->flags & CMD_ROOT) &&
	    !(command->flags & CMD_OWN_ROOT && call->rkt->is_user &&
	      rootless_owns(call->rkt->dir)))
		return command->run(call);
	if (call->rkt->is_user && (command->flags & CMD_HOST_ROOT)) {
		log_error("cannot run as unprivileged user");
		return RKT_EXIT_FAILURE;
	}
	if (geteuid() == 0)
		return command->run(call);
	if (rootless_become_root(call->rkt->dir, &err) < 0)
		log_failure(&err, "cannot run as unprivileged user");
	return RKT_EXIT_FAILURE;
}

static int missing_command(void)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	const struct command *path[] = {&cmd_root, NULL};

	log_error("missing command");
	cmd_help(path, &sb);
	(void)fwrite(sb.buf, 1, sb.len, stdout);
	return RKT_EXIT_USAGE;
}

static int rkt_main(int argc, char **argv)
{
	/* Static: what options point to lives until the program ends. */
	static struct rkt rkt;
	static struct cmd_call call;
	static struct globals globals;
	const struct command *path[CMD_DEPTH_MAX];
	char *words[CMD_DEPTH_MAX];
	struct error err = ERROR_INIT;
	int used;

	(void)umask(022);
	globals_init(&globals);
	cmd_take_words(&argc, argv, words);
	used = cmd_find(words, path);
	call = (struct cmd_call){
		.rkt = &rkt,
		.command = path[used],
		.path = path,
		.argc = argc > 0 ? argc - 1 : 0,
		.argv = argv + (argc > 0),
	};
	call.opts = xcalloc(1, call.command->opts_size + 1);
	call.sets[0] = (struct option_set){call.command->options, call.opts};
	call.sets[1] = (struct option_set){globals_rows, &globals};
	if (call.command->init)
		call.command->init(call.opts);
	log_init(call.command->name, false);
	if (words[used]) {
		log_error("unknown command \"%s\" for \"rkt\"", words[used]);
		return RKT_EXIT_FAILURE;
	}
	if (read_arguments(&call, &globals, &err) < 0) {
		log_init(call.command->name, globals.debug);
		if (!call.file)
			cmd_print_usage(&call);
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	log_init(call.command->name, globals.debug);
	if (globals.help)
		return print_help(path);
	if (!call.command->run && used > 0 && call.argc > 0) {
		log_error("unknown command \"%s\" for \"rkt %s\"", call.argv[0],
			  call.command->name);
		return RKT_EXIT_FAILURE;
	}
	if (!call.command->run)
		return used == 0 ? missing_command() : print_help(path);
	if (globals_resolve(&globals, call.command->flags & CMD_ROOT, &rkt,
			    &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return run_command(&call);
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int code;

	process_open_standard_fds();
	code = rkt_main(argc, argv);
	if (stdout_flush(&err) == 0 || code != 0)
		return code;
	log_failure(&err, NULL);
	return RKT_EXIT_FAILURE;
}
