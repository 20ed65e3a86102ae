/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/pod_arg.h"
#include "cmd/rkt/transact.h"
#include "cmd/rkt/transact_show.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/update.h"

struct opts {
	struct transact_opts transact;
	int64_t generation;
};

static const struct option_row rows[] = {
	{.name = "generation",
	 .kind = OPTION_INT,
	 .offset = offsetof(struct opts, generation),
	 .shown = "the one before",
	 .help = "number of the generation to go back to (rkt history)"},
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {transact_rows, NULL};

static void init(void *opts)
{
	transact_init(&((struct opts *)opts)->transact);
}

static int find_target(const struct pod *pod, const struct opts *o,
		       struct transact_part *part, struct error *err)
{
	if (o->generation <= 0)
		return update_find_previous(pod->fd, part->app, &part->to, err);
	part->to = (unsigned int)o->generation;
	return update_find_generation(pod->fd, part->app, part->to, err);
}

/* Where each app is and where it is to go; *RET is an exit code when that is
 * nowhere, -1 otherwise. */
static int find_parts(const struct opts *o, const struct strv *apps,
		      struct transact_call *t, int *ret, struct error *err)
{
	*ret = -1;
	for (size_t i = 0; i < apps->n; i++) {
		struct transact_part *part = &t->parts[t->n_parts++];
		int r;

		part->app = apps->v[i];
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

static int rollback(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	cleanup_strv struct strv apps = STRV_INIT;
	cleanup_fd int lock = transact_lock(pod, err);
	struct transact_call t = {
		.opts = &o->transact,
		.pod = pod,
		.strategy = o->transact.strategy,
		.flags = CONTROL_ROLLBACK,
	};
	int code = -1, r;

	if (lock < 0)
		return lock;
	r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);
	if (r == 0)
		r = update_find_apps(pod->fd, &o->transact.apps, &apps, err);
	if (r == 0)
		r = find_parts(o, &apps, &t, &code, err);
	if (r < 0)
		return r;
	return code >= 0 ? code : transact(&im, &t, err);
}

static int run(struct cmd_call *call)
{
	return pod_arg_only(call, NULL, rollback);
}

const struct command cmd_rollback = {
	.name = "rollback",
	.summary = "Move an app of a running pod back to an earlier generation",
	.usage = "[flags] POD",
	.description = "Works as rkt update does, with an image the pod ran "
		       "before. Exit codes are those of rkt update.",
	.flags = CMD_ROOT,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
