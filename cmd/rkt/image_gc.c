/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aci/download.h"
#include "aci/fetch_types.h"
#include "aci/image_settle.h"
#include "aci/stored_layer.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/image_remove.h"
#include "cmd/rkt/images.h"
#include "spec/oci.h"
#include "spec/quantity.h"

#define NS_PER_S 1000000000LL
#define SMALL_TAR (FETCH_MANIFEST_MAX + (64UL << 10)) /* a manifest in one */

struct opts {
	int64_t grace_period; /* ns */
	int64_t keep_newest;
	uint64_t max_size; /* bytes, 0 = as many as there are */
};

static int size_parse(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	struct quantity q;
	int64_t bytes;
	int r = quantity_parse(value, &q, err);

	(void)row;
	if (r < 0)
		return r;
	if (quantity_value_ceil(&q, &bytes) < 0 || bytes <= 0)
		return error_set(err, EINVAL,
				 "must be a size, as 512Mi or 20G");
	*(uint64_t *)target = (uint64_t)bytes;
	return 0;
}

static const struct option_row rows[] = {
	{.name = "grace-period",
	 .kind = OPTION_DURATION,
	 .shown = "24h0m0s",
	 .offset = offsetof(struct opts, grace_period),
	 .help = "duration to wait since an image was last used before "
		 "removing it"},
	{.name = "keep-newest",
	 .kind = OPTION_INT,
	 .shown = "0",
	 .offset = offsetof(struct opts, keep_newest),
	 .help = "keep so many images of each name, those imported last, "
		 "however long they were not used"},
	{.name = "max-size",
	 .kind = OPTION_CALL,
	 .parse = size_parse,
	 .shown = "",
	 .offset = offsetof(struct opts, max_size),
	 .help = "when the images left are more than this (as 20G), remove "
		 "those used longest ago within the grace period, too"},
	{.name = NULL},
};

static void init(void *opts)
{
	((struct opts *)opts)->grace_period = 24 * 3600 * NS_PER_S;
}

/* --- what goes ----------------------------------------------------------- */

struct candidate {
	const struct image_row *image;
	bool is_kept; /* by a pod, or as one of the newest of its name */
	bool goes;
};

/* The newest import first, within each name. */
static int by_name(const void *a, const void *b)
{
	const struct image_row *x = ((const struct candidate *)a)->image;
	const struct image_row *y = ((const struct candidate *)b)->image;
	int r = strcmp(x->name, y->name);

	if (r == 0)
		r = (x->imported < y->imported) - (x->imported > y->imported);
	return r ? r : (x->serial < y->serial) - (x->serial > y->serial);
}

static int by_last_use(const void *a, const void *b)
{
	const struct image_row *x = ((const struct candidate *)a)->image;
	const struct image_row *y = ((const struct candidate *)b)->image;

	return (x->last_used > y->last_used) - (x->last_used < y->last_used);
}

/* Sorts LIST by name. */
static void mark_kept(struct candidate *list, size_t n, const struct strv *used,
		      int64_t keep_newest)
{
	int64_t rank = 0;

	qsort(list, n, sizeof(*list), by_name);
	for (size_t i = 0; i < n; i++) {
		bool is_same = i > 0 && strcmp(list[i].image->name,
					       list[i - 1].image->name) == 0;

		rank = is_same ? rank + 1 : 0;
		/* Layers stay for the images that need them. */
		list[i].is_kept = (rank < keep_newest &&
				   !oci_is_layer_name(list[i].image->name)) ||
				  strv_sorted_has(used, list[i].image->id);
	}
}

/* Last used longer ago than the grace period. */
static void mark_old(struct candidate *list, size_t n, int64_t grace_period)
{
	struct timespec now;
	int64_t limit;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	limit = now.tv_sec * NS_PER_S + now.tv_nsec - grace_period;
	for (size_t i = 0; i < n; i++)
		list[i].goes =
			!list[i].is_kept && list[i].image->last_used <= limit;
}

/* Sorts LIST by use. */
static void mark_too_many(struct candidate *list, size_t n, uint64_t max_size)
{
	uint64_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += list[i].goes ? 0 : list[i].image->size;
	qsort(list, n, sizeof(*list), by_last_use);
	for (size_t i = 0; i < n && size > max_size; i++) {
		if (list[i].goes || list[i].is_kept)
			continue;
		list[i].goes = true;
		size -= list[i].image->size;
	}
}

static void find_unused(const struct image_rows *images,
			const struct strv *used, const struct opts *o,
			struct strv *ret)
{
	cleanup_free struct candidate *list =
		xcalloc(images->n + 1, sizeof(*list));

	for (size_t i = 0; i < images->n; i++)
		list[i].image = &images->v[i];
	mark_kept(list, images->n, used, o->keep_newest);
	mark_old(list, images->n, o->grace_period);
	if (o->max_size)
		mark_too_many(list, images->n, o->max_size);
	for (size_t i = 0; i < images->n; i++)
		if (list[i].goes)
			strv_push(ret, list[i].image->id);
}

static bool has_layer(const struct image_rows *images,
		      const struct strv *sorted_ids)
{
	for (size_t i = 0; i < images->n; i++)
		if (oci_is_layer_name(images->v[i].name) &&
		    strv_sorted_has(sorted_ids, images->v[i].id))
			return true;
	return false;
}

/*
 * A manifest the disk garbled may name no layers, or others: it is made anew
 * of the tar, which for an image of layers is little more than that.
 */
static void mend_manifest(const struct images *im, const struct image_row *row,
			  const struct image_id *id)
{
	struct error why = ERROR_INIT;
	int r;

	if (oci_is_layer_name(row->name) || row->size > SMALL_TAR)
		return;
	r = image_check_stored(im->store, im->fetcher.libexec_dir, id, &why);
	if (r > 0)
		log_warning("image %s: its manifest was damaged and is made "
			    "anew",
			    id->text);
	if (r < 0)
		log_debug("image %s: %s", id->text, why.msg);
}

/* Takes from UNUSED the layers that an image which stays depends on. */
static int keep_layers(const struct images *im, const struct image_rows *images,
		       struct strv *unused, struct error *err)
{
	cleanup_strv struct strv all = STRV_INIT;
	cleanup_strv struct strv needed = STRV_INIT;
	bool is_layer_at_stake;
	int r = 0;

	all = *unused;
	*unused = (struct strv)STRV_INIT;
	strv_sort(&all);
	is_layer_at_stake = has_layer(images, &all);
	for (size_t i = 0; r >= 0 && i < images->n; i++) {
		struct error why = ERROR_INIT;
		struct image_id id;

		if (strv_sorted_has(&all, images->v[i].id) ||
		    image_id_parse(images->v[i].id, &id, NULL) < 0)
			continue;
		if (is_layer_at_stake)
			mend_manifest(im, &images->v[i], &id);
		r = stored_layers_of(im->store, &id, &needed, &why);
		if (r < 0)
			return error_set(
				err, -r,
				"%s (\"rkt image verify\" of the image "
				"mends it)",
				why.msg);
	}
	strv_sort(&needed);
	for (size_t i = 0; i < all.n; i++)
		if (!strv_sorted_has(&needed, all.v[i]))
			strv_push(unused, all.v[i]);
	return r < 0 ? r : 0;
}

/* --- the rest ------------------------------------------------------------ */

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

/* Interrupted downloads that nobody took up. */
static int remove_downloads(struct images *im, int64_t grace_period,
			    struct error *err)
{
	struct timespec now;
	size_t n = 0;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	r = downloads_collect(
		im->store, now.tv_sec * NS_PER_S + now.tv_nsec - grace_period,
		&n, err);
	if (n > 0)
		log_info("removed %zu interrupted downloads", n);
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
		r = imagestore_list(im.store, NULL, &images, err);
	if (r >= 0)
		r = remove_lone_trees(&im, &images, &used, err);
	if (r >= 0)
		r = treestore_unmount(&im.trees, &used, err);
	if (r >= 0)
		r = remove_downloads(&im, o->grace_period, err);
	if (r < 0)
		return r;
	find_unused(&images, &used, o, &unused);
	r = keep_layers(&im, &images, &unused, err);
	if (r < 0)
		return r;
	r = images_remove(&im, &unused, &used, err);
	return r < 0 ? r : imagestore_finish(im.store, false, err);
}

static int check_opts(const struct opts *o, struct error *err)
{
	if (o->keep_newest < 0)
		return error_set(err, EINVAL,
				 "--keep-newest=%" PRId64 ": it must not be "
				 "negative",
				 o->keep_newest);
	return 0;
}

static int run(struct cmd_call *call)
{
	struct error err = ERROR_INIT;

	if (call->argc > 0)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (check_opts(call->opts, &err) < 0 || collect(call, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return 0;
}

const struct command cmd_image_gc = {
	.name = "gc",
	.flags = CMD_OWN_ROOT,
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
