/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "base/strv.h"
#include "cmd/rkt/app_arg.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"

struct opts {
	const char *app;
};

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "name of the app to enter within the specified pod"},
	{.name = NULL},
};

static int enter(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	const struct strv none = STRV_INIT;

	return app_arg_enter(call, pod, o->app, &none, err);
}

static int run(struct cmd_call *call)
{
	if (call->argc == 0)
		return cmd_usage(call,
				 "must provide the UUID or name of one pod");
	return pod_arg_word(call, call->argv[0], enter);
}

const struct command cmd_enter = {
	.name = "enter",
	.summary = "Enter the namespaces of an app within a rkt pod",
	.usage = "[--app=APPNAME] UUID [CMD [ARGS ...]]",
	.words = CMD_WORDS_PODS,
	.description = "The command runs as root of the pod, within the "
		       "limits, capabilities and system call filter of the "
		       "app.",
	.flags = CMD_ROOT | CMD_NON_INTERSPERSED,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
