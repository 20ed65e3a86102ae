/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/table.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/history.h"
#include "spec/json_write.h"
#include "stage0/generation.h"
#include "stage0/pod.h"

#define HISTORY_MAX (16UL * 1024 * 1024)

struct opts {
	bool no_legend;
	enum output_format format;
};

static const struct option_row rows[] = {
	{.name = "no-legend",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, no_legend),
	 .help = "suppress a legend with the list"},
	FORMAT_OPTION_ROW(struct opts, format),
	{.name = NULL},
};

/* "NAME:VERSION" of a generation, "-" when its files are gone. */
static void push_image(struct strv *row, const struct pod *pod,
		       const struct history_entry *e)
{
	cleanup_pod_image struct pod_image image = POD_IMAGE_INIT;
	const char *version;

	if (generation_image_load(pod->fd, e->app, e->to, &image, NULL) < 0) {
		strv_push(row, "-");
		return;
	}
	version = name_values_get(&image.manifest.labels, "version");
	strv_pushf(row, "%s%s%s", image.manifest.name, version ? ":" : "",
		   version ? version : "");
}

static void add_row(struct table *table, const struct pod *pod,
		    const struct history_entry *e)
{
	struct strv *row = table_row(table);

	strv_pushf(row, "%.19sZ", e->time);
	strv_push(row, e->app);
	strv_pushf(row, "%u -> %u", e->from, e->to);
	push_image(row, pod, e);
	strv_push(row, update_state_text(e->state));
	strv_push(row, e->text);
}

static void format_table(const struct opts *o, const struct pod *pod,
			 struct strbuf *history, struct strbuf *out)
{
	static const char *const legend[] = {
		"TIME", "APP", "GENERATION", "IMAGE NAME", "STATE", "DETAIL"};
	cleanup_table struct table table = TABLE_INIT;
	struct history_entry e;
	char *next = history->buf;

	if (!o->no_legend) {
		struct strv *row = table_row(&table);

		for (size_t i = 0; i < sizeof(legend) / sizeof(*legend); i++)
			strv_push(row, legend[i]);
	}
	while (history_next(&next, &e)) {
		add_row(&table, pod, &e);
		history_entry_release(&e);
	}
	table_format(&table, out);
}

static void format_json(const struct opts *o, struct strbuf *history,
			struct strbuf *out)
{
	struct history_entry e;
	char *next = history->buf;
	struct json_writer w;

	json_writer_init(&w, out, format_style(o->format));
	json_open_array(&w, NULL);
	while (history_next(&next, &e)) {
		json_open_object(&w, NULL);
		json_add_string(&w, "time", e.time);
		json_add_string(&w, "app", e.app);
		json_add_uint(&w, "from", e.from);
		json_add_uint(&w, "to", e.to);
		json_add_string(&w, "state", update_state_text(e.state));
		json_add_string(&w, "text", e.text);
		json_add_bool(&w, "rollback", e.rollback);
		json_close_object(&w);
		history_entry_release(&e);
	}
	json_close_array(&w);
	strbuf_addch(out, '\n');
}

static int print_history(struct cmd_call *call, struct pod *pod,
			 struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	int r = read_file_at(pod->fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			     err);

	if (r < 0 && r != -ENOENT) /* never updated */
		return r;
	if (o->format == FORMAT_TABLE)
		format_table(o, pod, &history, &out);
	else
		format_json(o, &history, &out);
	return print_all(&out);
}

static int run(struct cmd_call *call)
{
	return pod_arg_only(call, NULL, print_history);
}

const struct command cmd_history = {
	.name = "history",
	.summary = "Show the updates of a pod and how they ended",
	.usage = "[--no-legend] [--format=json] POD",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
