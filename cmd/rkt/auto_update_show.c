/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/format.h"
#include "base/strbuf.h"
#include "base/table.h"
#include "cmd/rkt/auto_update.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/update_many.h"
#include "spec/history.h"
#include "spec/json_write.h"

static const char *const outcome_texts[] = {
	[OUTCOME_UPDATED] = "updated",
	[OUTCOME_CURRENT] = "current",
	[OUTCOME_PLANNED] = "planned",
	[OUTCOME_HELD] = "held",
	[OUTCOME_RELEASED] = "released",
	[OUTCOME_NOT_IN_STAGE] = "not-in-stage",
	[OUTCOME_OUTSIDE_WINDOW] = "outside-window",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_ROLLED_BACK] = "rolled-back",
	[OUTCOME_FELL_BACK] = "fell-back",
	[OUTCOME_FAILED] = "failed",
};

static int worst_code(const struct auto_update_results *results)
{
	int worst = 0;

	for (size_t i = 0; i < results->n; i++)
		worst = update_worse_code(worst, results->v[i].code);
	return worst;
}

/* --- lines ------------------------------------------------------------------
 */

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

/* A name, or as much of a UUID as people compare. */
static void add_pod(struct table *table, const struct auto_update_result *r)
{
	if (r->name)
		table_add(table, r->name);
	else
		table_addf(table, "%.8s", r->pod);
}

static void add_row(struct table *table, const struct auto_update_result *r)
{
	table_row(table);
	add_pod(table, r);
	table_add(table, or_dash(r->app));
	table_add(table, or_dash(r->from));
	table_add(table, or_dash(r->to));
	table_add(table,
		  r->tier == UPDATE_AUTO ? "-" : update_strategy_text(r->tier));
	table_add(table, outcome_texts[r->outcome]);
}

static void format_lines(const struct auto_update_results *results,
			 struct strbuf *out)
{
	static const char *const legend[] = {"POD", "APP",  "FROM",
					     "TO",  "TIER", "OUTCOME"};
	cleanup_table struct table table = TABLE_INIT;

	table_row(&table);
	for (size_t i = 0; i < sizeof(legend) / sizeof(*legend); i++)
		table_add(&table, legend[i]);
	for (size_t i = 0; i < results->n; i++)
		add_row(&table, &results->v[i]);
	table_format(&table, out);
	for (size_t i = 0; i < results->n; i++) {
		const struct auto_update_result *r = &results->v[i];
		cleanup_strbuf struct strbuf text = STRBUF_INIT;

		if (!r->reason)
			continue;
		strbuf_addf(&text, "%s%s%.36s: %s", r->app ? r->app : "",
			    r->app ? " of " : "", r->name ? r->name : r->pod,
			    r->reason);
		format_wrapped(out, text.buf, 0, 1);
	}
}

/* --- JSON -------------------------------------------------------------------
 */

static void add_time(struct json_writer *w, const char *key, int64_t ns)
{
	const time_t seconds = ns / 1000000000;
	char text[64];
	struct tm tm;
	size_t n;

	if (!ns || !gmtime_r(&seconds, &tm))
		return;
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, sizeof(text) - n, ".%03dZ",
		       (int)(ns / 1000000 % 1000));
	json_add_string(w, key, text);
}

static void write_result(const struct auto_update_result *r,
			 struct json_writer *w)
{
	json_open_object(w, NULL);
	json_add_string(w, "pod", r->pod);
	json_add_string_if(w, "name", r->name);
	json_add_string_if(w, "app", r->app);
	json_add_string(w, "mode", auto_update_mode_text(r->mode));
	json_add_string_if(w, "image", r->image);
	json_add_string_if(w, "from", r->from);
	json_add_string_if(w, "to", r->to);
	json_add_string_if(w, "from_id", r->from_id);
	json_add_string_if(w, "to_id", r->to_id);
	if (r->tier != UPDATE_AUTO)
		json_add_string(w, "tier", update_strategy_text(r->tier));
	json_add_string(w, "outcome", outcome_texts[r->outcome]);
	json_add_int(w, "code", r->code);
	json_add_string_if(w, "reason", r->reason);
	add_time(w, "began", r->began);
	add_time(w, "ended", r->ended);
	if (r->plan)
		json_add_raw(w, "plan", r->plan);
	json_close_object(w);
}

static void write_results(const struct auto_update_run *run, int code,
			  struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, format_style(run->opts->transact.format));
	json_open_object(&w, NULL);
	json_add_int(&w, "code", code);
	json_add_bool(&w, "dry_run", run->opts->dry_run);
	json_open_array(&w, "apps");
	for (size_t i = 0; i < run->results.n; i++)
		write_result(&run->results.v[i], &w);
	json_close_array(&w);
	json_close_object(&w);
	strbuf_addch(out, '\n');
}

int auto_update_show(const struct auto_update_run *run)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	int code = worst_code(&run->results), r;

	if (run->opts->transact.format != FORMAT_TABLE)
		write_results(run, code, &out);
	else if (run->results.n)
		format_lines(&run->results, &out);
	else
		strbuf_addstr(
			&out,
			"no running pod has an app with " AUTO_UPDATE_LABEL
			"=registry or =local\n");
	r = print_all(&out);
	return code ? code : r;
}
