/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/images.h"

struct opts {
	const char *signature;
	bool full;
	bool sync;
};

static const struct option_row rows[] = {
	{.name = "signature",
	 .values = OPTION_VALUES_FILES,
	 .kind = OPTION_STRING,
	 .shown = "",
	 .offset = offsetof(struct opts, signature),
	 .help = "detached signature; default FILE.asc"},
	{.name = "full",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, full),
	 .help = "print the full image hash"},
	SYNC_OPTION_ROW(struct opts, sync),
	{.name = NULL},
};

/* Reading and verifying an image are two passes: a pipe has only one.  What is
 * stored of it takes as much again. */
static int copy_stdin(struct imagestore *store, int *ret, struct error *err)
{
	cleanup_fd int fd = imagestore_new_file(store, err);
	uint64_t room;
	int r;

	if (fd < 0)
		return fd;
	room = free_bytes(fd);
	r = copy_fd_max(STDIN_FILENO, fd, room / 2);
	if (r < 0) {
		imagestore_drop_file(store, fd);
		return r == -EFBIG
			       ? error_set(err, ENOSPC,
					   "the image on stdin has more than "
					   "half of the %" PRIu64 " bytes free "
					   "in the image store, and is needed "
					   "there twice: free some with \"rkt "
					   "image gc\", or import it from a "
					   "file",
					   room)
			       : error_sys(err, -r,
					   "copy the image from stdin");
	}
	*ret = TAKE_FD(fd);
	return 0;
}

static int import_stdin(struct images *im, const struct opts *o,
			struct image_id *ret, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	char path[PROC_FD_MAX];
	int r;

	if (!o->signature && !im->fetcher.insecure)
		return error_set(err, EINVAL,
				 "an image from stdin needs --signature (or "
				 "--insecure-options=image)");
	r = copy_stdin(im->store, &fd, err);
	if (r < 0)
		return r;
	im->fetcher.file_source = "stdin";
	r = image_fetch(&im->fetcher, proc_fd_path(fd, path), o->signature, ret,
			err);
	imagestore_drop_file(im->store, fd);
	return r;
}

static int import_file(struct images *im, const char *file,
		       const struct opts *o, struct image_id *ret,
		       struct error *err)
{
	struct image_arg arg;
	int r = image_arg_parse(file, access(file, F_OK) == 0, &arg, err);

	if (r >= 0 && arg.kind != IMAGE_ARG_FILE)
		r = error_set(err, EINVAL,
			      "%s is no file (\"rkt fetch\" takes names and "
			      "URLs)",
			      file);
	return r < 0 ? r
		     : image_fetch(&im->fetcher, file, o->signature, ret, err);
}

static int import(struct cmd_call *call, struct image_id *ret,
		  struct error *err)
{
	const struct opts *o = call->opts;
	const char *file = call->argv[0];
	cleanup_images struct images im = {0};
	int r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);

	if (r < 0)
		return r;
	im.fetcher.render = true;
	im.fetcher.policy = PULL_NEVER; /* for dependencies */
	r = strcmp(file, "-") == 0 ? import_stdin(&im, o, ret, err)
				   : import_file(&im, file, o, ret, err);
	if (r >= 0 && o->sync)
		r = imagestore_finish(im.store, true, err);
	return r;
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	struct error err = ERROR_INIT;
	struct image_id id;

	if (call->argc != 1)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (import(call, &id, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	printf("%.*s\n", o->full ? IMAGE_ID_FULL_LEN : IMAGE_ID_SHORT_LEN,
	       id.text);
	return 0;
}

const struct command cmd_image_import = {
	.name = "import",
	.flags = CMD_OWN_ROOT,
	.summary = "Put an image file into the local store",
	.usage = "FILE|-",
	.words = OPTION_VALUES_FILES,
	.description =
		"Nothing is looked for elsewhere: FILE is a path, - is stdin. "
		"The image must be signed by a key that is trusted for its "
		"name, as for fetch.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
