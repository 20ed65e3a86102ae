/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/strbuf.h"
#include "cmd/rkt/app.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/pod_arg.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"

struct opts {
	const char *app;
	const char *uuid_file;
	enum output_format format;
};

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "name of the app within the pod (required)"},
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	FORMAT_OPTION_ROW(struct opts, format),
	{.name = NULL},
};

/* --- rkt's lines -----------------------------------------------------------
 */

static void add_mounts(struct strbuf *out, const struct pod_info *info,
		       const struct app_info *app)
{
	for (size_t i = 0; i < app->ra->n_mounts; i++) {
		const struct mount *m = &app->ra->mounts[i];
		cleanup_free char *host = NULL;
		bool read_only = app_info_mount(info, app, m, &host);

		strbuf_addf(out, "%s%s:%s:(read_only:%s)",
			    i ? "," : "mounts=", host ? host : "", m->path,
			    read_only ? "true" : "false");
	}
	if (app->ra->n_mounts)
		strbuf_addch(out, '\n');
}

static void add_pairs(struct strbuf *out, const char *key,
		      const struct name_values *pairs)
{
	for (size_t i = 0; i < pairs->n; i++)
		strbuf_addf(out, "%s%s%s:%s", i ? "" : key, i ? "," : "=",
			    pairs->v[i].name, pairs->v[i].value);
	if (pairs->n)
		strbuf_addch(out, '\n');
}

static void add_text(struct strbuf *out, const struct pod_info *info,
		     const struct app_info *app)
{
	const char *id = app->ra->image.id;

	strbuf_addf(out, "name=%s\nstate=%s\nimage_id=%s\n", app->name,
		    app->state, id ? id : "");
	format_time_line(out, "created_at", app->created_ns);
	format_time_line(out, "started_at", app->started_ns);
	format_time_line(out, "finished_at", app->finished_ns);
	if (app->has_exit_code)
		strbuf_addf(out, "exit_code=%d\n", app->exit_code);
	add_mounts(out, info, app);
	add_pairs(out, "user_annotations", &app->ra->app.user_annotations);
	add_pairs(out, "user_labels", &app->ra->app.user_labels);
}

/* --- the command -----------------------------------------------------------
 */

static int status(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct json_writer w;
	size_t i = 0;
	int r = pod_info_load(pod, &info, err);

	if (r < 0)
		return r;
	while (i < info.manifest.n_apps &&
	       strcmp(info.apps[i].name, o->app) != 0)
		i++;
	if (i == info.manifest.n_apps)
		return error_set(err, ENOENT,
				 "cannot find app \"%s\" in the pod", o->app);
	if (o->format == FORMAT_TABLE) {
		add_text(&out, &info, &info.apps[i]);
		return print_all(&out);
	}
	pod_info_load_held(pod, &info);
	json_writer_init(&w, &out, format_style(o->format));
	app_info_write(&info, &info.apps[i], &w);
	strbuf_addch(&out, '\n');
	return print_all(&out);
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	int r = o->app ? pod_arg_only(call, o->uuid_file, status)
		       : cmd_usage(call, "must provide the app with "
					 "--app=NAME");

	/* rkt's exit code. */
	return r ? 1 : 0;
}

const struct command cmd_app_status = {
	.name = "status",
	.summary = "Check the status of an app in the given pod",
	.usage = "--app=NAME [--format=json] --uuid-file=FILE | UUID",
	.words = CMD_WORDS_PODS,
	.description = "Of an immutable pod, too. Exits with 1 on failure.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
