/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aci/aci_splice.h"
#include "aci/fetch_client.h"
#include "aci/layout.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/whole_file.h"
#include "cmd/actool/actool.h"
#include "cmd/actool/manifest.h"
#include "spec/image_manifest.h"
#include "spec/manifest_patch.h"

struct opts {
	const char *manifest;
	bool overwrite;
	bool replace;
	bool no_compression;
	struct manifest_patch patch;
};

#define PATCH_ROW(row_name, field, row_shown, row_help)                        \
	{                                                                      \
		.name = (row_name), .kind = OPTION_STRING,                     \
		.offset = offsetof(struct opts, patch.field),                  \
		.shown = (row_shown), .help = (row_help)                       \
	}
#define BOOL_ROW(row_name, field, row_help)                                    \
	{                                                                      \
		.name = (row_name), .kind = OPTION_BOOL, .implied = "true",    \
		.offset = offsetof(struct opts, field), .help = (row_help)     \
	}

static const struct option_row rows[] = {
	{.name = "manifest",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, manifest),
	 .shown = "FILE",
	 .help = "take this manifest; goes with no other change"},
	PATCH_ROW("name", name, "NAME", "name the image so"),
	PATCH_ROW("exec", exec, "\"/app --flag\"",
		  "the command line, words between blanks; makes an app of an "
		  "image without"),
	PATCH_ROW("user", user, "USER", "run as this user"),
	PATCH_ROW("group", group, "GROUP", "run as this group"),
	PATCH_ROW("supplementary-groups", supplementary_groups, "GID,...",
		  "further groups, instead of the image's"),
	PATCH_ROW("capability", capability, "CAP_A,CAP_B",
		  "retain these capabilities alone"),
	PATCH_ROW("revoke-capability", revoke_capability, "CAP_A,CAP_B",
		  "remove these capabilities from the default ones"),
	PATCH_ROW("mounts", mounts, "NAME,path=/P[,readOnly=true][:NAME2,...]",
		  "add mount points; one of that name is replaced"),
	PATCH_ROW("ports", ports, "NAME,protocol=tcp,port=80[:NAME2,...]",
		  "add ports; one of that name is replaced"),
	PATCH_ROW("isolators", isolators,
		  "resource/cpu,request=50m,limit=100m[:NAME,...]",
		  "set resources, os/linux/oom-score-adj,N, "
		  "os/linux/no-new-privileges,true"),
	PATCH_ROW("seccomp-mode", seccomp_mode, "retain|remove[,errno=EPERM]",
		  "what --seccomp-set means, and what a refused call gets"),
	PATCH_ROW("seccomp-set", seccomp_set, "CALL,@SET,...",
		  "system calls, instead of the image's set"),
	{.name = "environment",
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct opts, patch.environment),
	 .shown = "NAME=VALUE",
	 .help = "set a variable; may be given again"},
	BOOL_ROW("replace", replace, "change the image in place"),
	BOOL_ROW("overwrite", overwrite, "replace OUTPUT.aci if it exists"),
	BOOL_ROW("no-compression", no_compression, "write a plain tar"),
	{0}};

/* Reads all of the image; its tar goes to a nameless file beside OUT. */
static int image_open(const char *path, const struct whole_file *out,
		      struct fetch_image *image, int *ret_tar,
		      struct error *err)
{
	cleanup_free char *libexec = NULL;
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cleanup_fd int tar = -EBADF;
	int r;

	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	tar = openat(out->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (tar < 0)
		tar = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (tar < 0)
		return error_sys(err, errno, "make a nameless file in %s",
				 out->dir);
	r = path_libexec(&libexec, err);
	if (r == 0)
		r = fetch_import(libexec, fd, tar, -1, NULL, image, err);
	if (r < 0)
		return error_wrap(err, r, "%s", path);
	*ret_tar = TAKE_FD(tar);
	return 0;
}

/* What is in the file counts, byte for byte, once it is found valid. */
static int manifest_from_file(const char *path, struct strbuf *ret,
			      struct error *err)
{
	int r = read_file_path(path, ACI_MANIFEST_MAX, ret, err);

	if (r < 0)
		return r;
	return manifest_report(path, MANIFEST_IMAGE, ret->buf, ret->len)
		       ? 0
		       : error_set(err, EINVAL, "%s is no valid image manifest",
				   path);
}

static int manifest_patched(const struct fetch_image *image,
			    const struct manifest_patch *patch,
			    struct strbuf *ret, struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_image_manifest struct image_manifest again =
		IMAGE_MANIFEST_INIT;
	int r = image_manifest_parse(image->manifest, image->manifest_len, &im,
				     err);

	if (r == 0)
		r = manifest_patch_apply(patch, &im, err);
	if (r < 0)
		return r;
	image_manifest_write(&im, JSON_COMPACT_STYLE, ret);
	r = image_manifest_parse(ret->buf, ret->len, &again, err);
	return r < 0 ? error_prefix(err, r, "the patched manifest") : 0;
}

static int patch_image(const char *from, const char *to, const struct opts *o,
		       struct error *err)
{
	cleanup_whole_file struct whole_file out = WHOLE_FILE_INIT;
	cleanup_fetch_image struct fetch_image image = {0};
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	cleanup_fd int tar = -EBADF;
	struct aci_splice splice;
	int r = whole_file_open(to, 0644, o->overwrite || o->replace, &out,
				err);

	if (r == -EEXIST)
		return error_set(err, EEXIST, "%s exists (try --overwrite)",
				 to);
	if (r == 0)
		r = image_open(from, &out, &image, &tar, err);
	if (r == 0)
		r = o->manifest
			    ? manifest_from_file(o->manifest, &manifest, err)
			    : manifest_patched(&image, &o->patch, &manifest,
					       err);
	if (r < 0)
		return r;
	splice = (struct aci_splice){
		.tar_fd = tar,
		.tar_size = image.tar_size,
		.manifest_start = image.manifest_start,
		.manifest_end = image.manifest_end,
		.manifest = manifest.buf,
		.manifest_len = manifest.len,
		.no_compression = o->no_compression,
	};
	r = aci_splice(&splice, out.fd, err);
	return r < 0 ? r : whole_file_commit(&out, err);
}

static int check_use(const struct actool_call *call, const struct opts *o,
		     struct error *err)
{
	size_t len;

	if (o->replace && o->overwrite)
		return error_set(err, EINVAL,
				 "--replace and --overwrite exclude each "
				 "other");
	if (o->replace != (call->argc == 1))
		return error_set(err, EINVAL,
				 o->replace ? "--replace takes one file"
					    : "must provide input and output "
					      "files (or use --replace)");
	if (o->manifest && !manifest_patch_is_empty(&o->patch))
		return error_set(err, EINVAL,
				 "--manifest goes with no other change");
	if (!o->manifest && manifest_patch_is_empty(&o->patch))
		return error_set(err, EINVAL, "no change is asked for");
	len = strlen(call->argv[call->argc - 1]);
	if (len < 5 || strcmp(call->argv[call->argc - 1] + len - 4, ".aci"))
		return error_set(err, EINVAL,
				 "the name of an image ends in .aci: %s",
				 call->argv[call->argc - 1]);
	return 0;
}

static void warn_of_signature(const char *image)
{
	cleanup_free char *asc = xasprintf("%s.asc", image);

	if (access(asc, F_OK) == 0)
		log_warning("%s is of other bytes now: sign %s again", asc,
			    image);
}

static int run(const struct actool_call *call)
{
	struct opts *o = call->opts;
	const char *to = call->argv[call->argc - 1];
	struct error err = ERROR_INIT;
	int r = check_use(call, o, &err);

	if (r < 0) {
		(void)actool_fail(&err);
		strv_release(&o->patch.environment);
		return ACTOOL_USAGE;
	}
	r = patch_image(call->argv[0], to, o, &err);
	strv_release(&o->patch.environment);
	if (r < 0)
		return actool_fail(&err);
	warn_of_signature(to);
	return ACTOOL_OK;
}

const struct actool_command actool_patch_manifest = {
	.name = "patch-manifest",
	.summary = "copy an image and change its manifest",
	.usage = "[FLAGS] INPUT.aci OUTPUT.aci | --replace IMAGE.aci",
	.description =
		"  The image is checked as `actool validate` does.  All bytes "
		"of its archive but\n"
		"  the manifest stay as they are, and equal inputs give equal "
		"outputs.  The\n"
		"  output is gzip, whatever the input was.  An image with "
		"other "
		"bytes has another\n"
		"  ID and needs a new signature.\n",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
