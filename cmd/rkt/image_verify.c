/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "aci/image_settle.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/images.h"

/* A damaged tree is made anew: pods that run keep the old one open. */
static int rebuild(struct images *im, const char *arg,
		   const struct image_id *id, const struct error *why,
		   struct error *err)
{
	int r;

	log_error("tree cache verification failed for image %s: %s;  "
		  "rebuilding...",
		  arg, why->msg);
	r = treestore_remove(&im->trees, id, err);
	if (r >= 0)
		r = treestore_prepare(&im->trees, id, err);
	return r < 0 ? r : imagestore_sweep(im->store, err);
}

/* What the tar lost nothing here can make anew: nobody is to run it. */
static int condemn(struct images *im, const struct image_id *id, int r,
		   struct error *err)
{
	struct error why = ERROR_INIT;

	if (r != -EBADMSG && r != -EINVAL && r != -EFBIG)
		return r;
	if (imagestore_condemn(im->store, id, &why) < 0)
		return error_wrap(err, r, "%s", why.msg);
	return error_set(err, -r,
			 "the stored image is damaged and will not be run: "
			 "fetch %.*s again",
			 IMAGE_ID_FULL_LEN, id->text);
}

static int verify(struct images *im, const char *arg, struct error *err)
{
	struct error why = ERROR_INIT;
	struct image_id id;
	int r;

	r = image_find_stored(im->store, arg, &id, err);
	if (r < 0)
		return r;
	r = image_check_stored(im->store, im->trees.libexec_dir, &id, err);
	if (r < 0)
		return condemn(im, &id, r, err);
	if (r > 0)
		log_error("manifest verification failed for image %s: not that "
			  "of its tar;  rebuilding...",
			  arg);
	r = imagestore_mend_row(im->store, &id, err);
	if (r < 0)
		return r;
	if (r > 0)
		log_error("the image table is wrong about image %s: not what "
			  "its tar says;  rebuilding...",
			  arg);
	r = treestore_check(&im->trees, &id, &why);
	if (r == -EBADMSG)
		return rebuild(im, arg, &id, &why, err);
	if (r == -ENOENT)
		printf("image \"%s\" not rendered; no verification needed\n",
		       arg);
	else if (r < 0)
		return error_set(err, -r, "%s", why.msg);
	else
		printf("successfully verified checksum for image: \"%s\" "
		       "(\"%.*s\")\n",
		       arg, IMAGE_ID_FULL_LEN, id.text);
	return 0;
}

static int verify_all(const struct cmd_call *call, struct error *err)
{
	cleanup_images struct images im = {0};
	int r = images_open(call->rkt, 0, &im, err);

	for (int i = 0; r >= 0 && i < call->argc; i++) {
		r = verify(&im, call->argv[i], err);
		if (r < 0)
			return error_prefix(err, r, "image %s", call->argv[i]);
	}
	return r;
}

static int run(struct cmd_call *call)
{
	struct error err = ERROR_INIT;

	if (call->argc < 1)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (verify_all(call, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return 0;
}

const struct command cmd_image_verify = {
	.name = "verify",
	.summary = "Verify one or more rendered images in the local store",
	.usage = "IMAGE...",
	.words = CMD_WORDS_IMAGES,
	.description =
		"Reads each image again, and compares what was made of it "
		"with what it holds. What can be made again is; an image "
		"that is damaged itself is taken out of use until it is "
		"fetched again.",
	.flags = CMD_ROOT,
	.run = run,
};
