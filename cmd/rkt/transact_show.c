/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/transact_show.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/transact_call.h"
#include "spec/history.h"
#include "spec/json_write.h"
#include "stage0/pod.h"

bool show_is_json(const struct transact_call *call)
{
	return call->opts->format != FORMAT_TABLE;
}

/* At once: somebody looks on, or reads it through a pipe. */
static void print_now(const struct strbuf *out)
{
	(void)fwrite(out->buf, 1, out->len, stdout);
	(void)fflush(stdout);
}

/* The generation that served is there for a rollback. */
static bool keeps_old(const struct transact_call *call)
{
	return call->flags & CONTROL_ROLLBACK || call->keep > 0;
}

static const struct {
	const char *key;
	size_t offset;
} counts[] = {
	{"moved", offsetof(struct update_counts, moved)},
	{"drained", offsetof(struct update_counts, drained)},
	{"lost", offsetof(struct update_counts, lost)},
};

static uint64_t count_of(const struct update_counts *c, size_t i)
{
	return *(const uint64_t *)((const char *)c + counts[i].offset);
}

/* --- JSON ------------------------------------------------------------------
 */

static void json_begin(const struct transact_call *call, struct json_writer *w,
		       struct strbuf *out)
{
	json_writer_init(w, out, format_style(call->opts->format));
	json_open_object(w, NULL);
	if (call->pod)
		json_add_string(w, "pod", call->pod->uuid);
	if (call->n_parts == 1)
		json_add_string(w, "app", call->parts[0].app);
}

/* What was not looked at is not spoken of. */
static void write_counts(enum update_strategy tier,
			 const struct update_counts *c, struct json_writer *w)
{
	if (tier != UPDATE_AUTO)
		json_add_string(w, "tier", update_strategy_text(tier));
	if (c->switch_us != UPDATE_NOT_COUNTED)
		json_add_uint(w, "switch_us", c->switch_us);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (count_of(c, i) != UPDATE_NOT_COUNTED)
			json_add_uint(w, counts[i].key, count_of(c, i));
}

static void write_part(const struct transact_call *call,
		       const struct transact_part *part, struct json_writer *w)
{
	json_add_uint(w, "from", part->from);
	if (part->to)
		json_add_uint(w, "to", part->to);
	if (call->is_committed && keeps_old(call))
		json_add_uint(w, "kept", part->from);
	if (part->note[0])
		json_add_string(w, "note", part->note);
}

static void write_parts(const struct transact_call *call,
			const struct control_reply *reply,
			struct json_writer *w)
{
	if (call->n_parts == 1)
		write_part(call, &call->parts[0], w);
	if (call->n_parts <= 1)
		return;
	json_open_array(w, "apps");
	for (size_t i = 0; i < call->n_parts; i++) {
		json_open_object(w, NULL);
		json_add_string(w, "app", call->parts[i].app);
		write_part(call, &call->parts[i], w);
		if (reply)
			write_counts(call->parts[i].tier,
				     &call->parts[i].counts, w);
		json_close_object(w);
	}
	json_close_array(w);
}

static void json_end(struct json_writer *w, struct strbuf *out)
{
	json_close_object(w);
	strbuf_addch(out, '\n');
	print_now(out);
}

/* True if somebody else prints it. */
static bool is_reported(const struct transact_call *call, const char *text)
{
	struct transact_report *report = call->opts->report;

	if (!report)
		return false;
	strbuf_setlen(&report->text, 0);
	strbuf_addstr(&report->text, text);
	return true;
}

void show_progress(const struct transact_call *call,
		   const struct control_reply *reply)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct json_writer w;

	if (is_reported(call, reply->text))
		return;
	if (!show_is_json(call)) {
		strbuf_addf(&out, "%-12s %8.1f ms  %s\n",
			    update_state_text(reply->state),
			    (double)reply->elapsed_us / 1000, reply->text);
		print_now(&out);
		return;
	}
	json_begin(call, &w, &out);
	if (call->n_parts != 1 && reply->app[0])
		json_add_string(&w, "app", reply->app);
	json_add_string(&w, "state", update_state_text(reply->state));
	json_add_uint(&w, "us", reply->elapsed_us);
	json_add_string(&w, "text", reply->text);
	json_end(&w, &out);
}

static const char *result_text(int code)
{
	static const struct {
		int code;
		const char *text;
	} rows[] = {
		{0, "committed"},
		{RKT_EXIT_ROLLED_BACK, "rolled back"},
		{RKT_EXIT_REFUSED, "refused"},
		{RKT_EXIT_DEGRADED, "degraded"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].code == code)
			return rows[i].text;
	return "failed";
}

static void write_end(const struct transact_call *call, const char *result,
		      int code, const char *text,
		      const struct control_reply *reply)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct json_writer w;

	json_begin(call, &w, &out);
	json_add_string(&w, "result", result);
	json_add_int(&w, "code", code);
	json_add_string(&w, "text", text);
	write_parts(call, reply, &w);
	if (reply) {
		json_add_uint(&w, "us", reply->elapsed_us);
		write_counts(reply->strategy, &reply->counts, &w);
	}
	json_end(&w, &out);
}

static void format_parts(const struct transact_call *call, struct strbuf *out)
{
	for (size_t i = 0; i < call->n_parts; i++)
		strbuf_addf(out, "%sapp %s: generation %u", i ? ", " : "",
			    call->parts[i].app, call->parts[i].to);
}

static void format_counts(enum update_strategy tier,
			  const struct update_counts *c, struct strbuf *out)
{
	if (c->switch_us != UPDATE_NOT_COUNTED)
		strbuf_addf(out, "%sswitched in %.3f ms",
			    tier == UPDATE_AUTO ? "" : ", ",
			    (double)c->switch_us / 1000);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (count_of(c, i) != UPDATE_NOT_COUNTED)
			strbuf_addf(out, ", %llu %s",
				    (unsigned long long)count_of(c, i),
				    counts[i].key);
}

static void format_part(const struct transact_call *call,
			const struct transact_part *part, struct strbuf *out)
{
	strbuf_addf(out, "app %s: generation %u serves", part->app, part->to);
	if (part->tier != UPDATE_AUTO)
		strbuf_addf(out, " by %s", update_strategy_text(part->tier));
	if (part->note[0])
		strbuf_addf(out, " (%s)", part->note);
	format_counts(part->tier, &part->counts, out);
	if (keeps_old(call))
		strbuf_addf(out, ", generation %u kept for rollback",
			    part->from);
	strbuf_addch(out, '\n');
}

static void format_summary(const struct transact_call *call,
			   const struct control_reply *reply,
			   struct strbuf *out)
{
	for (size_t i = 0; i < call->n_parts; i++)
		format_part(call, &call->parts[i], out);
	if (call->n_parts < 2)
		return;
	strbuf_addf(out, "all %zu apps: ", call->n_parts);
	format_counts(UPDATE_AUTO, &reply->counts, out);
	strbuf_addch(out, '\n');
}

int show_done(const struct transact_call *call,
	      const struct control_reply *reply)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	if (is_reported(call, reply->text)) {
		call->opts->report->tier = reply->strategy;
		call->opts->report->is_done = true;
	} else if (show_is_json(call)) {
		write_end(call, result_text(reply->code), reply->code,
			  reply->text, reply);
	} else if (reply->code) {
		log_error("%s", reply->text);
	} else if (call->n_parts == 0) {
		printf("%s\n", reply->text);
	} else {
		format_summary(call, reply, &out);
		print_now(&out);
	}
	return reply->code;
}

void show_end(const struct transact_call *call, const char *result, int code,
	      const char *text)
{
	write_end(call, result, code, text, NULL);
}

int transact_end(const struct transact_call *call, int code, const char *text)
{
	if (is_reported(call, text))
		return code;
	if (show_is_json(call))
		write_end(call, code == 0 ? "nothing to do" : result_text(code),
			  code, text, NULL);
	else if (code == 0)
		printf("%s\n", text);
	else if (code == RKT_EXIT_REFUSED)
		log_error("refused: %s", text);
	return code;
}

/* The transaction goes on without us. */
int show_switched(const struct transact_call *call,
		  const struct control_reply *reply)
{
	static const char text[] =
		"the pod commits it, or goes back, by itself";
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	if (is_reported(call, text))
		return 0;
	if (show_is_json(call)) {
		write_end(call, "switched", 0, text, reply);
		return 0;
	}
	format_parts(call, &out);
	strbuf_addf(&out, " gets new connections; %s\n", text);
	print_now(&out);
	return 0;
}

bool show_failed(const struct cmd_call *call, const char *text)
{
	const struct transact_call none = {.opts = call->opts};

	if (!show_is_json(&none))
		return false;
	show_end(&none, result_text(RKT_EXIT_FAILURE), RKT_EXIT_FAILURE, text);
	return true;
}
