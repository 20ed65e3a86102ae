/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/images.h"

struct opts {
	struct pull_opts pull;
	bool full;
	bool sync;
	/* --signature belongs to the image before it: see fetch_parse() */
	struct strv images;
	struct strv image_signatures; /* "" = none */
};

static int signature_parse(const struct option_row *row, void *target,
			   const char *value, struct error *err)
{
	struct opts *o = target;
	size_t n = o->images.n;

	(void)row;
	if (n == 0)
		return error_set(err, EINVAL,
				 "--signature must follow an image");
	if (o->image_signatures.v[n - 1][0])
		return error_set(err, EINVAL,
				 "--signature specified twice for an image");
	free(o->image_signatures.v[n - 1]);
	o->image_signatures.v[n - 1] = xstrdup(value);
	return 0;
}

static const struct option_row rows[] = {
	{.name = "signature",
	 .values = OPTION_VALUES_FILES,
	 .kind = OPTION_CALL,
	 .parse = signature_parse,
	 .shown = "",
	 .help = "local signature file to use in validating the preceding "
		 "image"},
	PULL_OPTION_ROWS(struct opts, pull, "update"),
	{.name = "full",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, full),
	 .help = "print the full image hash after fetching"},
	SYNC_OPTION_ROW(struct opts, sync),
	{.name = NULL},
};

/* The app grammar without arguments: images, each with its flags after. */
static int fetch_parse(struct cmd_call *call, struct error *err)
{
	struct opts *o = call->opts;

	for (int i = 0; i < call->argc;) {
		char *arg = call->argv[i];
		int r = 1;

		if (strcmp(arg, "--") == 0)
			return error_set(err, EINVAL,
					 "app arguments unsupported");
		if (option_is_flag(arg)) {
			r = option_apply(call->sets, 2, call->argv + i, err);
			if (r < 0)
				return r;
		} else if (*arg) {
			strv_push(&o->images, arg);
			strv_push(&o->image_signatures, "");
		}
		i += r;
	}
	return 0;
}

static void print_id(const struct image_id *id, bool full)
{
	char text[IMAGE_ID_LEN + 1];

	if (full)
		image_id_full(id, text);
	else
		image_id_short(id, text);
	puts(text);
	(void)fflush(stdout);
}

static int fetch_all(const struct cmd_call *call, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	enum pull_policy policy = PULL_UPDATE;
	int r;

	r = pull_opts_resolve(&o->pull, PULL_UPDATE, &policy, err);
	if (r >= 0)
		r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);
	im.fetcher.policy = policy;
	im.fetcher.render = true;
	for (size_t i = 0; r >= 0 && i < o->images.n; i++) {
		const char *signature = o->image_signatures.v[i];
		struct image_id id;

		r = image_fetch(&im.fetcher, o->images.v[i],
				*signature ? signature : NULL, &id, err);
		if (r >= 0 && o->sync)
			r = imagestore_finish(im.store, true, err);
		if (r >= 0)
			print_id(&id, o->full);
	}
	return r;
}

static int run(struct cmd_call *call)
{
	struct opts *o = call->opts;
	struct error err = ERROR_INIT;
	int r;

	if (o->images.n == 0) {
		log_error("must provide at least one image");
		return RKT_EXIT_FAILURE;
	}
	r = fetch_all(call, &err);
	if (r < 0)
		log_failure(&err, NULL);
	strv_release(&o->images);
	strv_release(&o->image_signatures);
	return r < 0 ? RKT_EXIT_FAILURE : 0;
}

#define FETCH_COMMAND(extra_flags)                                             \
	{                                                                      \
		.name = "fetch",                                               \
		.summary = "Fetch image(s) and store them in the local store", \
		.usage = "IMAGE_URL...", .words = OPTION_VALUES_FILES,         \
		.description =                                                 \
			"Images are names, which are discovered, URLs "        \
			"ending in .aci (with their signature beside, as "     \
			"URL.asc), local files (FILE.asc), or with "           \
			"--insecure-options=image "                            \
			"docker://[REGISTRY/]NAME[:TAG|@DIGEST], "             \
			"oci:DIR[:TAG], oci-archive:FILE[:TAG] or "            \
			"docker-archive:FILE[:NAME:TAG]. What they depend on " \
			"is fetched with them.",                               \
		.flags = CMD_NON_INTERSPERSED | CMD_OWN_ROOT | (extra_flags),  \
		.options = rows, .opts_size = sizeof(struct opts),             \
		.parse = fetch_parse, .run = run,                              \
	}

const struct command cmd_fetch = FETCH_COMMAND(0);
const struct command cmd_image_fetch = FETCH_COMMAND(CMD_HIDDEN);
