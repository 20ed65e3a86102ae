/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cmd/rkt/app_arg.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"

struct opts {
	const char *app;
	const char *user;
	const char *group;
	const char *working_dir;
	struct strv env;
	const char *tty;
	bool interactive;
};

static int parse_env(const struct option_row *row, void *target,
		     const char *value, struct error *err)
{
	(void)row;
	if (value[0] == '=' || !strchr(value, '='))
		return error_set(err, EINVAL, "must be NAME=VALUE");
	strv_push(target, value);
	return 0;
}

static int parse_dir(const struct option_row *row, void *target,
		     const char *value, struct error *err)
{
	(void)row;
	if (value[0] != '/')
		return error_set(err, EINVAL, "must be an absolute path");
	*(const char **)target = value;
	return 0;
}

static int parse_tty(const struct option_row *row, void *target,
		     const char *value, struct error *err)
{
	bool always;

	(void)row;
	if (parse_bool(value, &always) < 0)
		return error_set(err, EINVAL, "invalid syntax");
	*(const char **)target = always ? "--tty=always" : "--tty=never";
	return 0;
}

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "name of the app to run the command in"},
	{.name = "user",
	 .letter = 'u',
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, user),
	 .help = "run as this user of the app (name, number, or the owner of "
		 "/FILE) and not as the app does"},
	{.name = "group",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, group),
	 .help = "run as this group; with --user the default is that user's"},
	{.name = "set-env",
	 .letter = 'e',
	 .kind = OPTION_CALL,
	 .parse = parse_env,
	 .offset = offsetof(struct opts, env),
	 .help = "an environment variable NAME=VALUE besides the app's"},
	{.name = "working-dir",
	 .letter = 'w',
	 .kind = OPTION_CALL,
	 .parse = parse_dir,
	 .offset = offsetof(struct opts, working_dir),
	 .help = "run in this directory of the app"},
	{.name = "tty",
	 .letter = 't',
	 .kind = OPTION_CALL,
	 .parse = parse_tty,
	 .implied = "true",
	 .values = "true|false",
	 .shown = "if standard input and output are one",
	 .offset = offsetof(struct opts, tty),
	 .help = "give the command a terminal"},
	{.name = "interactive",
	 .letter = 'i',
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .shown = "true",
	 .offset = offsetof(struct opts, interactive),
	 .help = "give the command standard input; a terminal only with --tty"},
	{.name = NULL},
};

static void init(void *opts)
{
	struct opts *o = opts;

	o->interactive = true;
}

static void add(struct strv *options, const char *name, const char *value)
{
	if (value)
		strv_pushf(options, "%s=%s", name, value);
}

static int add_stdio(const struct opts *o, struct strv *options,
		     struct error *err)
{
	const char *tty = o->tty;

	if (!tty)
		tty = o->interactive && isatty(STDIN_FILENO) &&
				      isatty(STDOUT_FILENO)
			      ? "--tty=always"
			      : "--tty=never";
	strv_push(options, tty);
	if (strcmp(tty, "--tty=always") == 0)
		return isatty(STDIN_FILENO)
			       ? 0
			       : error_set(err, ENOTTY,
					   "--tty: standard input is not a "
					   "terminal");
	/* Whoever has a terminal open can type into it. */
	if (!o->interactive || isatty(STDIN_FILENO))
		strv_push(options, "--no-stdin");
	return 0;
}

static int execute(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_strv struct strv options = STRV_INIT;
	int r;

	strv_push(&options, "--as-app");
	add(&options, "--user", o->user);
	add(&options, "--group", o->group);
	add(&options, "--working-dir", o->working_dir);
	for (size_t i = 0; i < o->env.n; i++)
		add(&options, "--set-env", o->env.v[i]);
	r = add_stdio(o, &options, err);
	return r < 0 ? r : app_arg_enter(call, pod, o->app, &options, err);
}

static int run(struct cmd_call *call)
{
	int words = call->argc;

	if (words == 0)
		return cmd_usage(call,
				 "must provide the UUID or name of one pod");
	if (words == 1 || (words == 2 && strcmp(call->argv[1], "--") == 0))
		return cmd_usage(call, "must provide the command to run");
	return pod_arg_word(call, call->argv[0], execute);
}

const struct command cmd_exec = {
	.name = "exec",
	.summary = "Run a command in an app as the app runs",
	.usage = "[flags] UUID [--] CMD [ARGS ...]",
	.words = CMD_WORDS_PODS,
	.description =
		"The command runs as the app's user and groups, in its "
		"working directory, with its environment, and within its "
		"limits, capabilities and system call filter. rkt exits with "
		"the command's exit code.",
	.flags = CMD_ROOT | CMD_NON_INTERSPERSED,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
