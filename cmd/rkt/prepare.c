/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/pod_change.h"
#include "cmd/rkt/pod_make.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/private_users.h"

struct opts {
	struct make_opts make;
	bool quiet;
};

static const struct option_row rows[] = {
	{.name = "quiet",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, quiet),
	 .help = "suppress superfluous output on stdout, print only the UUID"},
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {
	make_rows,
	pod_request_rows,
	app_option_rows,
	NULL,
};

static int parse(struct cmd_call *call, struct error *err)
{
	struct opts *o = call->opts;
	const struct option_set sets[] = {
		{rows, o},
		{make_rows, &o->make},
		call->sets[1],
	};

	return make_parse(call, &o->make, sets, 3, err);
}

/* A name that is taken by a pod that does not run: it gets the new images. */
static int prepare_pod(struct cmd_call *call, struct images *im,
		       struct made *made, struct pods *pods, struct pod *pod,
		       struct error *err)
{
	struct opts *o = call->opts;
	int r = make_find_named(call, &o->make, pods, pod, err);

	if (r > 0) {
		r = made_change(im, &o->make, made, pod, err);
		return r < 0 || !o->make.private_users
			       ? r
			       : private_users_assign(pod, err);
	}
	if (r == 0)
		r = pod_stage1_check(&made->stage1, &made->manifest, false,
				     err);
	if (r == 0)
		r = pod_new(pods, pod, err);
	if (r == 0)
		r = made_prepare(im, &o->make, made, pod, err);
	if (r == 0)
		r = pod_move(pod, POD_PREPARED, o->make.pod_name != NULL, err);
	if (r < 0)
		make_undo(pod);
	return r;
}

/* So that the pod can run whatever becomes of its images in the store. */
static int render_images(const struct images *im, const struct made *made,
			 struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < made->n_images && r == 0; i++)
		r = treestore_prepare(&im->trees, &made->images[i].id, err);
	if (r == 0 && !made->stage1.flavour)
		r = treestore_prepare(&im->trees, &made->stage1.image.id, err);
	return r;
}

static int prepare(struct cmd_call *call, struct error *err)
{
	cleanup_images struct images im = {0};
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_pod struct pod pod = POD_INIT;
	cleanup_made struct made made = MADE_INIT;
	struct opts *o = call->opts;
	int r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);

	if (r == 0)
		r = made_make(&im, &o->make, &made, err);
	if (r == 0)
		r = render_images(&im, &made, err);
	if (r == 0)
		r = pods_open(&pods, call->rkt->dir, err);
	if (r == 0)
		make_choose_overlay(&o->make, &pods);
	if (r == 0)
		r = make_check_users(&o->make, &pods, &made, err);
	if (r == 0)
		r = prepare_pod(call, &im, &made, &pods, &pod, err);
	if (r == 0)
		puts(pod.uuid);
	return r;
}

static int run(struct cmd_call *call)
{
	struct opts *o = call->opts;
	struct error err = ERROR_INIT;
	int r;

	if (make_opts_check(&o->make, &err) < 0)
		return cmd_usage(call, err.msg);
	r = prepare(call, &err);
	if (r < 0)
		log_failure(&err, NULL);
	make_opts_release(&o->make);
	return r < 0 ? RKT_EXIT_FAILURE : 0;
}

const struct command cmd_prepare = {
	.name = "prepare",
	.summary = "Prepare to run image(s) in a pod in rkt",
	.usage = "[--volume=name,kind=host,...] IMAGE [-- "
		 "image-args...[---]]...",
	.words = CMD_WORDS_IMAGES "|" OPTION_VALUES_FILES,
	.description = "Prints the UUID of the prepared pod, which `rkt "
		       "run-prepared` runs.",
	.flags = CMD_ROOT | CMD_NON_INTERSPERSED | CMD_OWN_FLAGS,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct opts),
	.parse = parse,
	.run = run,
};
