/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/table.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "spec/image_id.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"

#define SHORT_UUID 8
#define SHORT_IMAGE_ID (IMAGE_ID_PREFIX_LEN + 12)

struct opts {
	bool full;
	bool no_legend;
	enum output_format format;
};

static const struct option_row rows[] = {
	{.name = "full",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, full),
	 .help = "use long output format, and show the generation each app "
		 "is in and the version of each pod's stage1"},
	{.name = "no-legend",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, no_legend),
	 .help = "suppress a legend with the list"},
	FORMAT_OPTION_ROW(struct opts, format),
	{.name = NULL},
};

/* --- gathering -------------------------------------------------------------
 */

/* Every pod that can be read; ERRORS gets a line for each other. */
static size_t load_pods(const struct pods *pods, const struct strv *uuids,
			struct pod_info *infos, struct strv *errors)
{
	size_t n = 0;

	for (size_t i = 0; i < uuids->n; i++) {
		cleanup_pod struct pod pod = POD_INIT;
		struct error err = ERROR_INIT;
		int r = pod_open(pods, uuids->v[i], &pod, &err);

		/* Removed meanwhile. */
		if (r == -ENOENT)
			continue;
		if (r == 0)
			r = pod_info_load(&pod, &infos[n], &err);
		if (r == 0)
			n++;
		else
			strv_push(errors, err.msg);
	}
	return n;
}

/* --- table -----------------------------------------------------------------
 */

static void push(struct table *table, const char *text, size_t max)
{
	table_addf(table, "%.*s", (int)max, text);
}

static void push_time(struct table *table, int64_t ns, bool full)
{
	struct strbuf *cell = table_cell(table);

	if (ns)
		format_time(cell, ns, full);
}

static void push_image(struct table *table, const struct app_info *app,
		       bool full)
{
	app_info_image_name(app, table_cell(table));
	if (full)
		push(table, app->ra->image.id ? app->ra->image.id : "-",
		     SHORT_IMAGE_ID);
}

/* Behind rkt's own columns. */
static void push_generation(struct table *table, const struct app_info *app)
{
	if (app && app->generation)
		table_addf(table, "%u", app->generation);
	else
		table_add(table, "-");
}

static void push_runtime(struct table *table, const char *version)
{
	table_add(table, version ? version : "-");
}

static void push_pod_cells(struct table *table, const struct pod_info *info,
			   bool full)
{
	table_add(table, pod_state_text(info->state));
	push_time(table, info->created_ns, full);
	push_time(table, info->started_ns, full);
	pod_info_networks(info, table_cell(table));
}

static void add_pod(struct table *table, const struct pod_info *info, bool full)
{
	size_t uuid_len = full ? UUID_TEXT_LEN : SHORT_UUID;
	size_t n = info->manifest.n_apps;

	for (size_t i = 0; i < n || (i == 0 && n == 0); i++) {
		table_row(table);
		push(table, i == 0 ? info->uuid : "", uuid_len);
		if (n == 0) {
			table_add(table, "-");
			table_add(table, "-");
			if (full)
				table_add(table, "-");
		} else {
			table_add(table, info->apps[i].name);
			push_image(table, &info->apps[i], full);
		}
		if (i == 0)
			push_pod_cells(table, info, full);
		for (int k = 0; i > 0 && k < 4; k++)
			table_add(table, "");
		if (full) {
			push_generation(table, n ? &info->apps[i] : NULL);
			push_runtime(table,
				     i == 0 ? info->runtime_version : "");
		}
	}
}

static int print_table(const struct opts *o, const struct pod_info *infos,
		       size_t n)
{
	static const char *const short_legend[] = {
		"UUID",	   "APP",     "IMAGE NAME", "STATE",
		"CREATED", "STARTED", "NETWORKS",   NULL};
	static const char *const full_legend[] = {
		"UUID",	      "APP",	 "IMAGE NAME", "IMAGE ID",
		"STATE",      "CREATED", "STARTED",    "NETWORKS",
		"GENERATION", "RUNTIME", NULL};
	const char *const *legend = o->full ? full_legend : short_legend;
	cleanup_table struct table table = TABLE_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	if (!o->no_legend) {
		table_row(&table);
		for (; *legend; legend++)
			table_add(&table, *legend);
	}
	for (size_t i = 0; i < n; i++)
		add_pod(&table, &infos[i], o->full);
	table_format(&table, &out);
	return print_all(&out);
}

static int print_json(const struct opts *o, const struct pod_info *infos,
		      size_t n)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, format_style(o->format));
	if (n == 0) {
		json_add_null(&w, NULL);
	} else {
		json_open_array(&w, NULL);
		for (size_t i = 0; i < n; i++)
			pod_info_write(&infos[i], NULL, &w);
		json_close_array(&w);
	}
	strbuf_addch(&out, '\n');
	return print_all(&out);
}

static void print_errors(const struct strv *errors)
{
	if (errors->n == 0)
		return;
	log_error("----------------------------------------");
	log_error("%zu error(s) encountered when listing pods:", errors->n);
	log_error("----------------------------------------");
	for (size_t i = 0; i < errors->n; i++)
		log_error("%s", errors->v[i]);
	log_error("----------------------------------------");
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_strv struct strv uuids = STRV_INIT;
	cleanup_strv struct strv errors = STRV_INIT;
	struct pod_info *infos;
	struct error err = ERROR_INIT;
	size_t n;
	int r;

	if (call->argc > 0)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (pods_open(&pods, call->rkt->dir, &err) < 0 ||
	    pods_list_shown(&pods, &uuids, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	infos = xcalloc(uuids.n + 1, sizeof(*infos));
	n = load_pods(&pods, &uuids, infos, &errors);
	print_errors(&errors);
	r = o->format == FORMAT_TABLE ? print_table(o, infos, n)
				      : print_json(o, infos, n);
	for (size_t i = 0; i < n; i++)
		pod_info_release(&infos[i]);
	free(infos);
	return r;
}

const struct command cmd_list = {
	.name = "list",
	.summary = "List pods",
	.usage = "[--full] [--no-legend] [--format=json|json-pretty]",
	.description = "Pods that are being made or removed are left out.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
