/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/strbuf.h"
#include "base/table.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/app_stats.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

struct opts {
	const char *app;
	enum output_format format;
};

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "only the processes of this app"},
	FORMAT_OPTION_ROW(struct opts, format),
	{.name = NULL},
};

struct output {
	struct table table;
	struct strbuf json;
	struct json_writer writer;
};

static void add_row(struct output *out, const char *app,
		    const struct app_process_stats *p)
{
	uint64_t hundredths = p->cpu_usec / 10000;

	table_row(&out->table);
	table_addf(&out->table, "%d", (int)p->pod_pid);
	table_addf(&out->table, "%u", p->uid);
	table_add(&out->table, app);
	table_addf(&out->table, "%llu:%02llu.%02llu",
		   (unsigned long long)hundredths / 6000,
		   (unsigned long long)hundredths / 100 % 60,
		   (unsigned long long)hundredths % 100);
	format_size(table_cell(&out->table), p->rss);
	table_addf(&out->table, "%d", (int)p->pid);
	table_add(&out->table, p->name);
}

static void add_object(struct json_writer *w, const char *app,
		       const struct app_process_stats *p)
{
	json_open_object(w, NULL);
	json_add_int(w, "pid", p->pod_pid);
	json_add_uint(w, "uid", p->uid);
	json_add_string(w, "app", app);
	json_add_uint(w, "cpu_usec", p->cpu_usec);
	json_add_uint(w, "rss_bytes", p->rss);
	json_add_uint(w, "threads", p->threads);
	json_add_int(w, "host_pid", p->pid);
	json_add_string(w, "command", p->name);
	json_close_object(w);
}

static int add_app(const struct pod *pod, const char *app, struct output *out,
		   struct error *err)
{
	cleanup_app_stats struct app_stats stats = APP_STATS_INIT;
	int r = app_stats_read(pod, app, &stats, err);

	for (size_t i = 0; r == 0 && i < stats.n_processes; i++) {
		add_row(out, app, &stats.processes[i]);
		add_object(&out->writer, app, &stats.processes[i]);
	}
	return r;
}

static int add_apps(const struct opts *o, const struct pod *pod,
		    struct output *out, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = pod_manifest_load(pod->fd, &pm, err);

	if (r == 0 && o->app && !pod_manifest_find_app(&pm, o->app))
		return error_set(err, ENOENT, "app \"%s\" not found", o->app);
	for (size_t i = 0; r == 0 && i < pm.n_apps; i++)
		if (!o->app ||
		    pod_manifest_find_app(&pm, o->app) == &pm.apps[i])
			r = add_app(pod, pm.apps[i].name, out, err);
	return r;
}

static int top(struct cmd_call *call, struct pod *pod, struct error *err)
{
	static const char *const legend[] = {"PID", "UID",  "APP",    "CPU",
					     "RSS", "HOST", "COMMAND"};
	const struct opts *o = call->opts;
	struct output out = {.table = TABLE_INIT, .json = STRBUF_INIT};
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	if (pod_state(pod) != POD_STATE_RUNNING)
		return error_set(err, ESRCH,
				 "pod \"%s\" isn't currently running",
				 pod->uuid);
	r = app_stats_check(pod, err);
	if (r < 0)
		return r;
	json_writer_init(&out.writer, &out.json, format_style(o->format));
	json_open_array(&out.writer, NULL);
	table_row(&out.table);
	for (size_t i = 0; i < sizeof(legend) / sizeof(legend[0]); i++)
		table_add(&out.table, legend[i]);
	r = add_apps(o, pod, &out, err);
	json_close_array(&out.writer);
	strbuf_addch(&out.json, '\n');
	table_format(&out.table, &text);
	if (r == 0)
		r = print_all(o->format == FORMAT_TABLE ? &text : &out.json);
	table_release(&out.table);
	strbuf_release(&out.json);
	return r;
}

static int run(struct cmd_call *call)
{
	return pod_arg_only(call, NULL, top);
}

const struct command cmd_top = {
	.name = "top",
	.summary = "List the processes of a running pod",
	.usage = "[--app=APPNAME] [--format=json] UUID",
	.words = CMD_WORDS_PODS,
	.description = "PID and UID are as the pod numbers them, HOST is the "
		       "process's number on the host, COMMAND what the program "
		       "calls itself.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
