/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
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
	bool full;
	bool no_legend;
	enum output_format format;
};

static const struct option_row rows[] = {
	{.name = "full",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, full),
	 .help = "also show when each state was entered, and what the update "
		 "did to the clients"},
	{.name = "no-legend",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, no_legend),
	 .help = "suppress a legend with the list"},
	FORMAT_OPTION_ROW(struct opts, format),
	{.name = NULL},
};

/* --- table -----------------------------------------------------------------
 */

/* "NAME:VERSION" of a generation that is still there; older histories do not
 * say it. */
static char *find_image(const struct pod *pod, const struct history_entry *e)
{
	cleanup_pod_image struct pod_image image = POD_IMAGE_INIT;
	const char *version;

	if (generation_image_load(pod->fd, e->app, e->to, &image, NULL) < 0)
		return xstrdup("-");
	version = name_values_get(&image.manifest.labels, "version");
	return xasprintf("%s%s%s", image.manifest.name, version ? ":" : "",
			 version ? version : "");
}

/* What both names begin with, up to the version's colon, is said once. */
static size_t same_name(const char *from, const char *to)
{
	size_t n = strcspn(from, ":");

	return from[n] && strncmp(from, to, n + 1) == 0 ? n + 1 : 0;
}

static void push_image(struct table *table, const struct pod *pod,
		       const struct history_entry *e)
{
	cleanup_free char *to =
		e->to_image ? xstrdup(e->to_image) : find_image(pod, e);

	if (e->from_image)
		table_addf(table, "%s -> %s", e->from_image,
			   to + same_name(e->from_image, to));
	else
		table_add(table, to);
}

static void push_states(struct table *table, const struct history_entry *e)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < e->n_steps; i++)
		strbuf_addf(&text, "%s%s %.1fms", i ? ", " : "",
			    update_state_text(e->steps[i].state),
			    (double)e->steps[i].us / 1000);
	table_add(table, e->n_steps ? text.buf : "-");
}

static void add_count(struct strbuf *text, const char *what, uint64_t n)
{
	if (n != UPDATE_NOT_COUNTED)
		strbuf_addf(text, "%s%llu %s", text->len ? ", " : "",
			    (unsigned long long)n, what);
}

static void push_counts(struct table *table, const struct update_counts *c)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (c->switch_us != UPDATE_NOT_COUNTED)
		strbuf_addf(&text, "switched in %.3fms",
			    (double)c->switch_us / 1000);
	add_count(&text, "moved", c->moved);
	add_count(&text, "drained", c->drained);
	add_count(&text, "lost", c->lost);
	table_add(table, text.len ? text.buf : "-");
}

static void add_row(const struct opts *o, struct table *table,
		    const struct pod *pod, const struct history_entry *e)
{
	table_row(table);
	table_addf(table, "%.19sZ", e->time);
	table_add(table, e->who ? e->who : "-");
	table_add(table, e->app);
	table_addf(table, "%u -> %u", e->from, e->to);
	push_image(table, pod, e);
	table_add(table,
		  e->tier == UPDATE_AUTO ? "-" : update_strategy_text(e->tier));
	table_add(table, update_state_text(e->state));
	if (o->full) {
		push_states(table, e);
		push_counts(table, &e->counts);
	}
	table_add(table, e->text);
}

static void add_legend(const struct opts *o, struct table *table)
{
	static const struct {
		const char *text;
		bool is_full;
	} legend[] = {
		{"TIME", false},       {"WHO", false},	      {"APP", false},
		{"GENERATION", false}, {"IMAGE NAME", false}, {"TIER", false},
		{"STATE", false},      {"STATES", true},      {"CLIENTS", true},
		{"DETAIL", false},
	};
	table_row(table);
	for (size_t i = 0; i < sizeof(legend) / sizeof(*legend); i++)
		if (o->full || !legend[i].is_full)
			table_add(table, legend[i].text);
}

static void format_table(const struct opts *o, const struct pod *pod,
			 struct strbuf *history, struct strbuf *out)
{
	cleanup_table struct table table = TABLE_INIT;
	struct history_entry e;
	char *next = history->buf;

	if (!o->no_legend)
		add_legend(o, &table);
	while (history_next(&next, &e)) {
		add_row(o, &table, pod, &e);
		history_entry_release(&e);
	}
	table_format(&table, out);
}

/* --- JSON ------------------------------------------------------------------
 */

static void write_count(struct json_writer *w, const char *key, uint64_t n)
{
	if (n != UPDATE_NOT_COUNTED)
		json_add_uint(w, key, n);
}

static void write_steps(const struct history_entry *e, struct json_writer *w)
{
	if (e->n_steps == 0)
		return;
	json_open_array(w, "states");
	for (size_t i = 0; i < e->n_steps; i++) {
		json_open_object(w, NULL);
		json_add_string(w, "state",
				update_state_text(e->steps[i].state));
		json_add_uint(w, "us", e->steps[i].us);
		json_close_object(w);
	}
	json_close_array(w);
}

static void write_entry(const struct history_entry *e, struct json_writer *w)
{
	json_open_object(w, NULL);
	json_add_string(w, "time", e->time);
	json_add_string_if(w, "who", e->who);
	json_add_string(w, "app", e->app);
	json_add_uint(w, "from", e->from);
	json_add_uint(w, "to", e->to);
	json_add_string_if(w, "from_image", e->from_image);
	json_add_string_if(w, "to_image", e->to_image);
	json_add_string_if(w, "from_id", e->from_id);
	json_add_string_if(w, "to_id", e->to_id);
	if (e->tier != UPDATE_AUTO)
		json_add_string(w, "tier", update_strategy_text(e->tier));
	json_add_string(w, "state", update_state_text(e->state));
	json_add_string(w, "text", e->text);
	json_add_bool(w, "rollback", e->rollback);
	if (e->us)
		json_add_uint(w, "us", e->us);
	write_count(w, "switch_us", e->counts.switch_us);
	write_count(w, "moved", e->counts.moved);
	write_count(w, "drained", e->counts.drained);
	write_count(w, "lost", e->counts.lost);
	write_steps(e, w);
	json_close_object(w);
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
		write_entry(&e, &w);
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
	.usage = "[--full] [--no-legend] [--format=json] POD",
	.words = CMD_WORDS_PODS,
	.description = "A line for each update and rollback: when, by whom, "
		       "of which app, from which generation and image to "
		       "which, by which tier, and how it ended.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
