/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/stored_layer.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/images.h"

#define TEMP_INFIX ".rkt-"
#define TEMP_SUFFIX ".tmp"

/* `image extract` (one image) and `image render` (with its dependencies). */

struct opts {
	bool rootfs_only;
	bool overwrite;
};

static const struct option_row rows[] = {
	{.name = "rootfs-only",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, rootfs_only),
	 .help = "extract rootfs only"},
	{.name = "overwrite",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, overwrite),
	 .help = "overwrite output directory"},
	{.name = NULL},
};

typedef int (*unpack_fn)(const struct images *im, const struct image_id *id,
			 int dirfd, struct error *err);

static int unpack_rendered(const struct images *im, const struct image_id *id,
			   int dirfd, struct error *err)
{
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	int r = tree_render(&im->trees, id, dirfd, err);

	if (r >= 0)
		r = stored_layers_manifest(im->store, id, &manifest, err);
	if (r >= 0)
		r = write_file_at(dirfd, "manifest", 0644, manifest.buf,
				  manifest.len, err);
	return r;
}

static int unpack_image(const struct images *im, const struct image_id *id,
			int dirfd, struct error *err)
{
	cleanup_strv struct strv layers = STRV_INIT;
	cleanup_fd int blob = imagestore_open_blob(im->store, id, err);
	int r;

	if (blob < 0)
		return blob;
	/* The layers of an image are the image. */
	r = stored_layers_of(im->store, id, &layers, err);
	if (r >= 0 && layers.n > 0)
		return unpack_rendered(im, id, dirfd, err);
	if (r < 0)
		return r;
	r = stored_layer_is(im->store, id, err);
	return r < 0 ? r
		     : fetch_extract(im->trees.libexec_dir, blob, r, dirfd,
				     err);
}

static int check_output(const char *out, bool overwrite, struct error *err)
{
	cleanup_free char *clean = path_clean(out);
	struct stat st;

	if (strcmp(clean, "/") == 0 || strcmp(clean, ".") == 0)
		return error_set(err, EINVAL,
				 "%s can't be the output directory", out);
	if (lstat(clean, &st) < 0)
		return errno == ENOENT ? 0
				       : error_sys(err, errno, "stat %s", out);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR,
				 "output file exists and is not a directory");
	if (!overwrite)
		return error_set(err, EEXIST,
				 "output directory exists (try --overwrite)");
	return 0;
}

/* What was there goes into TEMP's place, in one step: no kill leaves nothing.
 */
static int put_in_place(const char *temp, const char *out, const struct opts *o,
			struct error *err)
{
	cleanup_free char *from =
		xasprintf("%s%s", temp, o->rootfs_only ? "/rootfs" : "");
	int r = 0;

	if (o->overwrite &&
	    renameat2(AT_FDCWD, from, AT_FDCWD, out, RENAME_EXCHANGE) == 0)
		return 0;
	/* A file system that cannot (EINVAL), or there is nothing (ENOENT). */
	if (o->overwrite)
		r = remove_tree_at(AT_FDCWD, out, err);
	if (r >= 0 && rename(from, out) < 0)
		r = error_sys(err, errno, "put %s in place", out);
	return r;
}

/* NAME is BASE.rkt-PID.tmp. */
static bool is_temp_of(const char *name, const char *base)
{
	size_t len = strlen(base), infix = strlen(TEMP_INFIX);
	const char *pid = name + len + infix;
	size_t digits;

	if (strncmp(name, base, len) != 0 ||
	    strncmp(name + len, TEMP_INFIX, infix) != 0)
		return false;
	digits = strspn(pid, "0123456789");
	return digits > 0 && strcmp(pid + digits, TEMP_SUFFIX) == 0;
}

/* What killed commands left: who is at work holds his locked. */
static void remove_stale(const char *out)
{
	cleanup_free char *dir = xstrndup(out, (size_t)(path_base(out) - out));
	cleanup_fd int dirfd =
		open(*dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_strv struct strv names = STRV_INIT;

	if (dirfd < 0 || dir_names(dirfd, &names) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		cleanup_fd int fd = -EBADF;

		if (!is_temp_of(names.v[i], path_base(out)))
			continue;
		fd = openat(dirfd, names.v[i],
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && lock_try(fd, LOCK_EX) == 0)
			(void)remove_tree_at(dirfd, names.v[i], NULL);
	}
}

/* Beside the output first, so that one appears whole or not at all. */
static int unpack_to(const struct images *im, const struct image_id *id,
		     const char *out, const struct opts *o, unpack_fn unpack,
		     struct error *err)
{
	cleanup_free char *clean = path_clean(out);
	cleanup_free char *temp = xasprintf("%s" TEMP_INFIX "%d" TEMP_SUFFIX,
					    clean, (int)getpid());
	cleanup_fd int fd = -EBADF;
	int r;

	remove_stale(clean);
	if (mkdir(temp, 0755) < 0)
		return error_sys(err, errno, "create %s", temp);
	fd = open(temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : lock_try(fd, LOCK_EX);
	r = r < 0 ? error_sys(err, -r, "open %s", temp)
		  : unpack(im, id, fd, err);
	if (r >= 0)
		r = put_in_place(temp, clean, o, err);
	(void)remove_tree_at(AT_FDCWD, temp, NULL);
	return r;
}

static int extract(const struct cmd_call *call, unpack_fn unpack,
		   struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	struct image_id id;
	int r;

	r = check_output(call->argv[1], o->overwrite, err);
	if (r >= 0)
		r = images_open(call->rkt, 0, &im, err);
	if (r >= 0)
		r = image_find_stored(im.store, call->argv[0], &id, err);
	if (r >= 0)
		r = unpack_to(&im, &id, call->argv[1], o, unpack, err);
	if (r >= 0)
		imagestore_touch(im.store, &id);
	return r;
}

static int run_with(struct cmd_call *call, unpack_fn unpack)
{
	struct error err = ERROR_INIT;

	if (call->argc != 2)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (extract(call, unpack, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return 0;
}

static int run_extract(struct cmd_call *call)
{
	return run_with(call, unpack_image);
}

static int run_render(struct cmd_call *call)
{
	return run_with(call, unpack_rendered);
}

const struct command cmd_image_extract = {
	.name = "extract",
	.summary = "Extract a stored image to a directory",
	.usage = "IMAGE OUTPUT_DIR",
	.words = CMD_WORDS_IMAGES "|" OPTION_VALUES_DIRECTORIES,
	.description = "IMAGE should be a string referencing an image: either "
		       "a hash or an image name. Dependencies are not "
		       "extracted; the layers of an OCI image are.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run_extract,
};

const struct command cmd_image_render = {
	.name = "render",
	.summary = "Render a stored image to a directory with all its "
		   "dependencies",
	.usage = "IMAGE OUTPUT_DIR",
	.words = CMD_WORDS_IMAGES "|" OPTION_VALUES_DIRECTORIES,
	.description = "IMAGE should be a string referencing an image: either "
		       "a hash or an image name.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run_render,
};
