/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/plan_print.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/format.h"
#include "base/strbuf.h"
#include "spec/history.h"
#include "stage0/update_plan.h"

#define TAB 8
#define TIER_COLUMN 24

/* LABEL in the first column of a line, then TEXT, wrapped behind it. */
static void add_line(struct strbuf *out, const char *label, const char *text)
{
	strbuf_addf(out, "%-7s\t", label);
	format_wrapped(out, text, TAB, 1);
}

/* Bytes of an image must not drive the terminal. */
static void add_plain(struct strbuf *out, const char *text)
{
	for (; *text; text++)
		strbuf_addch(out, (unsigned char)*text < ' ' ||
						  (unsigned char)*text == 0x7f
					  ? '?'
					  : *text);
}

static void format_image(const char *label, const struct plan_image *image,
			 struct strbuf *out)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char id[IMAGE_ID_FULL_LEN + 1];

	image_id_full(&image->id, id);
	strbuf_addstr(&text, image->name);
	if (image->version) {
		strbuf_addch(&text, ' ');
		add_plain(&text, image->version);
	}
	strbuf_addf(&text, "\n%s\n", id);
	if (image->signer)
		strbuf_addf(&text, "signed by %s", image->signer);
	else
		strbuf_addstr(&text, "not signed, or not verified");
	add_line(out, label, text.buf);
}

static void format_change(const struct plan_change *c, struct strbuf *out)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "%s%s", c->what, c->name ? " " : "");
	if (c->name)
		add_plain(&text, c->name);
	strbuf_addstr(&text, ": ");
	if (!c->from) {
		strbuf_addstr(&text, "new, ");
		add_plain(&text, *c->to ? c->to : "\"\"");
	} else if (!c->to) {
		strbuf_addstr(&text, "gone, was ");
		add_plain(&text, *c->from ? c->from : "\"\"");
	} else {
		add_plain(&text, *c->from ? c->from : "\"\"");
		strbuf_addstr(&text, " -> ");
		add_plain(&text, *c->to ? c->to : "\"\"");
	}
	strbuf_addch(out, '\t');
	format_wrapped(out, text.buf, TAB, 2);
}

static void format_tiers(const struct update_plan *plan, struct strbuf *out)
{
	add_line(out, "tier",
		 plan->tier == UPDATE_AUTO ? "none applies"
					   : update_strategy_text(plan->tier));
	for (size_t i = 0; i < PLAN_TIERS; i++) {
		const struct plan_tier *t = &plan->tiers[i];

		strbuf_addf(out, "\t%-9s %-5s ", update_strategy_text(t->tier),
			    t->tier == plan->tier ? "taken"
			    : t->applies	  ? "lower"
						  : "no");
		format_wrapped(out, t->reason, TIER_COLUMN, 3);
	}
}

static void plan_format(const struct update_plan *plan, struct strbuf *out)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "%s, generation %u runs", plan->app, plan->from);
	if (plan->to)
		strbuf_addf(&text, ", back to generation %u", plan->to);
	add_line(out, "app", text.buf);
	format_image("from", &plan->old_image, out);
	if (plan->is_same) {
		add_line(out, "result",
			 "nothing to do: it runs this image already");
		return;
	}
	format_image("to", &plan->new_image, out);
	add_line(out, "changes",
		 plan->n_changes ? "" : "none but the image's files");
	for (size_t i = 0; i < plan->n_changes; i++)
		format_change(&plan->changes[i], out);
	format_tiers(plan, out);
	for (size_t i = 0; i < plan->refusals.n; i++)
		add_line(out, "refused", plan->refusals.v[i]);
	if (plan->refusals.n == 0)
		add_line(out, "result", "it may go");
}

/* --- JSON ------------------------------------------------------------------
 */

static void write_image(const char *key, const struct plan_image *image,
			struct json_writer *w)
{
	json_open_object(w, key);
	json_add_string(w, "name", image->name);
	json_add_string_if(w, "version", image->version);
	json_add_string(w, "id", image->id.text);
	json_add_string_if(w, "signer", image->signer);
	json_close_object(w);
}

static void write_changes(const struct update_plan *plan, struct json_writer *w)
{
	json_open_array(w, "changes");
	for (size_t i = 0; i < plan->n_changes; i++) {
		const struct plan_change *c = &plan->changes[i];

		json_open_object(w, NULL);
		json_add_string(w, "what", c->what);
		json_add_string_if(w, "name", c->name);
		json_add_string(w, "from", c->from);
		json_add_string(w, "to", c->to);
		json_close_object(w);
	}
	json_close_array(w);
}

static void write_tiers(const struct update_plan *plan, struct json_writer *w)
{
	if (plan->tier == UPDATE_AUTO)
		json_add_null(w, "tier");
	else
		json_add_string(w, "tier", update_strategy_text(plan->tier));
	json_open_array(w, "tiers");
	for (size_t i = 0; i < PLAN_TIERS; i++) {
		const struct plan_tier *t = &plan->tiers[i];

		json_open_object(w, NULL);
		json_add_string(w, "tier", update_strategy_text(t->tier));
		json_add_bool(w, "applies", t->applies);
		json_add_string(w, "reason", t->reason);
		json_close_object(w);
	}
	json_close_array(w);
}

void plan_write(const struct update_plan *plan, const char *pod,
		enum output_format format, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, format_style(format));
	json_open_object(&w, NULL);
	json_add_string(&w, "pod", pod);
	json_add_string(&w, "app", plan->app);
	json_add_uint(&w, "generation", plan->from);
	if (plan->to)
		json_add_uint(&w, "to_generation", plan->to);
	json_add_string(&w, "result",
			plan->is_same	   ? "nothing to do"
			: plan->refusals.n ? "refused"
					   : "may go");
	write_image("from", &plan->old_image, &w);
	write_image("to", &plan->new_image, &w);
	write_changes(plan, &w);
	write_tiers(plan, &w);
	json_open_array(&w, "refusals");
	for (size_t i = 0; i < plan->refusals.n; i++)
		json_add_string(&w, NULL, plan->refusals.v[i]);
	json_close_array(&w);
	json_close_object(&w);
}

/* --- for commands ----------------------------------------------------------
 */

bool plan_show(const struct update_plan *plan, const char *pod,
	       enum output_format format)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	if (format == FORMAT_TABLE) {
		plan_format(plan, &out);
	} else {
		plan_write(plan, pod, format, &out);
		strbuf_addch(&out, '\n');
	}
	(void)print_all(&out);
	return plan->refusals.n && !plan->is_same;
}

void plan_add_refusals(const struct update_plan *plan, bool one_of_several,
		       struct strbuf *out)
{
	for (size_t i = 0; i < plan->refusals.n; i++) {
		strbuf_addstr(out, out->len ? "; " : "");
		if (one_of_several)
			strbuf_addf(out, "app %s: ", plan->app);
		strbuf_addstr(out, plan->refusals.v[i]);
	}
}
