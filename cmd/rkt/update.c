/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/pod_arg.h"
#include "cmd/rkt/transact.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/update.h"

#define KEEP_MAX 1000

struct opts {
	struct transact_opts transact;
	struct update_rules rules;
	const char *image;
	const char *signature;
	int64_t keep;
	bool abort, resume;
};

static const struct option_row rows[] = {
	{.name = "image",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, image),
	 .help = "the new image: a file, a stored image's name or its id"},
	{.name = "signature",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, signature),
	 .help = "local signature file of --image"},
	{.name = "keep",
	 .kind = OPTION_INT,
	 .offset = offsetof(struct opts, keep),
	 .shown = "2",
	 .help = "how many earlier generations stay for rkt rollback"},
	{.name = "abort",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, abort),
	 .help = "end the update that is under way by rolling it back"},
	{.name = "resume",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, resume),
	 .help = "follow the update that is under way; one that is on hold "
		 "tries again"},
	{.name = "allow-downgrade",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, rules.allow_downgrade),
	 .help = "accept an older version"},
	{.name = "allow-rename",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, rules.allow_rename),
	 .help = "accept an image of another name"},
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {transact_rows, NULL};

static void init(void *opts)
{
	struct opts *o = opts;

	transact_init(&o->transact);
	o->keep = UPDATE_KEEP;
}

/* 1 if NEW may follow generation N of APP, 0 if it is the same image. */
static int check_plan(const struct pod *pod, const char *app, unsigned int n,
		      const struct pod_image *new_image,
		      const struct update_rules *rules, struct error *err)
{
	cleanup_pod_image struct pod_image old_image = POD_IMAGE_INIT;
	struct image_id id;
	int r = generation_image_id(pod->fd, app, n, &id, err);

	if (r < 0)
		return r;
	if (strcmp(id.text, new_image->id.text) == 0)
		return 0;
	r = generation_image_load(pod->fd, app, n, &old_image, err);
	if (r == 0)
		r = update_check_images(&old_image.manifest,
					&new_image->manifest, rules, err);
	return r < 0 ? r : 1;
}

/* Writes the next generation; *ret is its number. */
static int stage(const struct pod *pod, struct images *im, const char *app,
		 const struct pod_image *image, unsigned int current,
		 unsigned int *ret, struct error *err)
{
	cleanup_runtime_app struct runtime_app ra = RUNTIME_APP_INIT;
	cleanup_fd int tree = -EBADF;
	unsigned int n;
	int r = update_make_app(pod->fd, app, image, &ra, err);

	if (r == 0)
		r = update_remove_stale(pod->fd, app, err);
	if (r == 0)
		r = update_next_number(pod->fd, app, &n, err);
	if (r == 0 && generation_is_copy(pod->fd, app, current))
		r = treestore_open(&im->trees, &image->id, &tree, err);
	if (r == 0)
		r = generation_write(pod->fd, n, &ra, image, tree, err);
	else
		return r;
	if (r == 0)
		*ret = n;
	else
		(void)generation_remove(pod->fd, app, n, NULL);
	return r;
}

static int refuse(struct error *err)
{
	log_failure(err, "refused");
	return RKT_EXIT_REFUSED;
}

/* It is committed: what stays too long is no failure, and the next one
 * removes it. */
static void collect(const struct pod *pod, const char *app, int64_t keep)
{
	struct error err = ERROR_INIT;

	if (update_collect(pod->fd, app, (unsigned int)keep, &err) < 0)
		log_failure(&err, "remove earlier generations");
}

static int update(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_pod_image struct pod_image image = POD_IMAGE_INIT;
	cleanup_images struct images im = {0};
	cleanup_free char *app = NULL;
	cleanup_fd int lock = transact_lock(pod, err);
	unsigned int current = 0, n = 0;
	bool accepted = false;
	struct image_id id;
	int r;

	if (lock < 0)
		return lock;
	r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);
	if (r == 0)
		r = update_find_app(pod->fd, o->transact.app, &app, err);
	if (r < 0)
		return r;
	im.fetcher.with_hash = true;
	im.fetcher.render = true;
	r = image_fetch(&im.fetcher, o->image, o->signature, &id, err);
	if (r == -EPERM || r == -EBADMSG)
		return refuse(err);
	if (r == 0)
		r = pod_image_load(im.store, &id, &image, err);
	if (r == 0)
		r = generation_current(pod->fd, app, &current, err);
	if (r < 0)
		return r;
	r = check_plan(pod, app, current, &image, &o->rules, err);
	if (r == 0) {
		printf("app %s runs this image already\n", app);
		return 0;
	}
	if (r > 0)
		r = stage(pod, &im, app, &image, current, &n, err);
	if (r == -EPERM || r == -ENOENT || r == -EINVAL)
		return refuse(err);
	if (r < 0)
		return r;
	r = transact(&im, pod, app, n, 0, &o->transact, &accepted, err);
	if (r != 0 && !accepted)
		(void)generation_remove(pod->fd, app, n, NULL);
	if (r == 0)
		collect(pod, app, o->keep);
	return r;
}

static int abort_update(struct cmd_call *call, struct pod *pod,
			struct error *err)
{
	(void)call;
	return transact_abort(pod, err);
}

static int resume_update(struct cmd_call *call, struct pod *pod,
			 struct error *err)
{
	(void)call;
	return transact_resume(pod, err);
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;

	if (o->keep < 0 || o->keep > KEEP_MAX)
		return cmd_usage(call, "--keep is 0 to 1000 generations");
	if ((o->abort || o->resume) + (o->abort && o->resume) + !!o->image > 1)
		return cmd_usage(call, "--abort ends an update, --resume "
				       "follows one, --image begins one: only "
				       "one of them");
	if (o->resume)
		return pod_arg_only(call, NULL, resume_update);
	if (o->abort)
		return pod_arg_only(call, NULL, abort_update);
	if (!o->image)
		return cmd_usage(call, "must say which image with --image");
	return pod_arg_only(call, NULL, update);
}

const struct command cmd_update = {
	.name = "update",
	.summary = "Move an app of a running pod to a new image version",
	.usage = "--image=IMAGE [flags] POD | --abort POD | --resume POD",
	.description =
		"The new image is verified and prepared while the old one "
		"serves. The pod, its network, volumes and logs stay. If the "
		"new generation does not become ready, the old one runs "
		"again. --abort ends an update that waits or observes in the "
		"same way.\n\n"
		"Exit codes: 0 committed (or nothing to do), 10 rolled back "
		"and healthy, 11 refused before anything changed, 12 rolled "
		"back but the pod is not healthy, 254 rkt failed.",
	.flags = CMD_ROOT,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
