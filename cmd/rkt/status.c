/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aci/printable.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/pod_arg.h"
#include "cmd/rkt/pod_wait.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"

struct opts {
	int64_t wait; /* as pod_wait_parse() has it */
	int64_t wait_ready;
	const char *uuid_file;
	enum output_format format;
};

static const struct option_row rows[] = {
	{.name = "wait",
	 .kind = OPTION_CALL,
	 .parse = pod_wait_parse,
	 .implied = "true",
	 .shown = "false",
	 .offset = offsetof(struct opts, wait),
	 .help = "wait until the pod has exited, with an optional timeout"},
	{.name = "wait-ready",
	 .kind = OPTION_CALL,
	 .parse = pod_wait_parse,
	 .implied = "true",
	 .shown = "false",
	 .offset = offsetof(struct opts, wait_ready),
	 .help = "wait until the pod is ready, with an optional timeout"},
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	FORMAT_OPTION_ROW(struct opts, format),
	{.name = NULL},
};

/* --- printing --------------------------------------------------------------
 */

static bool ran(enum pod_state state)
{
	return state == POD_STATE_RUNNING || state == POD_STATE_EXITED ||
	       state == POD_STATE_EXITED_DELETING ||
	       state == POD_STATE_EXITED_GARBAGE || state == POD_STATE_DELETING;
}

/* "APP: NAME: REASON" as isolator-APP=NAME: REASON. */
static void add_isolators(struct strbuf *out, const struct pod_info *info)
{
	for (size_t i = 0; i < info->isolators.n; i++) {
		const char *line = info->isolators.v[i];
		const char *colon = strstr(line, ": ");

		if (colon)
			strbuf_addf(out, "isolator-%.*s=%s\n",
				    (int)(colon - line), line, colon + 2);
	}
}

/* What the app says of itself. */
static void add_told(struct strbuf *out, const struct app_info *app)
{
	if (app->has_told)
		strbuf_addf(out, "ready-%s=%s\n", app->name,
			    app->ready ? "true" : "false");
	if (app->reloading)
		strbuf_addf(out, "reloading-%s=true\n", app->name);
	if (app->stopping)
		strbuf_addf(out, "stopping-%s=true\n", app->name);
	if (app->error)
		strbuf_addf(out, "errno-%s=%" PRId64 "\n", app->name,
			    app->error);
	if (app->bus_error)
		strbuf_addf(out, "buserror-%s=%s\n", app->name, app->bus_error);
	if (app->status)
		strbuf_addf(out, "status-%s=%s\n", app->name, app->status);
}

static void add_run(struct strbuf *out, const struct pod_info *info)
{
	bool running = info->state == POD_STATE_RUNNING;

	strbuf_addstr(out, "networks=");
	pod_info_networks(info, out);
	strbuf_addch(out, '\n');
	if (info->pid)
		strbuf_addf(out, "pid=%lld\n", (long long)info->pid);
	if (info->runtime_version)
		strbuf_addf(out, "runtime=%s\n", info->runtime_version);
	if (info->stage1)
		strbuf_addf(out, "stage1=%s\n", info->stage1);
	strbuf_addf(out, "exited=%s\n", running ? "false" : "true");
	for (size_t i = 0; !running && i < info->manifest.n_apps; i++)
		if (info->apps[i].has_exit_code)
			strbuf_addf(out, "app-%s=%d\n", info->apps[i].name,
				    info->apps[i].exit_code);
}

static void add_generation(struct strbuf *out, const struct app_info *app)
{
	const char *version =
		name_values_get(&app->ra->image.labels, "version");

	if (app->generation)
		strbuf_addf(out, "generation-%s=%u\n", app->name,
			    app->generation);
	if (version) {
		/* An image's text must not make lines of its own. */
		cleanup_free char *text = xstrdup(version);

		make_printable(text);
		strbuf_addf(out, "version-%s=%s\n", app->name, text);
	}
}

static void add_restarts(struct strbuf *out, const struct app_info *app)
{
	if (app->was_restarted)
		strbuf_addf(out, "restarts-%s=%u\nlast-exit-%s=%d\n", app->name,
			    app->restarts, app->name, app->last_exit_code);
	if (app->health)
		strbuf_addf(out, "health-%s=%s\n", app->name, app->health);
}

static void add_held(struct strbuf *out, const struct app_info *app)
{
	for (size_t i = 0; i < app->held.n; i++)
		strbuf_addf(out, "held-%s=%s: %s\n", app->name, app->held.v[i],
			    app->held_why.v[i]);
}

static void add_text(struct strbuf *out, const struct pod_info *info)
{
	strbuf_addf(out, "state=%s\n", pod_state_text(info->state));
	format_time_line(out, "created", info->created_ns);
	format_time_line(out, "started", info->started_ns);
	if (ran(info->state))
		add_run(out, info);
	if (info->name)
		strbuf_addf(out, "name=%s\n", info->name);
	for (size_t i = 0; i < info->manifest.n_apps; i++)
		add_generation(out, &info->apps[i]);
	for (size_t i = 0; i < info->manifest.n_apps; i++)
		add_restarts(out, &info->apps[i]);
	if (info->update.app)
		strbuf_addf(out, "update-%s=%s %u -> %u\n", info->update.app,
			    update_state_text(info->update.state),
			    info->update.from, info->update.to);
	for (size_t i = 0; i < info->manifest.n_apps; i++)
		add_told(out, &info->apps[i]);
	add_isolators(out, info);
	format_time_line(out, "auto-update-held",
			 info->held_since * INT64_C(1000000000));
	for (size_t i = 0; i < info->manifest.n_apps; i++)
		add_held(out, &info->apps[i]);
}

static int print_status(const struct opts *o, const struct pod *pod,
			struct error *err)
{
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct json_writer w;
	int r = pod_info_load(pod, &info, err);

	if (r < 0)
		return r;
	pod_info_load_held(pod, &info);
	if (o->format == FORMAT_TABLE) {
		add_text(&out, &info);
	} else {
		json_writer_init(&w, &out, format_style(o->format));
		pod_info_write(&info, NULL, &w);
		strbuf_addch(&out, '\n');
	}
	return print_all(&out);
}

static int wait_and_print(struct cmd_call *call, struct pod *pod,
			  struct error *err)
{
	const struct opts *o = call->opts;
	int r = 0;

	if (o->wait_ready)
		r = pod_wait_ready(pod, o->wait_ready, err);
	if (r == 0 && o->wait)
		r = pod_wait_exited(pod, o->wait, err);
	return r < 0 ? r : print_status(o, pod, err);
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;

	return pod_arg_only(call, o->uuid_file, wait_and_print);
}

const struct command cmd_status = {
	.name = "status",
	.summary = "Check the status of a rkt pod",
	.usage = "[--wait=bool|timeout] [--wait-ready=bool|timeout] "
		 "--uuid-file=FILE | UUID",
	.words = CMD_WORDS_PODS,
	.description =
		"Prints the state of the pod, the version of its stage1 "
		"(runtime), the exit status of its apps, "
		"the generation each app is in and its version, the update "
		"that is under way, the higher versions it is held from, how "
		"often its "
		"restart policy started it again and what its health probe "
		"says, what the apps that speak sd_notify(3) say of "
		"themselves, and what of its isolators could not be enforced "
		"on "
		"this host.",
	.flags = CMD_UUID_FILE_1,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
