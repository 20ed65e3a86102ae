/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/table.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "spec/pod_manifest.h"
#include "stage0/app_stats.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

#define SHORT_UUID 8
/* Between two looks: what is shown of the processor is its use meanwhile. */
#define FIRST_NS 250000000L
#define NEXT_NS 1000000000L

struct opts {
	bool no_stream;
	enum output_format format;
};

static const struct option_row rows[] = {
	{.name = "no-stream",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, no_stream),
	 .help = "show the numbers once, not every second"},
	FORMAT_OPTION_ROW(struct opts, format),
	{.name = NULL},
};

/* One app. */
struct row {
	char uuid[UUID_TEXT_LEN + 1];
	char *app;
	struct app_stats stats;
	uint64_t at_ns;
	uint64_t cpu_millis; /* thousandths of a processor */
};

struct sample {
	struct row *rows;
	size_t n;
};

static void sample_release(struct sample *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->rows[i].app);
		app_stats_release(&s->rows[i].stats);
	}
	free(s->rows);
	*s = (struct sample){0};
}

/* --- gathering -------------------------------------------------------------
 */

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static const struct row *find_row(const struct sample *s, const struct row *row)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->rows[i].uuid, row->uuid) == 0 &&
		    strcmp(s->rows[i].app, row->app) == 0)
			return &s->rows[i];
	return NULL;
}

static void add_use(struct row *row, const struct sample *before)
{
	const struct row *b = find_row(before, row);
	uint64_t usec = b ? (row->at_ns - b->at_ns) / 1000 : 0;

	if (usec > 0 && row->stats.cpu_usec > b->stats.cpu_usec)
		row->cpu_millis =
			(row->stats.cpu_usec - b->stats.cpu_usec) * 1000 / usec;
}

/* A pod that ends meanwhile has no apps; nor has one nothing is known of. */
static int add_pod(const struct pod *pod, struct sample *s, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = 0;

	if (app_stats_check(pod, NULL) < 0)
		return 0;
	r = pod_manifest_load(pod->fd, &pm, err);
	for (size_t i = 0; r == 0 && i < pm.n_apps; i++) {
		struct row row = {.app = xstrdup(pm.apps[i].name)};

		(void)snprintf(row.uuid, sizeof(row.uuid), "%s", pod->uuid);
		row.at_ns = now_ns();
		r = app_stats_read(pod, row.app, &row.stats, err);
		s->rows = xreallocarray(s->rows, s->n + 1, sizeof(*s->rows));
		s->rows[s->n++] = row;
	}
	return r == -ENOENT ? 0 : r;
}

/* UUIDs of the pods that WORDS mean; of all that run without one. */
static int find_pods(const struct pods *pods, const struct cmd_call *call,
		     struct strv *ret, struct error *err)
{
	if (call->argc == 0)
		return pods_list(pods, POD_RUN, ret, err);
	for (int i = 0; i < call->argc; i++) {
		cleanup_pod struct pod pod = POD_INIT;
		int r = pod_open(pods, call->argv[i], &pod, err);

		if (r < 0)
			return r;
		if (pod_state(&pod) != POD_STATE_RUNNING)
			return error_set(err, ESRCH,
					 "pod \"%s\" isn't currently running",
					 pod.uuid);
		r = app_stats_check(&pod, err);
		if (r < 0)
			return r;
		strv_push(ret, pod.uuid);
	}
	return 0;
}

static int take_sample(const struct pods *pods, const struct strv *uuids,
		       struct sample *ret, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < uuids->n && r == 0; i++) {
		cleanup_pod struct pod pod = POD_INIT;

		if (pod_open_in(pods, POD_RUN, uuids->v[i], &pod, NULL) == 0 &&
		    pod_state(&pod) == POD_STATE_RUNNING)
			r = add_pod(&pod, ret, err);
	}
	return r;
}

/* --- showing ---------------------------------------------------------------
 */

static void show_table(const struct sample *s, struct strbuf *out)
{
	static const char *const legend[] = {"UUID",	"APP",	 "CPU",
					     "MEM",	"LIMIT", "READ",
					     "WRITTEN", "PIDS"};
	cleanup_table struct table table = TABLE_INIT;

	table_row(&table);
	for (size_t i = 0; i < sizeof(legend) / sizeof(legend[0]); i++)
		table_add(&table, legend[i]);
	for (size_t i = 0; i < s->n; i++) {
		const struct row *row = &s->rows[i];
		const struct app_stats *st = &row->stats;

		table_row(&table);
		table_addf(&table, "%.*s", SHORT_UUID, row->uuid);
		table_add(&table, row->app);
		table_addf(&table, "%llu.%llu%%",
			   (unsigned long long)row->cpu_millis / 10,
			   (unsigned long long)row->cpu_millis % 10);
		format_size(table_cell(&table), st->memory);
		if (st->memory_limit)
			format_size(table_cell(&table), st->memory_limit);
		else
			table_add(&table, "-");
		format_size(table_cell(&table), st->read_bytes);
		format_size(table_cell(&table), st->written_bytes);
		table_addf(&table, "%llu", (unsigned long long)st->tasks);
	}
	table_format(&table, out);
}

static void show_json(const struct sample *s, enum output_format format,
		      struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, format_style(format));
	json_open_array(&w, NULL);
	for (size_t i = 0; i < s->n; i++) {
		const struct row *row = &s->rows[i];
		const struct app_stats *st = &row->stats;

		json_open_object(&w, NULL);
		json_add_string(&w, "pod", row->uuid);
		json_add_string(&w, "app", row->app);
		json_add_uint(&w, "cpu_usec", st->cpu_usec);
		json_add_uint(&w, "cpu_millicores", row->cpu_millis);
		json_add_uint(&w, "memory_bytes", st->memory);
		if (st->memory_limit)
			json_add_uint(&w, "memory_limit_bytes",
				      st->memory_limit);
		json_add_uint(&w, "read_bytes", st->read_bytes);
		json_add_uint(&w, "written_bytes", st->written_bytes);
		json_add_uint(&w, "pids", st->tasks);
		json_close_object(&w);
	}
	json_close_array(&w);
	strbuf_addch(out, '\n');
}

static int show(const struct opts *o, const struct sample *s)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	if (o->format != FORMAT_TABLE) {
		show_json(s, o->format, &out);
	} else {
		/* Over what was shown before. */
		if (!o->no_stream && isatty(STDOUT_FILENO))
			strbuf_addstr(&out, "\033[H\033[J");
		show_table(s, &out);
	}
	if (print_all(&out) != 0)
		return RKT_EXIT_FAILURE;
	return fflush(stdout) == 0 ? 0 : RKT_EXIT_FAILURE;
}

/* --- the command -----------------------------------------------------------
 */

static void wait_ns(long ns)
{
	struct timespec pause = {.tv_sec = ns / 1000000000,
				 .tv_nsec = ns % 1000000000};

	(void)nanosleep(&pause, NULL);
}

/* With pods named, until none of them runs; else without end. */
static int watch(const struct cmd_call *call, const struct pods *pods,
		 struct sample *before, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_strv struct strv named = STRV_INIT;
	long pause = FIRST_NS;
	int r, code = 0;

	r = find_pods(pods, call, &named, err);
	if (r == 0)
		r = take_sample(pods, &named, before, err);
	while (r == 0 && code == 0) {
		cleanup_strv struct strv all = STRV_INIT;
		struct sample s = {0};

		wait_ns(pause);
		pause = NEXT_NS;
		if (call->argc == 0)
			r = find_pods(pods, call, &all, err);
		if (r == 0)
			r = take_sample(pods, call->argc ? &named : &all, &s,
					err);
		for (size_t i = 0; r == 0 && i < s.n; i++)
			add_use(&s.rows[i], before);
		if (r == 0)
			code = show(o, &s);
		sample_release(before);
		*before = s;
		if (o->no_stream || (call->argc > 0 && s.n == 0))
			break;
	}
	return r < 0 ? r : code;
}

static int run(struct cmd_call *call)
{
	cleanup_pods struct pods pods = PODS_INIT;
	struct sample last = {0};
	struct error err = ERROR_INIT;
	int r = pods_open(&pods, call->rkt->dir, &err);

	if (r == 0)
		r = watch(call, &pods, &last, &err);
	sample_release(&last);
	if (r < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return r;
}

const struct command cmd_stats = {
	.name = "stats",
	.summary = "Show what the apps of running pods use",
	.usage = "[--no-stream] [--format=json] [UUID ...]",
	.words = CMD_WORDS_PODS,
	.description = "Processor (100% is one), memory without what the "
		       "kernel can forget, bytes read from and written to "
		       "storage, processes and threads. Every second, of all "
		       "running pods or those named.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
