/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/images.h"
#include "spec/image_manifest.h"

struct opts {
	bool pretty;
};

static const struct option_row rows[] = {
	PRETTY_OPTION_ROW(struct opts, pretty),
	{.name = NULL},
};

static void init(void *opts)
{
	((struct opts *)opts)->pretty = true;
}

static int cat(const struct cmd_call *call, struct strbuf *out,
	       struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	cleanup_image_manifest struct image_manifest manifest =
		IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct image_id id;
	int r;

	r = images_open(call->rkt, 0, &im, err);
	if (r >= 0)
		r = image_find_stored(im.store, call->argv[0], &id, err);
	if (r >= 0)
		r = imagestore_read_manifest(im.store, &id, &text, err);
	if (r >= 0)
		r = image_manifest_parse(text.buf, text.len, &manifest, err);
	if (r < 0)
		return r;
	image_manifest_write(&manifest,
			     o->pretty ? JSON_PRETTY_STYLE : JSON_COMPACT_STYLE,
			     out);
	strbuf_addch(out, '\n');
	return 0;
}

static int run(struct cmd_call *call)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (call->argc != 1)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (cat(call, &out, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	fputs(out.buf, stdout);
	return 0;
}

const struct command cmd_image_cat_manifest = {
	.name = "cat-manifest",
	.summary = "Inspect and print the image manifest",
	.usage = "IMAGE",
	.words = CMD_WORDS_IMAGES,
	.description = "IMAGE should be a string referencing an image: either "
		       "a hash or an image name.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};
