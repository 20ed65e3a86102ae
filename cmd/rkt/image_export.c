/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/stored_layer.h"
#include "aci/treestore.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/out_file.h"

struct opts {
	bool overwrite;
};

static const struct option_row rows[] = {
	{.name = "overwrite",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, overwrite),
	 .help = "overwrite output ACI"},
	{.name = NULL},
};

struct wanted {
	const struct images *im;
	const struct image_id *id;
};

static int copy_blob(const struct images *im, const struct image_id *id, int fd,
		     struct error *err)
{
	cleanup_fd int blob = imagestore_open_blob(im->store, id, err);
	int r = blob < 0 ? blob : stored_layer_is(im->store, id, err);

	if (r < 0)
		return r;
	if (r > 0)
		return error_set(err, EINVAL,
				 "it is a layer of an OCI image and no image "
				 "by itself: export the image, or see rkt "
				 "image extract");
	r = copy_fd(blob, fd);
	return r < 0 ? error_sys(err, -r, "copy the image") : 0;
}

/* An image of layers becomes one that needs none. */
static int write_image(void *arg, int fd, struct error *err)
{
	const struct wanted *wanted = arg;
	const struct images *im = wanted->im;
	const struct image_id *id = wanted->id;
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	cleanup_fd int manifest_fd = -EBADF;
	int r = stored_layers_manifest(im->store, id, &manifest, err);

	if (r <= 0)
		return r < 0 ? r : copy_blob(im, id, fd, err);
	manifest_fd = memfd_create("manifest", MFD_CLOEXEC);
	if (manifest_fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = write_full(manifest_fd, manifest.buf, manifest.len);
	if (r < 0)
		return error_sys(err, -r, "write a memory file");
	return treestore_flatten(&im->trees, id, manifest_fd, fd, err);
}

static int export(const struct cmd_call *call, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	struct image_id id;
	struct wanted wanted = {&im, &id};
	int r;

	r = images_open(call->rkt, 0, &im, err);
	if (r >= 0)
		r = image_find_stored(im.store, call->argv[0], &id, err);
	if (r >= 0)
		r = out_file_write(call->argv[1], o->overwrite,
				   "output ACI file exists (try --overwrite)",
				   write_image, &wanted, err);
	if (r >= 0)
		imagestore_touch(im.store, &id);
	return r;
}

static int run(struct cmd_call *call)
{
	struct error err = ERROR_INIT;

	if (call->argc != 2)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (export(call, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return 0;
}

const struct command cmd_image_export = {
	.name = "export",
	.summary = "Export a stored image to an ACI file",
	.usage = "IMAGE OUTPUT_ACI_FILE",
	.words = CMD_WORDS_IMAGES "|" OPTION_VALUES_FILES,
	.description = "IMAGE should be a string referencing an image: either "
		       "a hash or an image name. The file is not compressed. "
		       "An image of layers (docker, OCI) becomes one ACI that "
		       "needs none of them.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
