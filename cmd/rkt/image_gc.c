/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/image_remove.h"
#include "cmd/rkt/images.h"

#define NS_PER_S 1000000000LL

struct opts {
	int64_t grace_period; /* ns */
};

static const struct option_row rows[] = {
	{.name = "grace-period",
	 .kind = OPTION_DURATION,
	 .shown = "24h0m0s",
	 .offset = offsetof(struct opts, grace_period),
	 .help = "duration to wait since an image was last used before "
		 "removing it"},
	{.name = NULL},
};

static void init(void *opts)
{
	((struct opts *)opts)->grace_period = 24 * 3600 * NS_PER_S;
}

/* Last used longer ago than the grace period, and no pod needs it. */
static void find_unused(const struct image_rows *images,
			const struct strv *used, int64_t grace_period,
			struct strv *ret)
{
	struct timespec now;
	int64_t limit;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	limit = now.tv_sec * NS_PER_S + now.tv_nsec - grace_period;
	for (size_t i = 0; i < images->n; i++)
		if (images->v[i].last_used <= limit &&
		    !strv_sorted_has(used, images->v[i].id))
			strv_push(ret, images->v[i].id);
}

static bool is_stored(const struct image_rows *images, const char *id)
{
	for (size_t i = 0; i < images->n; i++)
		if (strcmp(images->v[i].id, id) == 0)
			return true;
	return false;
}

/* Trees whose image was removed while a pod used them, and no pod does now. */
static int remove_lone_trees(struct images *im, const struct image_rows *images,
			     const struct strv *used, struct error *err)
{
	cleanup_strv struct strv trees = STRV_INIT;
	int r = treestore_list(&im->trees, &trees, err);

	for (size_t i = 0; r >= 0 && i < trees.n; i++) {
		struct image_id id;

		if (is_stored(images, trees.v[i]) ||
		    strv_sorted_has(used, trees.v[i]) ||
		    image_id_parse(trees.v[i], &id, NULL) < 0)
			continue;
		r = treestore_remove(&im->trees, &id, err);
		if (r >= 0)
			log_info("removed treestore \"%s\"", trees.v[i]);
	}
	return r;
}

static int reconcile(struct images *im, struct error *err)
{
	struct imagestore_repairs n;
	int r = imagestore_reconcile(im->store, &n, err);

	if (r >= 0)
		log_debug("image store: %zu rows added, %zu rows and %zu "
			  "files removed",
			  n.n_rows_added, n.n_rows_removed, n.n_files_removed);
	return r;
}

static int collect(const struct cmd_call *call, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	cleanup_image_rows struct image_rows images = IMAGE_ROWS_INIT;
	cleanup_strv struct strv used = STRV_INIT;
	cleanup_strv struct strv unused = STRV_INIT;
	int r;

	r = images_open(call->rkt, IMAGESTORE_CREATE | IMAGESTORE_EXCLUSIVE,
			&im, err);
	if (r >= 0)
		r = reconcile(&im, err);
	if (r >= 0)
		r = imagestore_pod_images(im.store, &used, err);
	if (r >= 0)
		r = imagestore_list(im.store, &images, err);
	if (r >= 0)
		r = remove_lone_trees(&im, &images, &used, err);
	if (r >= 0)
		r = treestore_unmount(&im.trees, &used, err);
	if (r < 0)
		return r;
	find_unused(&images, &used, o->grace_period, &unused);
	return images_remove(&im, &unused, &used, err);
}

static int run(struct cmd_call *call)
{
	struct error err = ERROR_INIT;

	if (call->argc > 0)
		return cmd_usage(call, NULL);
	if (collect(call, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return 0;
}

const struct command cmd_image_gc = {
	.name = "gc",
	.summary = "Garbage collect local store",
	.usage = "",
	.description =
		"Removes images (and what was unpacked of them) that were not "
		"used for the grace period and that no pod needs, unmounts "
		"those that no pod uses, and mends what interrupted commands "
		"left behind.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
