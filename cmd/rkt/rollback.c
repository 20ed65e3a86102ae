/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/rollback.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/plan_make.h"
#include "cmd/rkt/plan_print.h"
#include "cmd/rkt/pod_arg.h"
#include "cmd/rkt/transact.h"
#include "cmd/rkt/transact_show.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"
#include "stage0/update.h"

static const struct option_row rows[] = {
	{.name = "generation",
	 .kind = OPTION_INT,
	 .offset = offsetof(struct rollback_opts, generation),
	 .shown = "the one before",
	 .help = "number of the generation to go back to (rkt history)"},
	{.name = "plan",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct rollback_opts, plan),
	 .help = "only show what would be done, and what forbids it"},
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {transact_how_rows,
						     transact_rows, NULL};

static void init(void *opts)
{
	transact_init(&((struct rollback_opts *)opts)->transact);
}

static int find_target(const struct pod *pod, const struct rollback_opts *o,
		       struct transact_part *part, struct error *err)
{
	if (o->generation <= 0)
		return update_find_previous(pod->fd, part->app, &part->to, err);
	part->to = (unsigned int)o->generation;
	return update_find_generation(pod->fd, part->app, part->to, err);
}

/* Where each app is and where it is to go; *RET is an exit code when that is
 * nowhere, -1 otherwise. */
static int find_parts(const struct rollback_opts *o, const struct strv *apps,
		      struct transact_call *t, int *ret, struct error *err)
{
	*ret = -1;
	for (size_t i = 0; i < apps->n; i++) {
		struct transact_part *part = &t->parts[t->n_parts++];
		int r;

		*part = (struct transact_part){
			.app = apps->v[i],
			.counts = UPDATE_COUNTS_UNKNOWN,
		};
		r = generation_current(t->pod->fd, part->app, &part->from, err);
		if (r < 0)
			return r;
		if (find_target(t->pod, o, part, err) < 0) {
			*ret = transact_end(t, RKT_EXIT_REFUSED,
					    error_innermost(err));
			return 0;
		}
		if (part->to == part->from)
			t->n_parts--;
	}
	if (t->n_parts == 0)
		*ret = transact_end(t, 0, "it runs this generation already");
	return 0;
}

/* --- the plan --------------------------------------------------------------
 */

/* What ran before may run again: older, and of another name. */
static int make_plan(struct cmd_call *call, const struct images *im,
		     const struct pod *pod, const struct pod_manifest *pm,
		     const struct transact_part *part,
		     const char *not_updatable, struct update_plan *ret,
		     struct error *err)
{
	cleanup_pod_image struct pod_image old_image = POD_IMAGE_INIT;
	cleanup_pod_image struct pod_image new_image = POD_IMAGE_INIT;
	cleanup_runtime_app struct runtime_app next = RUNTIME_APP_INIT;
	const struct rollback_opts *o = call->opts;
	const struct plan_request request = {
		.store = im->store,
		.pod = pod,
		.pm = pm,
		.app = part->app,
		.from = part->from,
		.to = part->to,
		.old_image = &old_image,
		.new_image = &new_image,
		.new_app = &next,
		.not_updatable = not_updatable,
		.rules = {.allow_rename = true, .allow_downgrade = true},
		.strategy = o->transact.strategy,
	};
	int r = generation_image_load(pod->fd, part->app, part->from,
				      &old_image, err);

	if (r == 0)
		r = generation_image_load(pod->fd, part->app, part->to,
					  &new_image, err);
	if (r == 0)
		r = generation_app_load(pod->fd, part->app, part->to, &next,
					err);
	if (r == 0)
		plan_make(&request, ret);
	return r;
}

/* Shows the plans, or collects what they refuse.  The exit code. */
static int plan(struct cmd_call *call, const struct images *im,
		const struct transact_call *t, const char *not_updatable,
		struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strbuf struct strbuf refusals = STRBUF_INIT;
	const struct rollback_opts *o = call->opts;
	bool is_refused = false;
	int r = pod_manifest_load_committed(t->pod->fd, &pm, err);

	for (size_t i = 0; r == 0 && i < t->n_parts; i++) {
		cleanup_update_plan struct update_plan p = UPDATE_PLAN_INIT;

		r = make_plan(call, im, t->pod, &pm, &t->parts[i],
			      not_updatable, &p, err);
		if (r == 0 && o->plan)
			is_refused |=
				plan_show(&p, t->pod->uuid, o->transact.format);
		else if (r == 0)
			plan_add_refusals(&p, t->n_parts > 1, &refusals);
	}
	if (r < 0)
		return r;
	if (refusals.len)
		return transact_end(t, RKT_EXIT_REFUSED, refusals.buf);
	return is_refused ? RKT_EXIT_REFUSED : 0;
}

/* --- doing -----------------------------------------------------------------
 */

/* LOCK: as of transact_lock(); with --plan none is needed, and what is in the
 * way of one is shown. */
static int take_lock(const struct rollback_opts *o, const struct pod *pod,
		     struct error *why, struct error *err)
{
	if (!o->plan)
		return transact_lock(pod, err);
	(void)transact_check(pod, why);
	return -EBADF;
}

int rollback_pod(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct rollback_opts *o = call->opts;
	cleanup_images struct images im = {0};
	cleanup_strv struct strv apps = STRV_INIT;
	struct error why = ERROR_INIT;
	cleanup_fd int lock = take_lock(o, pod, &why, err);
	struct transact_call t = {
		.opts = &o->transact,
		.pod = pod,
		.strategy = o->transact.strategy,
		.flags = CONTROL_ROLLBACK,
	};
	int code = -1, r;

	if (lock == -ESRCH)
		return transact_end(&t, RKT_EXIT_REFUSED, error_innermost(err));
	if (lock < 0 && !o->plan)
		return lock;
	r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);
	if (r == 0)
		r = update_find_apps(pod->fd, &o->transact.apps, &apps, err);
	if (r == 0)
		r = find_parts(o, &apps, &t, &code, err);
	if (r < 0 || code >= 0)
		return r < 0 ? r : code;
	r = plan(call, &im, &t, why.code ? error_innermost(&why) : NULL, err);
	return r || o->plan ? r : transact(&im, &t, err);
}

static int run(struct cmd_call *call)
{
	return pod_arg_only(call, NULL, rollback_pod);
}

const struct command cmd_rollback = {
	.name = "rollback",
	.summary = "Move an app of a running pod back to an earlier generation",
	.usage = "[flags] POD",
	.words = CMD_WORDS_PODS,
	.description = "Works as rkt update does, with an image the pod ran "
		       "before. --plan shows what that would be. Exit codes "
		       "are those of rkt update.",
	.flags = CMD_ROOT,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct rollback_opts),
	.init = init,
	.run = run,
	.failed = show_failed,
};
