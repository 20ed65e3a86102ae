/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/test_hooks.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/launch.h"
#include "cmd/rkt/pod_change.h"
#include "cmd/rkt/pod_make.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/private_users.h"
#include "stage0/run.h"

struct opts {
	struct make_opts make;
	struct launch_opts launch;
	const char *uuid_file_save;
};

static const struct option_row rows[] = {
	UUID_SAVE_OPTION_ROW(struct opts, uuid_file_save),
	INTERACTIVE_OPTION_ROW(struct opts, launch),
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {
	launch_rows, make_rows, pod_request_rows, app_option_rows, NULL,
};

static int parse(struct cmd_call *call, struct error *err)
{
	struct opts *o = call->opts;
	const struct option_set sets[] = {
		{rows, o},
		{launch_rows, &o->launch},
		{make_rows, &o->make},
		call->sets[1],
	};

	return make_parse(call, &o->make, sets, 4, err);
}

static int open_trees(struct images *im, const struct opts *o,
		      const struct made *made, struct pod_trees *ret,
		      struct error *err)
{
	int r = 0;

	/* The images are known: nothing has to be read back from the pod. */
	for (size_t i = 0; i < made->n_images && r == 0; i++) {
		int fd;

		if (o->make.no_overlay)
			continue;
		r = treestore_open(&im->trees, &made->images[i].id, &fd, err);
		if (r == 0)
			pod_trees_add(ret, made->manifest.apps[i].name, fd);
	}
	return r;
}

static int prepare_new(struct images *im, const struct opts *o,
		       const struct made *made, const struct launch *launch,
		       struct pods *pods, struct pod *pod, struct error *err)
{
	int r = pod_stage1_check(&made->stage1, &made->manifest, launch->detach,
				 err);

	if (r == 0)
		r = pod_new(pods, pod, err);
	if (r == 0)
		r = launch_save_uuid(o->uuid_file_save, pod, err);
	if (r == 0)
		r = made_prepare(im, &o->make, made, pod, err);
	if (r == 0)
		r = launch_save(pod, launch, err);
	test_stop_at("run-prepared");
	if (r == 0)
		r = pod_move(pod, POD_RUN, o->make.pod_name != NULL, err);
	test_stop_at("run-moved");
	if (r < 0)
		make_undo(pod);
	return r;
}

/* Starts the pod that has the name already. */
static int run_again(struct cmd_call *call, struct images *im,
		     struct made *made, struct launch *launch, struct pod *pod,
		     struct error *err)
{
	const struct opts *o = call->opts;
	int r = launch_save_uuid(o->uuid_file_save, pod, err);

	if (r == 0)
		r = made_change(im, &o->make, made, pod, err);
	if (r == 0)
		r = launch_save(pod, launch, err);
	/* It keeps the users it was made with. */
	if (r == 0 && o->make.private_users)
		r = private_users_assign(pod, err);
	if (r == 0)
		r = private_users_arg(pod, &launch->args, err);
	if (r < 0)
		return r;
	return launch_again(call, im, pod, &launch->args, launch->detach);
}

/* Returns rkt's exit code or a negative errno with ERR set. */
static int run_pod(struct cmd_call *call, struct error *err)
{
	cleanup_images struct images im = {0};
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_pod struct pod pod = POD_INIT;
	cleanup_made struct made made = MADE_INIT;
	cleanup_launch struct launch launch = {0};
	cleanup_pod_trees struct pod_trees trees = POD_TREES_INIT;
	struct opts *o = call->opts;
	int r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);

	if (r == 0)
		r = made_make(&im, &o->make, &made, err);
	if (r == 0)
		r = launch_make(call, &o->launch, &made.manifest, &launch, err);
	if (r == 0)
		r = pods_open(&pods, call->rkt->dir, err);
	if (r == 0)
		make_choose_overlay(&o->make, &pods);
	if (r == 0)
		r = make_check_users(&o->make, &pods, &made, err);
	if (r == 0)
		r = make_find_named(call, &o->make, &pods, &pod, err);
	if (r < 0)
		return r;
	if (r > 0)
		return run_again(call, &im, &made, &launch, &pod, err);
	r = prepare_new(&im, o, &made, &launch, &pods, &pod, err);
	if (r == 0 && o->make.private_users)
		r = private_users_arg(&pod, &launch.args, err);
	if (r == 0)
		r = open_trees(&im, o, &made, &trees, err);
	if (r < 0)
		return r;
	return launch_pod(call, &pod, &launch.args, &trees, launch.detach);
}

static int run(struct cmd_call *call)
{
	struct opts *o = call->opts;
	struct error err = ERROR_INIT;
	int r;

	if (make_opts_check(&o->make, &err) < 0)
		return cmd_usage(call, err.msg);
	r = run_pod(call, &err);
	if (r < 0) {
		log_failure(&err, NULL);
		r = RKT_EXIT_FAILURE;
	}
	make_opts_release(&o->make);
	return r;
}

const struct command cmd_run = {
	.name = "run",
	.summary = "Run image(s) in a pod in rkt",
	.usage = "[--volume=name,kind=host,...] IMAGE [-- "
		 "image-args...[---]]...",
	.words = CMD_WORDS_IMAGES "|" OPTION_VALUES_FILES,
	.description =
		"IMAGE is a file, a name or URL (fetched if it is not stored), "
		"or the id of a stored image.\n\n"
		"Flags of an app follow its image; arguments for it come "
		"after \"--\" and end at \"---\":\n"
		"    rkt run a.aci --name=one -- -v --- b.aci -- --port=80\n\n"
		"--insecure-options=seccomp takes the filter of system calls "
		"away but for one rule: the pod sees each bind(2), so that "
		"`rkt update` can hand over its sockets. The apps' "
		"/proc/self/status goes on to say \"Seccomp: 2\".",
	.flags = CMD_ROOT | CMD_NON_INTERSPERSED | CMD_OWN_FLAGS,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct opts),
	.parse = parse,
	.run = run,
};
