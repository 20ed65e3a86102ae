/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/strbuf.h"
#include "cmd/rkt/app_arg.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/out_file.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/json_write.h"
#include "spec/pod_manifest.h"
#include "stage0/app_tree.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

#define SUFFIX ".aci"

struct opts {
	const char *app;
	bool overwrite;
};

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "name of the app to export within the specified pod"},
	{.name = "overwrite",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, overwrite),
	 .help = "overwrite output ACI"},
	{.name = NULL},
};

/* One app of a pod, as it is committed. */
struct exported {
	const char *libexec;
	int rootfs;
	struct strbuf manifest;
};

/* The image alone is everything: it depends on nothing any more, and what its
 * list of paths would hide is what the app has made. */
static void write_manifest(struct image_manifest *im, struct strbuf *ret)
{
	struct image_manifest flat = *im;

	flat.dependencies = NULL;
	flat.n_dependencies = 0;
	flat.path_whitelist = (struct strv)STRV_INIT;
	image_manifest_write(&flat, JSON_COMPACT_STYLE, ret);
}

static int open_app(const struct cmd_call *call, const struct pod *pod,
		    const char *app, struct exported *ret, struct error *err)
{
	cleanup_pod_image struct pod_image image = POD_IMAGE_INIT;
	cleanup_images struct images im = {0};
	unsigned int n = 0;
	int r = images_open(call->rkt, 0, &im, err);

	if (r >= 0)
		r = generation_current(pod->fd, app, &n, err);
	if (r >= 0)
		r = generation_image_load(pod->fd, app, n, &image, err);
	if (r >= 0)
		r = app_tree_open(pod->fd, app, n, &im.trees, &ret->rootfs,
				  err);
	if (r < 0)
		return error_prefix(err, r, "app %s", app);
	write_manifest(&image.manifest, &ret->manifest);
	return 0;
}

static int write_image(void *arg, int fd, struct error *err)
{
	const struct exported *e = arg;
	cleanup_fd int manifest = memfd_create("manifest", MFD_CLOEXEC);
	int r;

	if (manifest < 0)
		return error_sys(err, errno, "make a memory file");
	r = write_full(manifest, e->manifest.buf, e->manifest.len);
	if (r < 0)
		return error_sys(err, -r, "write a memory file");
	return fetch_pack(e->libexec, e->rootfs, manifest, fd, err);
}

static int check_name(const char *out, struct error *err)
{
	const char *suffix = strrchr(out, '.');

	if (suffix && strcmp(suffix, SUFFIX) == 0)
		return 0;
	return error_set(err, EINVAL, "extension must be " SUFFIX " (given %s)",
			 out);
}

/* Shared: the pod stays as it is, and does not look as if it ran. */
static int hold_pod(const struct pod *pod, struct error *err)
{
	enum pod_state state = pod_state(pod);

	if ((state != POD_STATE_EXITED && state != POD_STATE_EXITED_GARBAGE) ||
	    lock_try(pod->fd, LOCK_SH) < 0)
		return error_set(err, EBUSY,
				 "pod \"%s\" is %s: only exited pods can be "
				 "exported",
				 pod->uuid, pod_state_text(state));
	return 0;
}

static int export(struct cmd_call *call, struct pod *pod, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	cleanup_fd int rootfs = -EBADF;
	const struct opts *o = call->opts;
	const char *out = call->argv[1], *app = NULL;
	struct exported e = {.libexec = call->rkt->libexec,
			     .rootfs = -EBADF,
			     .manifest = STRBUF_INIT};
	int r = check_name(out, err);

	if (r == 0)
		r = hold_pod(pod, err);
	if (r == 0)
		r = pod_manifest_load(pod->fd, &pm, err);
	if (r == 0)
		r = app_arg_choose(call, &pm, o->app, &app, err);
	if (r == 0)
		r = open_app(call, pod, app, &e, err);
	rootfs = e.rootfs;
	manifest = e.manifest;
	if (r == 0)
		r = out_file_write(out, o->overwrite,
				   "target file exists (try --overwrite)",
				   write_image, &e, err);
	return r;
}

static int run(struct cmd_call *call)
{
	if (call->argc != 2)
		return cmd_usage(call,
				 "must provide one pod and the file to write");
	return pod_arg_word(call, call->argv[0], export);
}

const struct command cmd_export = {
	.name = "export",
	.summary = "Export an app from an exited pod to an ACI file",
	.usage = "[--app=APPNAME] [--overwrite] UUID OUTPUT_ACI_FILE",
	.words = CMD_WORDS_PODS "|" OPTION_VALUES_FILES,
	.description = "The image has what the app left of its root file "
		       "system, and needs no other images. Volumes are not "
		       "in it.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};
