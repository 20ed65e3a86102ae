/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/io.h"
#include "cmd/rkt/auto_update_work.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/transact.h"
#include "cmd/rkt/update_pod.h"
#include "spec/history.h"
#include "spec/oci.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"
#include "stage0/prepare.h"
#include "stage0/update.h"

#define HISTORY_MAX (16UL * 1024 * 1024)
#define RECORD_MAX (1024UL * 1024)

/* --- memory -----------------------------------------------------------------
 */

static void one_release(struct auto_update_app *a)
{
	pod_image_release(&a->image);
	docker_ref_release(&a->ref);
	free(a->current);
	free(a->chosen);
	free(a->id);
	free(a->health);
}

struct auto_update_work *auto_update_work_new(struct auto_update_run *run,
					      struct pod *pod)
{
	struct auto_update_work *w = xcalloc(1, sizeof(*w));

	*w = (struct auto_update_work){
		.run = run,
		.pod = pod,
		.history = STRBUF_INIT,
		.record = AUTO_UPDATE_RECORD_INIT,
	};
	return w;
}

void auto_update_work_free(struct auto_update_work **work)
{
	struct auto_update_work *w = *work;

	for (size_t i = 0; i < w->n; i++)
		one_release(&w->v[i]);
	images_close(&w->im);
	pod_manifest_release(&w->pm);
	auto_update_record_release(&w->record);
	strbuf_release(&w->history);
	free(w);
}

struct auto_update_result *auto_update_result(const struct auto_update_work *w,
					      const struct auto_update_app *a)
{
	return &w->run->results.v[a->result];
}

void auto_update_end(struct auto_update_result *r,
		     enum auto_update_outcome outcome, int code,
		     const char *reason)
{
	char *text = reason && *reason ? xstrdup(reason) : NULL;

	free(r->reason);
	r->reason = text;
	r->outcome = outcome;
	r->code = code;
}

static void end_all(struct auto_update_work *w,
		    enum auto_update_outcome outcome, int code,
		    const char *reason)
{
	for (size_t i = 0; i < w->n; i++)
		if (!w->v[i].is_unwell)
			auto_update_end(auto_update_result(w, &w->v[i]),
					outcome, code, reason);
}

static struct auto_update_result *add_result(struct auto_update_work *w,
					     const char *app)
{
	struct auto_update_result *r = auto_update_add(w->run, w->pod->uuid);

	r->name = pod_name_get(w->pod);
	r->app = app ? xstrdup(app) : NULL;
	return r;
}

/* --- what is known ----------------------------------------------------------
 */

struct auto_update_facts auto_update_facts(const struct auto_update_work *w,
					   const struct auto_update_app *a)
{
	const struct strbuf *boot = &w->run->boot;

	return (struct auto_update_facts){
		.app = a->ra->name,
		.current = a->current,
		.history = w->history.len ? w->history.buf : "",
		.boot = boot->len ? boot->buf : NULL,
		.now = time(NULL),
		.success_after = w->run->success_after,
		.health = a->health,
		.restarts = a->restarts,
		.has_failed = a->has_failed,
		.exit_code = a->exit_code,
	};
}

static void load_history(struct auto_update_work *w)
{
	strbuf_setlen(&w->history, 0);
	(void)read_file_at(w->pod->fd, POD_HISTORY_FILE, HISTORY_MAX,
			   &w->history, NULL);
}

int auto_update_load_record(struct auto_update_work *w, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(w->pod->fd, POD_AUTO_UPDATE_FILE, RECORD_MAX,
			     &text, err);

	if (r == 0)
		r = auto_update_record_parse(text.buf, text.len, &w->record,
					     err);
	else if (r == -ENOENT)
		return 0;
	return r < 0 ? error_prefix(err, r, "what was tried before") : 0;
}

int auto_update_save_record(struct auto_update_work *w, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	auto_update_record_write(&w->record, &text);
	return atomic_file_write(w->pod->fd, POD_AUTO_UPDATE_FILE, 0640,
				 text.buf, text.len, err);
}

int auto_update_load_app(struct auto_update_work *w, struct auto_update_app *a,
			 struct error *err)
{
	unsigned int n = 0;
	int r = generation_current(w->pod->fd, a->ra->name, &n, err);

	pod_image_release(&a->image);
	a->image = (struct pod_image)POD_IMAGE_INIT;
	docker_ref_release(&a->ref);
	a->ref = (struct docker_ref)DOCKER_REF_INIT;
	if (r == 0)
		r = generation_image_load(w->pod->fd, a->ra->name, n, &a->image,
					  err);
	if (r < 0)
		return r;
	a->has_ref = oci_image_ref(&a->image.manifest, &a->ref);
	free(a->current);
	a->current = a->has_ref ? xstrdup(a->image.id.text)
				: update_image_label(&a->image.manifest);
	return 0;
}

char *auto_update_version(const struct auto_update_app *a)
{
	const char *version =
		name_values_get(&a->image.manifest.labels, "version");

	if (a->has_ref && a->ref.tag)
		return auto_update_tag_text(a->ref.tag, a->image.id.text);
	return version ? xstrdup(version) : NULL;
}

/* How the apps are, as rkt status says it. */
static int load_state(struct auto_update_work *w, struct error *err)
{
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	int r = pod_info_load(w->pod, &info, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < w->n; i++) {
		struct auto_update_app *a = &w->v[i];

		for (size_t j = 0; j < info.manifest.n_apps; j++) {
			struct app_info *app = &info.apps[j];

			if (strcmp(app->name, a->ra->name) != 0)
				continue;
			free(a->health);
			a->health = TAKE_PTR(app->health);
			a->restarts = app->restarts;
			a->has_failed = app->has_failed;
			a->exit_code = app->failed_code;
		}
	}
	return 0;
}

int auto_update_settle_all(struct auto_update_work *w, struct error *err)
{
	bool changed = false;
	int r = load_state(w, err);

	if (r < 0)
		return r;
	load_history(w);
	for (size_t i = 0; i < w->n; i++) {
		const struct auto_update_facts facts =
			auto_update_facts(w, &w->v[i]);

		changed |= auto_update_settle(&w->record, &facts);
	}
	return changed && !w->run->opts->dry_run
		       ? auto_update_save_record(w, err)
		       : 0;
}

/* --- which apps -------------------------------------------------------------
 */

static int find_mode(const struct auto_update_work *w,
		     const struct auto_update_app *a,
		     enum auto_update_mode *ret, struct error *err)
{
	const struct name_values *const lists[] = {
		&a->ra->annotations,
		&a->ra->app.user_annotations,
		&a->ra->app.user_labels,
		&w->pm.annotations,
		&w->pm.user_annotations,
		&w->pm.user_labels,
		&a->image.manifest.annotations,
	};

	return auto_update_mode_make(lists, sizeof(lists) / sizeof(*lists), ret,
				     err);
}

/* A result for each labelled app; those that may go on stay in W. */
static void find_app(struct auto_update_work *w, const struct runtime_app *ra)
{
	struct auto_update_app *a = &w->v[w->n];
	struct auto_update_result *result = NULL;
	enum auto_update_mode mode = AUTO_UPDATE_NO;
	struct error err = ERROR_INIT;
	int r;

	*a = (struct auto_update_app){.ra = ra, .image = POD_IMAGE_INIT};
	r = auto_update_load_app(w, a, &err);
	if (r == 0)
		r = find_mode(w, a, &mode, &err);
	if (r < 0 || mode != AUTO_UPDATE_NO) {
		result = add_result(w, ra->name);
		result->mode = mode;
		a->result = w->run->results.n - 1;
	}
	if (r < 0)
		auto_update_end(
			result, r == -EINVAL ? OUTCOME_REFUSED : OUTCOME_FAILED,
			r == -EINVAL ? RKT_EXIT_REFUSED : RKT_EXIT_FAILURE,
			error_innermost(&err));
	if (r < 0 || mode == AUTO_UPDATE_NO) {
		one_release(a);
		return;
	}
	result->image = xstrdup(a->image.manifest.name);
	result->from = auto_update_version(a);
	result->from_id = xstrdup(a->image.id.text);
	w->n++;
}

void auto_update_find_apps(struct auto_update_work *w)
{
	struct error err = ERROR_INIT;

	if (pod_manifest_load_committed(w->pod->fd, &w->pm, &err) < 0) {
		auto_update_end(add_result(w, NULL), OUTCOME_FAILED,
				RKT_EXIT_FAILURE, error_innermost(&err));
		return;
	}
	for (size_t i = 0; i < w->pm.n_apps && i < POD_APPS_MAX; i++)
		find_app(w, &w->pm.apps[i]);
}

/* --- the update -------------------------------------------------------------
 */

int64_t auto_update_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* Before anything is done: what takes the host down is to be known after. */
static int note_tries(struct auto_update_work *w, struct error *err)
{
	size_t n = 0;
	int r;

	for (size_t i = 0; i < w->n; i++) {
		const struct auto_update_facts facts =
			auto_update_facts(w, &w->v[i]);

		if (!w->v[i].chosen)
			continue;
		n++;
		if (!w->run->opts->dry_run)
			auto_update_begin(&w->record, &facts, w->v[i].chosen);
	}
	if (n == 0 || w->run->opts->dry_run)
		return n > 0;
	r = auto_update_save_record(w, err);
	return r < 0 ? r : 1;
}

static enum auto_update_outcome outcome_of(const struct auto_update_work *w,
					   int code,
					   const struct transact_report *report)
{
	switch (code) {
	case 0:
		return w->run->opts->dry_run ? OUTCOME_PLANNED
		       : report->is_done     ? OUTCOME_UPDATED
					     : OUTCOME_CURRENT;
	case RKT_EXIT_REFUSED:
		return OUTCOME_REFUSED;
	case RKT_EXIT_ROLLED_BACK:
		return OUTCOME_ROLLED_BACK;
	default:
		return OUTCOME_FAILED;
	}
}

/* CODE is rkt's exit code. */
static void end_tries(struct auto_update_work *w, int code,
		      const struct transact_report *report, int64_t began)
{
	for (size_t i = 0; i < w->n; i++) {
		struct auto_update_result *r = auto_update_result(w, &w->v[i]);

		if (!w->v[i].chosen)
			continue;
		r->began = began;
		r->ended = auto_update_now_ns();
		r->tier = report->tier;
		if (report->plans.len)
			r->plan = xasprintf("[%s]", report->plans.buf);
		auto_update_end(r, outcome_of(w, code, report), code,
				code ? report->text.buf : NULL);
	}
}

/* The apps go together, as with rkt update. */
static void try(struct auto_update_work *w)
{
	const struct auto_update_opts *o = w->run->opts;
	struct transact_report report = {.tier = UPDATE_AUTO};
	struct update_opts opts = {
		.transact = o->transact,
		.keep = -1,
		.plan = o->dry_run,
	};
	struct cmd_call call = *w->run->call;
	struct error err = ERROR_INIT;
	int64_t began = auto_update_now_ns();
	int r;

	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].chosen) {
			strv_push(&opts.transact.apps, w->v[i].ra->name);
			strv_push(&opts.images, w->v[i].id);
		}
	opts.transact.report = &report;
	opts.transact.who = HISTORY_AUTO_UPDATE;
	call.opts = &opts;
	r = update_pod(&call, w->pod, &err);
	if (r < 0)
		strbuf_addstr(&report.text, error_innermost(&err));
	if (r < 0)
		r = r == -EBUSY ? RKT_EXIT_REFUSED : RKT_EXIT_FAILURE;
	end_tries(w, r, &report, began);
	strv_release(&opts.transact.apps);
	strv_release(&opts.images);
	strbuf_release(&report.text);
	strbuf_release(&report.plans);
}

/* What happened is in the pod now. */
static int note_ends(struct auto_update_work *w, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < w->n && r == 0; i++)
		r = auto_update_load_app(w, &w->v[i], err);
	return r < 0 ? r : auto_update_settle_all(w, err);
}

static int look_and_try(struct auto_update_work *w, struct error *err)
{
	int r = images_open(w->run->call->rkt, IMAGESTORE_CREATE, &w->im, err);

	if (r < 0)
		return r;
	auto_update_look(w);
	r = note_tries(w, err);
	/* An update opens the store itself. */
	images_close(&w->im);
	if (r <= 0)
		return r;
	try(w);
	return w->run->opts->dry_run ? 0 : note_ends(w, err);
}

static void end_held(struct auto_update_work *w)
{
	cleanup_strbuf struct strbuf reason = STRBUF_INIT;

	strbuf_addstr(&reason, "held since ");
	format_time_full(&reason, w->record.held * INT64_C(1000000000));
	strbuf_addstr(&reason, " (--release lifts that)");
	end_all(w, OUTCOME_HELD, 0, reason.buf);
}

/* What is not well goes back whatever
 * the time, and whether it is held. */
static int work(struct auto_update_work *w, struct error *err)
{
	int r = auto_update_load_record(w, err);

	if (r == 0)
		r = auto_update_settle_all(w, err);
	if (r == 0)
		r = auto_update_fall_back(w, err);
	if (r < 0)
		return r;
	if (w->record.held)
		end_held(w);
	else if (!w->run->is_open)
		end_all(w, OUTCOME_OUTSIDE_WINDOW, 0,
			"it is not the time for updates");
	else
		r = look_and_try(w, err);
	if (r == 0)
		auto_update_mark_trials(w);
	return r;
}

/* --- the pod ----------------------------------------------------------------
 */

static void want_apps(struct auto_update_work *w, size_t before)
{
	if (w->run->results.n == before)
		auto_update_end(add_result(w, NULL), OUTCOME_REFUSED,
				RKT_EXIT_REFUSED,
				"none of its apps has " AUTO_UPDATE_LABEL
				"=registry or =local");
}

void auto_update_pod(struct auto_update_run *run, struct pod *pod,
		     bool is_asked)
{
	cleanup_auto_update_work struct auto_update_work *w =
		auto_update_work_new(run, pod);
	size_t before = run->results.n;
	struct error err = ERROR_INIT;
	int r;

	auto_update_find_apps(w);
	if (is_asked)
		want_apps(w, before);
	if (w->n == 0)
		return;
	r = transact_check(pod, &err);
	if (r == -EBUSY || r == -ESRCH) {
		end_all(w, OUTCOME_REFUSED, RKT_EXIT_REFUSED,
			error_innermost(&err));
		return;
	}
	if (r == 0)
		r = work(w, &err);
	if (r < 0)
		end_all(w, OUTCOME_FAILED, RKT_EXIT_FAILURE,
			error_innermost(&err));
}

static int change_hold(struct auto_update_work *w, struct error *err)
{
	cleanup_strbuf struct strbuf now = STRBUF_INIT;
	int r = auto_update_load_record(w, err);

	if (r < 0)
		return r;
	history_now(&now);
	if (!w->run->opts->hold)
		auto_update_release(&w->record, now.buf);
	else if (!auto_update_hold(&w->record, time(NULL)))
		return 0;
	return auto_update_save_record(w, err);
}

void auto_update_hold_pod(struct auto_update_run *run, struct pod *pod)
{
	cleanup_auto_update_work struct auto_update_work *w =
		auto_update_work_new(run, pod);
	size_t before = run->results.n;
	struct error err = ERROR_INIT;

	auto_update_find_apps(w);
	want_apps(w, before);
	if (w->n == 0)
		return;
	if (change_hold(w, &err) < 0)
		end_all(w, OUTCOME_FAILED, RKT_EXIT_FAILURE,
			error_innermost(&err));
	else if (run->opts->hold)
		end_held(w);
	else
		end_all(w, OUTCOME_RELEASED, 0, NULL);
}
