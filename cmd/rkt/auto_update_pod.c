/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "cmd/rkt/auto_update.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/transact.h"
#include "cmd/rkt/update_pod.h"
#include "spec/image_ref.h"
#include "spec/pod_manifest.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

#define HISTORY_MAX (16UL * 1024 * 1024)
#define RECORD_MAX (1024UL * 1024)

/* One labelled app. */
struct one {
	size_t result; /* index: results move */
	const struct runtime_app *ra;
	struct pod_image image; /* that runs */
	char *current;		/* NAME:VERSION */
	char *chosen;		/* the same of what is to be tried; NULL = is
				 * not */
	char *id;
};

struct work {
	struct auto_update_run *run;
	struct pod *pod;
	struct pod_manifest pm; /* as committed */
	struct strbuf history;
	struct auto_update_record record;
	struct images im;
	struct one v[POD_APPS_MAX];
	size_t n;
};

static void work_release(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		pod_image_release(&w->v[i].image);
		free(w->v[i].current);
		free(w->v[i].chosen);
		free(w->v[i].id);
	}
	images_close(&w->im);
	pod_manifest_release(&w->pm);
	auto_update_record_release(&w->record);
	strbuf_release(&w->history);
}

static struct auto_update_result *result_of(const struct work *w,
					    const struct one *one)
{
	return &w->run->results.v[one->result];
}

static void end(struct auto_update_result *r, enum auto_update_outcome outcome,
		int code, const char *reason)
{
	r->outcome = outcome;
	r->code = code;
	free(r->reason);
	r->reason = reason && *reason ? xstrdup(reason) : NULL;
}

static void end_all(struct work *w, enum auto_update_outcome outcome, int code,
		    const char *reason)
{
	for (size_t i = 0; i < w->n; i++)
		end(result_of(w, &w->v[i]), outcome, code, reason);
}

static struct auto_update_result *add_result(struct work *w, const char *app)
{
	struct auto_update_result *r = auto_update_add(w->run, w->pod->uuid);

	r->name = pod_name_get(w->pod);
	r->app = app ? xstrdup(app) : NULL;
	return r;
}

static char *image_text(const struct pod_image *image)
{
	const char *version =
		name_values_get(&image->manifest.labels, "version");

	return xasprintf("%s%s%s", image->manifest.name, version ? ":" : "",
			 version ? version : "");
}

/* --- what is known ----------------------------------------------------------
 */

static struct auto_update_facts facts_of(const struct work *w,
					 const struct one *one)
{
	const struct strbuf *boot = &w->run->boot;

	return (struct auto_update_facts){
		.app = one->ra->name,
		.current = one->current,
		.history = w->history.len ? w->history.buf : "",
		.boot = boot->len ? boot->buf : NULL,
		.now = time(NULL),
		.success_after = w->run->success_after,
	};
}

static void load_history(struct work *w)
{
	strbuf_setlen(&w->history, 0);
	(void)read_file_at(w->pod->fd, POD_HISTORY_FILE, HISTORY_MAX,
			   &w->history, NULL);
}

static int load_record(struct work *w, struct error *err)
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

static int save_record(struct work *w, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	auto_update_record_write(&w->record, &text);
	return atomic_file_write(w->pod->fd, POD_AUTO_UPDATE_FILE, 0640,
				 text.buf, text.len, err);
}

static int load_app(struct work *w, struct one *one, struct error *err)
{
	unsigned int n = 0;
	int r = generation_current(w->pod->fd, one->ra->name, &n, err);

	pod_image_release(&one->image);
	one->image = (struct pod_image)POD_IMAGE_INIT;
	if (r == 0)
		r = generation_image_load(w->pod->fd, one->ra->name, n,
					  &one->image, err);
	if (r < 0)
		return r;
	free(one->current);
	one->current = image_text(&one->image);
	return 0;
}

/* Takes note of what has become of tries, whoever made them end. */
static int settle(struct work *w, struct error *err)
{
	bool changed = false;

	load_history(w);
	for (size_t i = 0; i < w->n; i++) {
		const struct auto_update_facts facts = facts_of(w, &w->v[i]);

		changed |= auto_update_settle(&w->record, &facts);
	}
	return changed && !w->run->opts->dry_run ? save_record(w, err) : 0;
}

/* --- which apps -------------------------------------------------------------
 */

static int find_mode(const struct work *w, const struct one *one,
		     enum auto_update_mode *ret, struct error *err)
{
	const struct name_values *const lists[] = {
		&one->ra->annotations,
		&one->ra->app.user_annotations,
		&one->ra->app.user_labels,
		&w->pm.annotations,
		&w->pm.user_annotations,
		&w->pm.user_labels,
		&one->image.manifest.annotations,
	};

	return auto_update_mode_make(lists, sizeof(lists) / sizeof(*lists), ret,
				     err);
}

/* A result for each labelled app; those that may go on stay in W. */
static void find_app(struct work *w, const struct runtime_app *ra)
{
	struct one *one = &w->v[w->n];
	struct auto_update_result *result = NULL;
	enum auto_update_mode mode = AUTO_UPDATE_NO;
	struct error err = ERROR_INIT;
	const char *version;
	int r;

	*one = (struct one){.ra = ra, .image = POD_IMAGE_INIT};
	r = load_app(w, one, &err);
	if (r == 0)
		r = find_mode(w, one, &mode, &err);
	if (r < 0 || mode != AUTO_UPDATE_NO) {
		result = add_result(w, ra->name);
		result->mode = mode;
		one->result = w->run->results.n - 1;
	}
	if (r < 0)
		end(result, r == -EINVAL ? OUTCOME_REFUSED : OUTCOME_FAILED,
		    r == -EINVAL ? RKT_EXIT_REFUSED : RKT_EXIT_FAILURE,
		    error_innermost(&err));
	if (r < 0 || mode == AUTO_UPDATE_NO) {
		pod_image_release(&one->image);
		free(one->current);
		return;
	}
	version = name_values_get(&one->image.manifest.labels, "version");
	result->image = xstrdup(one->image.manifest.name);
	result->from = version ? xstrdup(version) : NULL;
	w->n++;
}

/* --- which images -----------------------------------------------------------
 */

/* The image without its version, with all that is chosen besides. */
static void format_name(const struct pod_image *image, struct strbuf *out)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	const struct name_values *labels = &image->manifest.labels;

	ref.name = xstrdup(image->manifest.name);
	for (size_t i = 0; i < labels->n; i++)
		if (strcmp(labels->v[i].name, "version") != 0)
			name_values_add(&ref.labels, labels->v[i].name,
					labels->v[i].value);
	image_ref_format(&ref, out);
}

/* Asks for a name but once in a run. */
static int fetch(struct work *w, const char *name, struct error *err)
{
	struct auto_update_run *run = w->run;
	struct error why = ERROR_INIT;
	struct image_id id;
	size_t i = 0;

	while (i < run->fetched.n && strcmp(run->fetched.v[i], name) != 0)
		i++;
	if (i == run->fetched.n) {
		run->fetch_codes = xreallocarray(run->fetch_codes, i + 1,
						 sizeof(*run->fetch_codes));
		w->im.fetcher.policy = PULL_UPDATE;
		run->fetch_codes[i] =
			image_fetch(&w->im.fetcher, name, NULL, &id, &why);
		strv_push(&run->fetched, name);
		strv_push(&run->fetch_said,
			  run->fetch_codes[i] < 0 ? error_innermost(&why) : "");
	}
	if (run->fetch_codes[i] >= 0)
		return 0;
	return error_set(err, -run->fetch_codes[i], "%s", run->fetch_said.v[i]);
}

/* The image is said, if one is chosen. */
static int choose(const struct work *w, const struct one *one,
		  const struct image_rows *images, const struct strv *skip,
		  bool may_be_unsigned, struct error *err)
{
	const struct image_manifest *m = &one->image.manifest;
	const struct update_wanted wanted = {
		.app = one->ra->name,
		.skip = skip,
		.id = one->image.id.text,
		.name = m->name,
		.labels = &m->labels,
		.version = name_values_get(&m->labels, "version"),
		.may_be_unsigned = may_be_unsigned ||
				   w->run->call->rkt->insecure & INSECURE_IMAGE,
	};

	return update_choose(images, &wanted, err);
}

static void set_to(struct auto_update_result *r, const struct image_row *row)
{
	free(r->to);
	r->to = xstrdup(row->version);
}

/* None was chosen: is that because of what is held, or not signed? */
static void explain(struct work *w, struct one *one,
		    const struct image_rows *images, const struct strv *held,
		    const struct strv *why, const char *text)
{
	struct auto_update_result *result = result_of(w, one);
	int i = choose(w, one, images, NULL, false, NULL);

	if (i >= 0) {
		cleanup_free char *image = xasprintf("%s:%s", images->v[i].name,
						     images->v[i].version);
		cleanup_free char *reason = NULL;
		size_t j = 0;

		while (j < held->n && strcmp(held->v[j], image) != 0)
			j++;
		reason = xasprintf("%s is held: %s (rkt update --to=%s tries "
				   "it again)",
				   images->v[i].version,
				   j < why->n ? why->v[j] : "it failed",
				   images->v[i].version);
		set_to(result, &images->v[i]);
		end(result, OUTCOME_HELD, 0, reason);
		return;
	}
	i = choose(w, one, images, NULL, true, NULL);
	if (i < 0) {
		end(result, OUTCOME_CURRENT, 0, NULL);
		return;
	}
	set_to(result, &images->v[i]);
	end(result, OUTCOME_REFUSED, RKT_EXIT_REFUSED, text);
}

static void take(struct work *w, struct one *one, const struct image_row *row)
{
	struct auto_update_result *result = result_of(w, one);
	cleanup_free char *image = xasprintf("%s:%s", row->name, row->version);

	set_to(result, row);
	if (!auto_update_is_in_stage(w->run->machine.len ? w->run->machine.buf
							 : "",
				     image, w->run->share)) {
		end(result, OUTCOME_NOT_IN_STAGE, 0,
		    "this machine is not among the percentage that gets it "
		    "now");
		return;
	}
	one->chosen = TAKE_PTR(image);
	one->id = xstrdup(row->id);
}

static int look(struct work *w, struct one *one, struct error *err)
{
	cleanup_image_rows struct image_rows images = IMAGE_ROWS_INIT;
	cleanup_strbuf struct strbuf name = STRBUF_INIT;
	cleanup_strv struct strv held = STRV_INIT;
	cleanup_strv struct strv why = STRV_INIT;
	const struct auto_update_facts facts = facts_of(w, one);
	int r = 0;

	format_name(&one->image, &name);
	if (result_of(w, one)->mode == AUTO_UPDATE_REGISTRY)
		r = fetch(w, name.buf, err);
	if (r == 0)
		r = imagestore_list(w->im.store, one->image.manifest.name,
				    &images, err);
	if (r < 0)
		return r;
	if (!w->run->opts->retry)
		auto_update_find_held(&w->record, &facts, w->run->tries, &held,
				      &why);
	r = choose(w, one, &images, &held, false, err);
	if (r == -EALREADY)
		explain(w, one, &images, &held, &why, error_innermost(err));
	else if (r >= 0)
		take(w, one, &images.v[r]);
	return r == -EALREADY || r >= 0 ? 0 : r;
}

static void look_all(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct error err = ERROR_INIT;
		int r = look(w, &w->v[i], &err);
		bool is_refused = r == -EPERM || r == -EBADMSG;

		if (r < 0)
			end(result_of(w, &w->v[i]),
			    is_refused ? OUTCOME_REFUSED : OUTCOME_FAILED,
			    is_refused ? RKT_EXIT_REFUSED : RKT_EXIT_FAILURE,
			    error_innermost(&err));
	}
}

/* --- the update -------------------------------------------------------------
 */

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* Before anything is done: what takes the host down is to be known after. */
static int note_tries(struct work *w, struct error *err)
{
	size_t n = 0;
	int r;

	for (size_t i = 0; i < w->n; i++) {
		const struct auto_update_facts facts = facts_of(w, &w->v[i]);

		if (!w->v[i].chosen)
			continue;
		n++;
		if (!w->run->opts->dry_run)
			auto_update_begin(&w->record, &facts, w->v[i].chosen);
	}
	if (n == 0 || w->run->opts->dry_run)
		return n > 0;
	r = save_record(w, err);
	return r < 0 ? r : 1;
}

static enum auto_update_outcome outcome_of(const struct work *w, int code,
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
static void end_tries(struct work *w, int code,
		      const struct transact_report *report, int64_t began)
{
	for (size_t i = 0; i < w->n; i++) {
		struct auto_update_result *r = result_of(w, &w->v[i]);

		if (!w->v[i].chosen)
			continue;
		r->began = began;
		r->ended = now_ns();
		r->tier = report->tier;
		if (report->plans.len)
			r->plan = xasprintf("[%s]", report->plans.buf);
		end(r, outcome_of(w, code, report), code,
		    code ? report->text.buf : NULL);
	}
}

/* The apps go together, as with rkt update. */
static void try(struct work *w)
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
	int64_t began = now_ns();
	int r;

	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].chosen) {
			strv_push(&opts.transact.apps, w->v[i].ra->name);
			strv_push(&opts.images, w->v[i].id);
		}
	opts.transact.report = &report;
	opts.transact.who = "auto-update";
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
static int note_ends(struct work *w, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < w->n && r == 0; i++)
		r = load_app(w, &w->v[i], err);
	return r < 0 ? r : settle(w, err);
}

static int work(struct work *w, struct error *err)
{
	int r = images_open(w->run->call->rkt, IMAGESTORE_CREATE, &w->im, err);

	if (r == 0)
		r = load_record(w, err);
	if (r == 0)
		r = settle(w, err);
	if (r < 0)
		return r;
	look_all(w);
	r = note_tries(w, err);
	/* An update opens the store itself. */
	images_close(&w->im);
	if (r <= 0)
		return r;
	try(w);
	return w->run->opts->dry_run ? 0 : note_ends(w, err);
}

/* --- the pod ----------------------------------------------------------------
 */

static void work_on_apps(struct work *w, bool is_asked)
{
	size_t before = w->run->results.n;
	struct error err = ERROR_INIT;
	int r;

	for (size_t i = 0; i < w->pm.n_apps && i < POD_APPS_MAX; i++)
		find_app(w, &w->pm.apps[i]);
	if (is_asked && w->run->results.n == before)
		end(add_result(w, NULL), OUTCOME_REFUSED, RKT_EXIT_REFUSED,
		    "none of its apps has " AUTO_UPDATE_LABEL
		    "=registry or =local");
	if (w->n == 0)
		return;
	if (!w->run->is_open) {
		end_all(w, OUTCOME_OUTSIDE_WINDOW, 0,
			"it is not the time for updates");
		return;
	}
	r = transact_check(w->pod, &err);
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

void auto_update_pod(struct auto_update_run *run, struct pod *pod,
		     bool is_asked)
{
	struct work *w = xcalloc(1, sizeof(*w));
	struct error err = ERROR_INIT;

	*w = (struct work){
		.run = run,
		.pod = pod,
		.history = STRBUF_INIT,
		.record = AUTO_UPDATE_RECORD_INIT,
	};
	if (pod_manifest_load_committed(pod->fd, &w->pm, &err) < 0)
		end(add_result(w, NULL), OUTCOME_FAILED, RKT_EXIT_FAILURE,
		    error_innermost(&err));
	else
		work_on_apps(w, is_asked);
	work_release(w);
	free(w);
}
