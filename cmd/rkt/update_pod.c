/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/update_pod.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/plan_print.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"
#include "stage0/update.h"

struct job {
	const struct update_opts *o;
	const struct rkt *rkt;
	struct pod *pod;
	struct images im;
	struct pod_manifest pm; /* as committed */
	struct pod_image old_image, new_image;
	struct runtime_app app; /* with the new image */
	struct update_plan plan;
	struct transact_call call;
};

static void job_release(struct job *j)
{
	images_close(&j->im);
	pod_manifest_release(&j->pm);
	pod_image_release(&j->old_image);
	pod_image_release(&j->new_image);
	runtime_app_release(&j->app);
	update_plan_release(&j->plan);
}

static int find_app(struct job *j, struct error *err)
{
	const char *name = j->o->transact.app;
	const struct pod_manifest *pm = &j->pm;

	if (!name && j->o->image_name)
		return update_find_app_of(pm, j->o->image_name, &j->call.app,
					  err);
	if (!name && pm->n_apps != 1)
		return error_set(err, EINVAL,
				 "the pod has %zu apps: say which with "
				 "--app=NAME",
				 pm->n_apps);
	if (name && !pod_manifest_find_app(pm, name))
		return error_set(err, ENOENT, "the pod has no app %s", name);
	j->call.app = name ? name : pm->apps[0].name;
	return 0;
}

/* What runs. */
static int load_old(struct job *j, struct error *err)
{
	int dir = j->pod->fd;
	int r = pod_manifest_load_committed(dir, &j->pm, err);

	if (r == 0)
		r = find_app(j, err);
	if (r == 0)
		r = generation_current(dir, j->call.app, &j->call.from, err);
	if (r == 0)
		r = generation_image_load(dir, j->call.app, j->call.from,
					  &j->old_image, err);
	return r;
}

static int choose_stored(struct job *j, char ret[IMAGE_ID_LEN + 1],
			 struct error *err)
{
	const struct image_manifest *im = &j->old_image.manifest;
	const struct update_wanted wanted = {
		.name = im->name,
		.labels = &im->labels,
		.version = name_values_get(&im->labels, "version"),
		.to = j->o->to,
		.may_be_unsigned = j->rkt->insecure & INSECURE_IMAGE,
	};
	cleanup_image_rows struct image_rows images = IMAGE_ROWS_INIT;
	int r = imagestore_list(j->im.store, &images, err);

	if (r == 0)
		r = update_choose(&images, &wanted, err);
	if (r < 0)
		return r;
	(void)snprintf(ret, IMAGE_ID_LEN + 1, "%s", images.v[r].id);
	return 0;
}

/* Its bytes are in the store after this, and its tree unless it is only
 * planned. */
static int load_new(struct job *j, struct error *err)
{
	const char *arg = j->o->image;
	char chosen[IMAGE_ID_LEN + 1];
	struct image_id id;
	int r = 0;

	j->im.fetcher.with_hash = true;
	j->im.fetcher.render = !j->o->plan;
	if (!arg) {
		r = choose_stored(j, chosen, err);
		arg = chosen;
	}
	if (r == 0)
		r = image_fetch(&j->im.fetcher, arg, j->o->signature, &id, err);
	if (r == 0)
		r = pod_image_load(j->im.store, &id, &j->new_image, err);
	return r;
}

static void make_plan(struct job *j, const char *not_updatable)
{
	cleanup_image_row struct image_row old_row = {0}, new_row = {0};
	struct error err = ERROR_INIT;
	struct update_facts facts = {
		.pod = &j->pm,
		.app = j->call.app,
		.from = j->call.from,
		.old_image = &j->old_image,
		.new_image = &j->new_image,
		.not_updatable = not_updatable,
		.rules = j->o->rules,
		.strategy = j->o->transact.strategy,
		.tiers = STAGE1_UPDATE_TIERS,
	};

	if (imagestore_get(j->im.store, &j->old_image.id, &old_row, NULL) == 0)
		facts.old_signer = old_row.signer;
	if (imagestore_get(j->im.store, &j->new_image.id, &new_row, NULL) == 0)
		facts.new_signer = new_row.signer;
	if (update_make_app(j->pod->fd, &j->pm, j->call.app, &j->new_image,
			    &j->app, &err) == 0)
		facts.new_app = &j->app;
	else
		facts.cannot = error_innermost(&err);
	if (!not_updatable &&
	    update_was_started_with(j->pod->fd, "--interactive"))
		facts.not_updatable = "an interactive pod cannot be updated";
	facts.has_all_caps = update_was_started_with(
		j->pod->fd, "--disable-capabilities-restriction");
	update_plan_make(&facts, &j->plan);
}

/* Writes the next generation; its number is j->call.to. */
static int stage(struct job *j, struct error *err)
{
	const char *app = j->call.app;
	cleanup_fd int tree = -EBADF;
	int dir = j->pod->fd;
	unsigned int n = 0;
	int r = update_remove_stale(dir, app, err);

	if (r == 0)
		r = update_next_number(dir, app, &n, err);
	if (r == 0 && generation_is_copy(dir, app, j->call.from))
		r = treestore_open(&j->im.trees, &j->new_image.id, &tree, err);
	if (r < 0)
		return r;
	r = generation_write(dir, n, &j->plan.next, &j->new_image, tree, err);
	if (r < 0)
		(void)generation_remove(dir, app, n, NULL);
	else
		j->call.to = n;
	return r;
}

/* It is committed: what stays too long is no failure, and the next one
 * removes it. */
static void collect(const struct job *j)
{
	struct error err = ERROR_INIT;

	if (update_collect(j->pod->fd, j->call.app, (unsigned int)j->o->keep,
			   &err) < 0)
		log_failure(&err, "remove earlier generations");
}

static int show_plan(const struct job *j)
{
	enum output_format format = j->o->transact.format;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	if (format == FORMAT_TABLE)
		plan_format(&j->plan, &out);
	else
		plan_write(&j->plan, j->pod->uuid, format_style(format), &out);
	(void)print_all(&out);
	return j->plan.refusals.n && !j->plan.is_same ? RKT_EXIT_REFUSED : 0;
}

static int refuse(const struct job *j)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < j->plan.refusals.n; i++)
		strbuf_addf(&text, "%s%s", i ? "; " : "",
			    j->plan.refusals.v[i]);
	return transact_end(&j->call, RKT_EXIT_REFUSED, text.buf);
}

/* Of --with: APP is the part before its '='. */
static int prepare_with(struct job *with, const struct job *j, const char *word,
			struct strv *apps, struct update_opts *o,
			struct error *err)
{
	int r;

	strv_pushf(apps, "%.*s", (int)strcspn(word, "="), word);
	*o = *j->o;
	o->transact.app = apps->v[apps->n - 1];
	o->image = strchr(word, '=') + 1;
	o->to = o->signature = NULL;
	with->o = o;
	with->rkt = j->rkt;
	with->pod = j->pod;
	with->call = j->call;
	r = images_open(j->rkt, IMAGESTORE_CREATE, &with->im, err);
	if (r == 0)
		r = load_old(with, err);
	if (r == 0)
		r = load_new(with, err);
	if (r < 0)
		return r;
	make_plan(with, NULL);
	if (with->plan.is_same)
		return error_set(err, EPERM, "app %s runs this image already",
				 o->transact.app);
	if (with->plan.refusals.n)
		return error_set(err, EPERM, "app %s: %s", o->transact.app,
				 with->plan.refusals.v[0]);
	return 0;
}

static int transact_staged(struct job *jobs, size_t n, struct error *err)
{
	struct transact_call *calls[POD_APPS_MAX] = {NULL};
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		calls[i] = &jobs[i].call;
		r = stage(&jobs[i], err);
		/* Not the tier: stage1 goes down a tier where it has to. */
		calls[i]->strategy = jobs[i].o->transact.strategy;
	}
	if (r == 0)
		r = transact_all(&jobs[0].im, calls, n, err);
	for (size_t i = 0; i < n; i++) {
		const struct transact_call *c = &jobs[i].call;

		if (r != 0 && !c->is_accepted && c->to)
			(void)generation_remove(c->pod->fd, c->app, c->to,
						NULL);
		if (c->is_committed)
			collect(&jobs[i]);
	}
	return r;
}

static int carry_out(struct job *j, struct error *err)
{
	const struct strv *words = &j->o->with;
	cleanup_free struct update_opts *opts = NULL;
	cleanup_strv struct strv apps = STRV_INIT;
	cleanup_free struct job *jobs = NULL;
	int r = 0;

	if (words->n >= POD_APPS_MAX)
		return error_set(err, E2BIG, "a pod has not so many apps");
	jobs = xcalloc(words->n + 1, sizeof(*jobs));
	opts = xcalloc(words->n + 1, sizeof(*opts));
	jobs[0] = *j;
	for (size_t i = 0; i < words->n && r == 0; i++)
		r = prepare_with(&jobs[i + 1], j, words->v[i], &apps, &opts[i],
				 err);
	if (r == -EPERM || r == -EBADMSG || r == -ENOENT)
		r = transact_end(&j->call, RKT_EXIT_REFUSED,
				 error_innermost(err));
	else if (r == 0)
		r = transact_staged(jobs, words->n + 1, err);
	for (size_t i = 1; i <= words->n; i++)
		job_release(&jobs[i]);
	return r;
}

/* NOT_UPDATABLE: why nothing can be done now, for a plan; NULL. */
static int work(struct job *j, const char *not_updatable, struct error *err)
{
	int r = images_open(j->rkt, IMAGESTORE_CREATE, &j->im, err);

	if (r == 0)
		r = load_old(j, err);
	if (r < 0)
		return r;
	r = load_new(j, err);
	if (r == -EALREADY)
		return transact_end(&j->call, 0, error_innermost(err));
	if (r == -EPERM || r == -EBADMSG || (r == -ENOENT && j->o->to))
		return transact_end(&j->call, RKT_EXIT_REFUSED,
				    error_innermost(err));
	if (r < 0)
		return r;
	make_plan(j, not_updatable);
	if (j->o->plan)
		return show_plan(j);
	if (j->plan.is_same)
		return transact_end(&j->call, 0,
				    "nothing to do: it runs this image "
				    "already");
	return j->plan.refusals.n ? refuse(j) : carry_out(j, err);
}

/* Nobody else may begin one meanwhile. */
static int work_locked(struct job *j, struct error *err)
{
	cleanup_fd int lock = transact_lock(j->pod, err);

	if (lock == -ESRCH)
		return transact_end(&j->call, RKT_EXIT_REFUSED,
				    error_innermost(err));
	return lock < 0 ? lock : work(j, NULL, err);
}

static int work_planned(struct job *j, struct error *err)
{
	struct error why = ERROR_INIT;
	int r = transact_check(j->pod, &why);

	return work(j, r < 0 ? error_innermost(&why) : NULL, err);
}

int update_pod(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct update_opts *o = call->opts;
	struct job j = {
		.o = o,
		.rkt = call->rkt,
		.pod = pod,
		.call = {.opts = &o->transact, .pod = pod, .keep = o->keep},
	};
	int r = o->plan ? work_planned(&j, err) : work_locked(&j, err);

	if (r < 0 && o->transact.format != FORMAT_TABLE)
		(void)transact_end(&j.call, RKT_EXIT_FAILURE,
				   error_innermost(err));
	job_release(&j);
	return r;
}
