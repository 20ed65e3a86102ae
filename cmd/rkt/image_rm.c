/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/image_remove.h"
#include "cmd/rkt/images.h"

static void cannot_remove(const struct error *why)
{
	log_failure(why, "error removing aci for image");
}

/* The trees first: what has a tree has a blob, but for trees pods still use.
 * RET are those of IDS that can go on. */
static void remove_trees(struct images *im, const struct strv *ids,
			 const struct strv *used, struct strv *ret)
{
	for (size_t i = 0; i < ids->n; i++) {
		struct error why = ERROR_INIT;
		struct image_id id;
		int r = image_id_parse(ids->v[i], &id, &why);

		if (r >= 0 && !strv_sorted_has(used, ids->v[i]))
			r = treestore_remove(&im->trees, &id, &why);
		if (r < 0)
			cannot_remove(&why);
		else
			strv_push(ret, id.text);
	}
}

static int remove_one(struct images *im, const char *text,
		      const struct strv *needed, struct error *err)
{
	struct image_id id;
	int r = image_id_parse(text, &id, err);

	if (r >= 0)
		r = treestore_keep(&im->trees, &id, needed, err);
	if (r >= 0)
		r = imagestore_remove(im->store, &id, err);
	return r;
}

int images_remove(struct images *im, const struct strv *ids,
		  const struct strv *used, struct error *err)
{
	cleanup_strv struct strv rest = STRV_INIT;
	cleanup_strv struct strv needed = STRV_INIT;
	size_t done = 0;
	int r;

	remove_trees(im, ids, used, &rest);
	/* Once for all: it reads every index there is. */
	r = rest.n ? treestore_list_needed(&im->trees, &needed, err) : 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < rest.n; i++) {
		struct error why = ERROR_INIT;

		if (remove_one(im, rest.v[i], &needed, &why) < 0) {
			cannot_remove(&why);
			continue;
		}
		printf("successfully removed aci for image: \"%.*s\"\n",
		       IMAGE_ID_FULL_LEN, rest.v[i]);
		(void)fflush(stdout);
		done++;
	}
	if (done > 0)
		log_info("%zu image(s) successfully removed", done);
	r = treestore_trim(&im->trees, err);
	if (r >= 0)
		r = imagestore_share(im->store, err);
	if (r >= 0)
		r = imagestore_sweep(im->store, err);
	if (done == ids->n)
		return r;
	log_error("%zu image(s) cannot be removed", ids->n - done);
	return error_set(err, EIO, "error(s) found while removing images");
}

/* As in rkt, removing what names no one image is no failure. */
static bool is_no_image(int r)
{
	return r == -ENOENT || r == -EINVAL || r == -EEXIST;
}

static int remove_arguments(const struct cmd_call *call, struct error *err)
{
	cleanup_images struct images im = {0};
	cleanup_strv struct strv ids = STRV_INIT;
	cleanup_strv struct strv used = STRV_INIT;
	bool unreadable = false;
	int r;

	r = images_open(call->rkt, IMAGESTORE_EXCLUSIVE, &im, err);
	if (r < 0)
		return r;
	for (int i = 0; i < call->argc; i++) {
		struct error why = ERROR_INIT;
		struct image_id id;

		r = image_find_stored(im.store, call->argv[i], &id, &why);
		if (r < 0)
			log_failure(&why, NULL);
		else if (!strv_has(&ids, id.text))
			strv_push(&ids, id.text);
		unreadable = unreadable || (r < 0 && !is_no_image(r));
	}
	r = imagestore_pod_images(im.store, &used, err);
	if (r >= 0)
		r = images_remove(&im, &ids, &used, err);
	if (r >= 0 && unreadable)
		return error_set(err, EIO, "the image store cannot be read");
	return r;
}

static int run(struct cmd_call *call)
{
	struct error err = ERROR_INIT;

	if (call->argc < 1) {
		log_error("must provide at least one image ID");
		return RKT_EXIT_FAILURE;
	}
	if (remove_arguments(call, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return 0;
}

const struct command cmd_image_rm = {
	.name = "rm",
	.flags = CMD_OWN_ROOT,
	.summary = "Remove one or more images with the given IDs or image "
		   "names from the local store",
	.usage = "IMAGE...",
	.words = CMD_WORDS_IMAGES,
	.description = "Unlike image gc, image rm allows users to remove "
		       "specific images.",
	.run = run,
};
