/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/update_pod.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/plan_make.h"
#include "cmd/rkt/plan_print.h"
#include "cmd/rkt/transact_show.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"
#include "stage0/update.h"

#define HISTORY_MAX (16UL * 1024 * 1024)

/* One app of the pod. */
struct part {
	const char *app;   /* borrowed */
	const char *image; /* argument; NULL = from the store */
	unsigned int from;
	struct pod_image old_image, new_image;
	struct runtime_app next; /* with the new image */
	struct update_plan plan;
};

struct job {
	const struct update_opts *o;
	const struct rkt *rkt;
	struct pod *pod;
	struct images im;
	struct pod_manifest pm; /* as committed */
	struct part *parts;
	size_t n_parts;
	struct transact_call call;
};

static void part_release(struct part *p)
{
	pod_image_release(&p->old_image);
	pod_image_release(&p->new_image);
	runtime_app_release(&p->next);
	update_plan_release(&p->plan);
}

static void job_release(struct job *j)
{
	for (size_t i = 0; i < j->n_parts; i++)
		part_release(&j->parts[i]);
	free(j->parts);
	images_close(&j->im);
	pod_manifest_release(&j->pm);
}

/* --- which apps ------------------------------------------------------------
 */

/* What is printed and asked for is of those that are left. */
static void note_parts(struct job *j)
{
	j->call.n_parts = j->n_parts;
	for (size_t i = 0; i < j->n_parts; i++)
		j->call.parts[i] = (struct transact_part){
			.app = j->parts[i].app,
			.from = j->parts[i].from,
			.to = j->call.parts[i].to,
			.counts = UPDATE_COUNTS_UNKNOWN,
		};
}

static void drop_part(struct job *j, size_t i)
{
	part_release(&j->parts[i]);
	memmove(&j->parts[i], &j->parts[i + 1],
		(j->n_parts - i - 1) * sizeof(*j->parts));
	j->n_parts--;
	note_parts(j);
}

static void add_part(struct job *j, const char *app)
{
	const struct strv *images = &j->o->images;
	size_t i = j->n_parts;

	j->parts = xreallocarray(j->parts, i + 1, sizeof(*j->parts));
	j->parts[j->n_parts++] = (struct part){
		.app = app,
		.image = images->n == 0 ? NULL
					: images->v[images->n == 1 ? 0 : i],
		.old_image = POD_IMAGE_INIT,
		.new_image = POD_IMAGE_INIT,
		.next = RUNTIME_APP_INIT,
		.plan = UPDATE_PLAN_INIT,
	};
	note_parts(j);
}

static bool has_part(const struct job *j, const char *app)
{
	for (size_t i = 0; i < j->n_parts; i++)
		if (strcmp(j->parts[i].app, app) == 0)
			return true;
	return false;
}

static int add_named(struct job *j, struct error *err)
{
	const struct strv *apps = &j->o->transact.apps;

	for (size_t i = 0; i < apps->n; i++) {
		if (!pod_manifest_find_app(&j->pm, apps->v[i]))
			return error_set(err, ENOENT, "the pod has no app %s",
					 apps->v[i]);
		if (has_part(j, apps->v[i]))
			return error_set(err, EINVAL, "--app=%s is given twice",
					 apps->v[i]);
		add_part(j, apps->v[i]);
	}
	return 0;
}

/* Those of --app; those of the image's name; all, where each finds its image
 * in the store; the only one. */
static int choose_apps(struct job *j, struct error *err)
{
	const char *image_name = j->o->image_name;
	const struct pod_manifest *pm = &j->pm;

	if (j->o->transact.apps.n)
		return add_named(j, err);
	if (!image_name && j->o->images.n && pm->n_apps != 1)
		return error_set(err, EINVAL,
				 "the pod has %zu apps: say which with "
				 "--app=NAME",
				 pm->n_apps);
	for (size_t i = 0; i < pm->n_apps; i++)
		if (!image_name ||
		    (pm->apps[i].image.name &&
		     strcmp(pm->apps[i].image.name, image_name) == 0))
			add_part(j, pm->apps[i].name);
	return 0;
}

/* --- which images ----------------------------------------------------------
 */

static int choose_stored(struct job *j, const struct part *p,
			 char ret[IMAGE_ID_LEN + 1], struct error *err)
{
	const struct image_manifest *im = &p->old_image.manifest;
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	struct update_wanted wanted = {
		.app = p->app,
		.id = p->old_image.id.text,
		.name = im->name,
		.labels = &im->labels,
		.version = name_values_get(&im->labels, "version"),
		.to = j->o->to,
		.may_be_unsigned = j->rkt->insecure & INSECURE_IMAGE,
	};
	cleanup_image_rows struct image_rows images = IMAGE_ROWS_INIT;
	int r = imagestore_list(j->im.store, im->name, &images, err);

	if (read_file_at(j->pod->fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			 NULL) == 0)
		wanted.history = history.buf;
	if (r == 0)
		r = update_choose(&images, &wanted, err);
	if (r < 0)
		return r;
	(void)snprintf(ret, IMAGE_ID_LEN + 1, "%s", images.v[r].id);
	return 0;
}

/* Its bytes are in the store after this, and its tree unless it is only
 * planned. */
static int load_new(struct job *j, struct part *p, struct error *err)
{
	const char *arg = p->image;
	char chosen[IMAGE_ID_LEN + 1];
	struct image_id id;
	int r = 0;

	j->im.fetcher.with_hash = true;
	j->im.fetcher.render = !j->o->plan;
	if (!arg) {
		r = choose_stored(j, p, chosen, err);
		arg = chosen;
	}
	if (r == 0)
		r = image_fetch(&j->im.fetcher, arg, j->o->signature, &id, err);
	if (r == 0)
		r = pod_image_load(j->im.store, &id, &p->new_image, err);
	return r;
}

static int load_old(struct job *j, struct part *p, struct error *err)
{
	int r = generation_current(j->pod->fd, p->app, &p->from, err);

	if (r == 0)
		r = generation_image_load(j->pod->fd, p->app, p->from,
					  &p->old_image, err);
	note_parts(j);
	return r;
}

static bool is_refusal(const struct job *j, int r)
{
	return r == -EPERM || r == -EBADMSG || (r == -ENOENT && j->o->to);
}

/*
 * The images of all parts; those that have nothing higher are dropped, with
 * the reason in WHY.  *RET is the exit code of a refusal, -1 otherwise.
 */
static int load_images(struct job *j, struct error *why, int *ret,
		       struct error *err)
{
	size_t i = 0;

	*ret = -1;
	while (i < j->n_parts) {
		int r = load_old(j, &j->parts[i], err);

		if (r < 0)
			return r;
		r = load_new(j, &j->parts[i], err);
		if (is_refusal(j, r)) {
			*ret = transact_end(&j->call, RKT_EXIT_REFUSED,
					    error_innermost(err));
			return 0;
		}
		if (r == -EALREADY) {
			*why = *err;
			drop_part(j, i);
			continue;
		}
		if (r < 0)
			return r;
		i++;
	}
	return 0;
}

/* --- planning --------------------------------------------------------------
 */

static void make_plan(struct job *j, struct part *p, const char *not_updatable)
{
	struct error err = ERROR_INIT;
	struct plan_request request = {
		.store = j->im.store,
		.pod = j->pod,
		.pm = &j->pm,
		.app = p->app,
		.from = p->from,
		.old_image = &p->old_image,
		.new_image = &p->new_image,
		.not_updatable = not_updatable,
		.rules = j->o->rules,
		.strategy = j->o->transact.strategy,
	};

	if (update_make_app(j->pod->fd, &j->pm, p->app, &p->new_image, &p->next,
			    &err) == 0)
		request.new_app = &p->next;
	else
		request.cannot = error_innermost(&err);
	plan_make(&request, &p->plan);
}

static void add_refusals(const struct job *j, struct strbuf *out)
{
	for (size_t i = 0; i < j->n_parts; i++)
		plan_add_refusals(&j->parts[i].plan, j->n_parts > 1, out);
}

/* For who prints himself.  Lines are for people: they are printed. */
static void report_plan(const struct job *j, const struct update_plan *plan)
{
	struct transact_report *report = j->o->transact.report;

	report->tier = plan->tier;
	if (j->o->transact.format == FORMAT_TABLE) {
		(void)plan_show(plan, j->pod->uuid, FORMAT_TABLE);
		return;
	}
	if (report->plans.len)
		strbuf_addch(&report->plans, ',');
	plan_write(plan, j->pod->uuid, j->o->transact.format, &report->plans);
}

static int report_plans(const struct job *j)
{
	struct transact_report *report = j->o->transact.report;

	for (size_t i = 0; i < j->n_parts; i++)
		report_plan(j, &j->parts[i].plan);
	add_refusals(j, &report->text);
	return report->text.len ? RKT_EXIT_REFUSED : 0;
}

static int show_plans(const struct job *j)
{
	int code = 0;

	for (size_t i = 0; i < j->n_parts; i++)
		if (plan_show(&j->parts[i].plan, j->pod->uuid,
			      j->o->transact.format))
			code = RKT_EXIT_REFUSED;
	return code;
}

/* --- doing -----------------------------------------------------------------
 */

/* Writes the next generation; its number goes into the call. */
static int stage(struct job *j, size_t i, struct error *err)
{
	const struct part *p = &j->parts[i];
	cleanup_fd int tree = -EBADF;
	int dir = j->pod->fd;
	unsigned int n = 0;
	int r = update_remove_stale(dir, p->app, err);

	if (r == 0)
		r = update_next_number(dir, p->app, &n, err);
	if (r == 0 && generation_is_copy(dir, p->app, p->from))
		r = treestore_open(&j->im.trees, &p->new_image.id, &tree, err);
	if (r < 0)
		return r;
	r = generation_write(dir, n, &p->plan.next, &p->new_image, tree, err);
	if (r < 0)
		(void)generation_remove(dir, p->app, n, NULL);
	else
		j->call.parts[i].to = n;
	return r;
}

static void remove_staged(const struct job *j)
{
	for (size_t i = 0; i < j->n_parts; i++)
		if (j->call.parts[i].to)
			(void)generation_remove(j->pod->fd, j->parts[i].app,
						j->call.parts[i].to, NULL);
}

static int carry_out(struct job *j, struct error *err)
{
	int r = 0;

	if (j->o->keep >= 0)
		j->call.flags |= CONTROL_KEEP;
	for (size_t i = 0; i < j->n_parts && r == 0; i++)
		r = stage(j, i, err);
	/* Not the plan's tier: stage1 goes down a tier where it has to. */
	j->call.strategy = j->o->transact.strategy;
	if (r == 0)
		r = transact(&j->im, &j->call, err);
	if (r != 0 && !j->call.is_accepted)
		remove_staged(j);
	return r;
}

/* NOT_UPDATABLE: why nothing can be done now, for a plan; NULL. */
static int work(struct job *j, const char *not_updatable, struct error *err)
{
	cleanup_strbuf struct strbuf refusals = STRBUF_INIT;
	struct error why = ERROR_INIT;
	int code = -1;
	int r = images_open(j->rkt, IMAGESTORE_CREATE, &j->im, err);

	if (r == 0)
		r = pod_manifest_load_committed(j->pod->fd, &j->pm, err);
	if (r == 0)
		r = choose_apps(j, err);
	/* The old one serves while they are read and unpacked. */
	process_be_nice();
	if (r == 0)
		r = load_images(j, &why, &code, err);
	if (r < 0 || code >= 0)
		return r < 0 ? r : code;
	for (size_t i = 0; i < j->n_parts; i++)
		make_plan(j, &j->parts[i], not_updatable);
	if (j->o->plan && j->n_parts)
		return j->o->transact.report ? report_plans(j) : show_plans(j);
	for (size_t i = j->n_parts; i-- > 0;)
		if (j->parts[i].plan.is_same)
			drop_part(j, i);
	if (j->n_parts == 0)
		return transact_end(&j->call, 0,
				    why.code ? error_innermost(&why)
					     : "nothing to do: it runs this "
					       "image already");
	add_refusals(j, &refusals);
	return refusals.len
		       ? transact_end(&j->call, RKT_EXIT_REFUSED, refusals.buf)
		       : carry_out(j, err);
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
		.call = {.opts = &o->transact,
			 .pod = pod,
			 .keep = o->keep < 0 ? update_keep(pod->fd) : o->keep},
	};
	int r = o->plan ? work_planned(&j, err) : work_locked(&j, err);

	job_release(&j);
	return r;
}
