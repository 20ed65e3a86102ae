/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "cmd/rkt/auto_update_work.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/rollback.h"
#include "cmd/rkt/transact.h"
#include "spec/history.h"
#include "stage0/pod.h"
#include "stage0/update.h"

/* --- judging ----------------------------------------------------------------
 */

static const struct auto_update_row *find_row(const struct auto_update_work *w,
					      const struct auto_update_app *a)
{
	return auto_update_find(&w->record, a->ra->name, a->current);
}

/* How many are to go back; that is noted before it is done, so that a kill
 * only puts it off. */
static int judge(struct auto_update_work *w, struct error *err)
{
	int n = 0, r = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct auto_update_facts facts =
			auto_update_facts(w, &w->v[i]);

		w->v[i].is_unwell = auto_update_judge(&w->record, &facts);
		n += w->v[i].is_unwell;
	}
	if (n && !w->run->opts->dry_run)
		r = auto_update_save_record(w, err);
	return r < 0 ? r : n;
}

/* --- going back -------------------------------------------------------------
 */

/* The exit code; TEXT is what was said. */
static int roll_back(struct auto_update_work *w, struct transact_report *report)
{
	struct rollback_opts opts = {.transact = w->run->opts->transact};
	struct cmd_call call = *w->run->call;
	struct error err = ERROR_INIT;
	int r;

	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].is_unwell)
			strv_push(&opts.transact.apps, w->v[i].ra->name);
	opts.transact.report = report;
	opts.transact.who = HISTORY_AUTO_UPDATE;
	opts.transact.canary = 0;
	opts.transact.canary_share = 0;
	call.opts = &opts;
	r = rollback_pod(&call, w->pod, &err);
	strv_release(&opts.transact.apps);
	if (r >= 0)
		return r;
	strbuf_addstr(&report->text, error_innermost(&err));
	return r == -EBUSY ? RKT_EXIT_REFUSED : RKT_EXIT_FAILURE;
}

/* WHY it was not well, CODE and TEXT what became of going back; what runs now
 * is loaded. */
static void end_one(struct auto_update_work *w, struct auto_update_app *a,
		    const char *from, const char *from_id, const char *why,
		    int code, const char *text)
{
	struct auto_update_result *r = auto_update_result(w, a);
	cleanup_free char *reason =
		code ? xasprintf("%s is not well: %s; it cannot go back: %s",
				 from, why, text)
		     : xasprintf("%s was not well: %s", from, why);

	free(r->from);
	free(r->from_id);
	free(r->to);
	free(r->to_id);
	r->from = xstrdup(from);
	r->from_id = xstrdup(from_id);
	r->to = code ? NULL : auto_update_version(a);
	r->to_id = code ? NULL : xstrdup(a->image.id.text);
	auto_update_end(r, code ? OUTCOME_FAILED : OUTCOME_FELL_BACK,
			code ? code : RKT_EXIT_ROLLED_BACK, reason);
}

/* The same of all that were to. */
static int end_unwell(struct auto_update_work *w, int code, const char *text,
		      struct error *err)
{
	for (size_t i = 0; i < w->n; i++) {
		struct auto_update_app *a = &w->v[i];
		cleanup_free char *from = NULL;
		cleanup_free char *from_id = NULL;
		const struct auto_update_row *row;
		int r;

		if (!a->is_unwell)
			continue;
		row = find_row(w, a);
		from = auto_update_version(a);
		from_id = xstrdup(a->image.id.text);
		r = auto_update_load_app(w, a, err);
		if (r < 0)
			return r;
		end_one(w, a, from ? from : "it", from_id,
			row && row->why ? row->why : "-", code, text);
	}
	return 0;
}

static void plan(struct auto_update_work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct auto_update_app *a = &w->v[i];
		cleanup_free char *reason = NULL;
		const struct auto_update_row *row = find_row(w, a);

		if (!a->is_unwell)
			continue;
		reason = xasprintf("it would go back from this version, which "
				   "is not well: %s",
				   row && row->why ? row->why : "-");
		auto_update_end(auto_update_result(w, a), OUTCOME_PLANNED, 0,
				reason);
	}
}

int auto_update_fall_back(struct auto_update_work *w, struct error *err)
{
	struct transact_report report = {.tier = UPDATE_AUTO};
	int64_t began = auto_update_now_ns();
	int r = judge(w, err), code;

	if (r > 0 && w->run->opts->dry_run) {
		plan(w);
		return 0;
	}
	if (r <= 0)
		return r;
	code = roll_back(w, &report);
	for (size_t i = 0; i < w->n; i++) {
		struct auto_update_result *result =
			auto_update_result(w, &w->v[i]);

		if (!w->v[i].is_unwell)
			continue;
		result->began = began;
		result->ended = auto_update_now_ns();
		result->tier = report.tier;
	}
	r = end_unwell(w, code, report.text.len ? report.text.buf : "", err);
	strbuf_release(&report.text);
	strbuf_release(&report.plans);
	return r < 0 ? r : auto_update_settle_all(w, err);
}

/* --- of a pod that has ended ------------------------------------------------
 */

static int go_back(struct auto_update_work *w, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < w->n && r == 0; i++) {
		const struct auto_update_row *row = find_row(w, &w->v[i]);

		if (w->v[i].is_unwell)
			r = update_go_back(w->pod->fd, w->v[i].ra->name,
					   HISTORY_AUTO_UPDATE,
					   row && row->why ? row->why : "-",
					   err);
	}
	return r;
}

/* How many went back, or are to. */
static int work_on_ended(struct auto_update_work *w, struct error *err)
{
	struct error why = ERROR_INIT;
	int r = auto_update_load_record(w, err), n = 0, code = 0;

	if (r == 0)
		r = auto_update_settle_all(w, err);
	if (r == 0)
		n = r = judge(w, err);
	if (r <= 0)
		return r;
	if (w->run->opts->dry_run) {
		plan(w);
		return n;
	}
	r = go_back(w, &why);
	code = r < 0 ? RKT_EXIT_FAILURE : 0;
	r = end_unwell(w, code, r < 0 ? error_innermost(&why) : "", err);
	if (r == 0)
		r = auto_update_settle_all(w, err);
	return r < 0 ? r : n;
}

static bool is_of_unwell(const struct auto_update_work *w, size_t result)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].result == result && w->v[i].is_unwell)
			return true;
	return false;
}

/* The pod is locked. */
static void look_at_ended(struct auto_update_work *w)
{
	struct auto_update_run *run = w->run;
	struct error err = ERROR_INIT;
	size_t before = run->results.n;
	int r;

	auto_update_find_apps(w);
	r = w->n ? work_on_ended(w, &err) : 0;
	if (r < 0) {
		auto_update_end(auto_update_result(w, &w->v[0]), OUTCOME_FAILED,
				RKT_EXIT_FAILURE, error_innermost(&err));
		w->v[0].is_unwell = true;
	}
	/* Of what did not end the pod there is nothing to say. */
	for (size_t i = run->results.n; i-- > before;)
		if (!is_of_unwell(w, i))
			auto_update_drop(run, i);
}

bool auto_update_ended_pod(struct auto_update_run *run, struct pod *pod)
{
	cleanup_auto_update_work struct auto_update_work *w =
		auto_update_work_new(run, pod);

	if (!run->opts->dry_run && pod_lock(pod, NULL) < 0)
		return false;
	look_at_ended(w);
	return true;
}

/* --- watching ---------------------------------------------------------------
 */

void auto_update_mark_trials(struct auto_update_work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct auto_update_facts facts =
			auto_update_facts(w, &w->v[i]);

		/* What cannot go back is said once. */
		auto_update_result(w, &w->v[i])->is_on_trial =
			!w->run->opts->dry_run && !w->v[i].is_unwell &&
			auto_update_find_trial(&w->record, &facts);
	}
}

/* How it is now: a result for each app, behind those there are. */
static void look_at_running(struct auto_update_run *run, struct pod *pod)
{
	cleanup_auto_update_work struct auto_update_work *w =
		auto_update_work_new(run, pod);
	struct error err = ERROR_INIT;
	int r;

	auto_update_find_apps(w);
	r = auto_update_load_record(w, &err);
	if (r == 0)
		r = auto_update_settle_all(w, &err);
	if (r == 0)
		r = auto_update_fall_back(w, &err);
	if (r == 0)
		auto_update_mark_trials(w);
	for (size_t i = 0; i < w->n && r < 0; i++)
		auto_update_end(auto_update_result(w, &w->v[i]), OUTCOME_FAILED,
				RKT_EXIT_FAILURE, error_innermost(&err));
}

/* What there is to say of it now instead of *OLD, which is on trial. */
static void take_over(struct auto_update_result *old,
		      struct auto_update_result *now)
{
	struct auto_update_result was = *old;

	old->is_on_trial = now->is_on_trial;
	if (now->outcome != OUTCOME_FELL_BACK && now->outcome != OUTCOME_FAILED)
		return;
	*old = *now;
	*now = was;
}

void auto_update_watch_pod(struct auto_update_run *run, struct pod *pod)
{
	struct auto_update_results *rs = &run->results;
	size_t before = rs->n;

	if (pod_state(pod) == POD_STATE_RUNNING) {
		/* Whoever updates it now ends the trial. */
		if (transact_check(pod, NULL) < 0)
			return;
		look_at_running(run, pod);
	} else if (!auto_update_ended_pod(run, pod)) {
		return;
	}
	for (size_t i = 0; i < before; i++) {
		struct auto_update_result *old = &rs->v[i];
		size_t j = before;

		if (!old->is_on_trial || strcmp(old->pod, pod->uuid) != 0)
			continue;
		/* Without an app it is what is wrong with all of them. */
		while (j < rs->n && rs->v[j].app &&
		       strcmp(rs->v[j].app, old->app) != 0)
			j++;
		/* It has ended, and was well: there is nothing to be seen. */
		old->is_on_trial = false;
		if (j < rs->n)
			take_over(old, &rs->v[j]);
	}
	while (rs->n > before)
		auto_update_drop(run, rs->n - 1);
}
