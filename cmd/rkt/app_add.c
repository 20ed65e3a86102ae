/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strv.h"
#include "base/test_hooks.h"
#include "cmd/rkt/app.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/app_files.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/pod_build.h"
#include "stage0/pod_request.h"
#include "stage0/volume_source.h"

struct opts {
	const char *uuid_file;
	const char *pod; /* the word */
	struct pod_request req;
};

static const struct option_row rows[] = {
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {app_option_rows, NULL};

/* [flags] UUID IMAGE [app flags] [-- ARGS...] */
static int parse(struct cmd_call *call, struct error *err)
{
	struct opts *o = call->opts;
	const struct option_set sets[] = {{rows, o}, call->sets[1]};
	char **argv = call->argv;

	while (*argv && option_is_flag(*argv) && strcmp(*argv, "--") != 0) {
		int r = option_apply(sets, 2, argv, err);

		if (r < 0)
			return r;
		argv += r;
	}
	if (!o->uuid_file && *argv)
		o->pod = *argv++;
	return pod_request_parse(&o->req, argv, sets, 2, err);
}

static const char *problem(const struct opts *o)
{
	if ((!o->pod && !o->uuid_file) || o->req.n_apps == 0)
		return "must provide the pod UUID and an IMAGEID";
	if (o->req.n_apps > 1)
		return "must give only one app";
	if (o->req.n_volumes)
		return "--volume is of a whole pod: use --mnt-volume";
	if (o->req.n_secrets)
		return "--secret is of a whole pod: rkt run has it";
	if (o->req.n_ports)
		return "--port is of a whole pod: use it with rkt app sandbox";
	return NULL;
}

/* --- doing -----------------------------------------------------------------
 */

static void borrow_volumes(struct pod_request *req,
			   const struct pod_manifest *pm)
{
	req->volumes = xcalloc(pm->n_volumes + 1, sizeof(*req->volumes));
	for (size_t i = 0; i < pm->n_volumes; i++)
		volume_copy(&req->volumes[req->n_volumes++], &pm->volumes[i]);
}

static int find_image(struct images *im, const struct app_request *app,
		      struct pod_image *ret, struct error *err)
{
	struct image_id id;
	int r;

	im->fetcher.with_hash = true;
	im->fetcher.policy = PULL_NEVER;
	r = image_fetch(&im->fetcher, app->image, app->options.signature, &id,
			err);
	return r < 0 ? r : pod_image_load(im->store, &id, ret, err);
}

/* PM, with the app. */
static int extend(struct pod_request *req, const struct pod_image *image,
		  struct pod_manifest *pm, struct error *err)
{
	cleanup_strv struct strv environment = STRV_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	int r;

	for (char **e = environ; req->inherit_env && *e; e++)
		strv_push(&environment, *e);
	borrow_volumes(req, pm);
	r = pod_request_resolve(req, &environment, err);
	if (r == 0)
		r = pod_manifest_extend(pm, &req->apps[0], &image->manifest,
					image->id.text, &warnings, err);
	for (size_t i = 0; i < warnings.n && r == 0; i++)
		log_warning("%s", warnings.v[i]);
	return r < 0 ? r : pod_volumes_resolve(pm, err);
}

static int write_and_ask(struct images *im, const struct pod *pod,
			 const struct app_files *files, struct error *err)
{
	struct app_files f = *files;
	cleanup_fd int tree = -EBADF;
	unsigned int n;
	int r = treestore_open(&im->trees, &f.image->id, &tree, err);

	if (r < 0)
		return r;
	f.tree_fd = faccessat(pod->fd, POD_NO_OVERLAY_FILE, F_OK, 0) == 0
			    ? tree
			    : -EBADF;
	r = app_files_write(pod->fd, &f, &n, err);
	test_stop_at("app-written");
	if (r == 0)
		r = app_ask(pod, CONTROL_APP_ADD, f.app, n, tree, err);
	test_stop_at("app-added");
	return r;
}

static int add(struct cmd_call *call, struct pod *pod, struct error *err)
{
	struct opts *o = call->opts;
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_pod_image struct pod_image image = POD_IMAGE_INIT;
	cleanup_images struct images im = {0};
	struct app_files files = {
		.pm = &pm, .image = &image, .tree_fd = -EBADF};
	cleanup_fd int lock = app_lock(pod, &pm, err);
	int r = lock < 0 ? lock : 0;

	if (r == 0)
		r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);
	if (r == 0)
		r = find_image(&im, &o->req.apps[0], &image, err);
	if (r == 0)
		r = extend(&o->req, &image, &pm, err);
	if (r < 0)
		return r;
	files.app = pm.apps[pm.n_apps - 1].name;
	files.words = &o->req.apps[0].words;
	r = write_and_ask(&im, pod, &files, err);
	/* One that does not answer may have done it: the next command sees. */
	if (r < 0 && r != -ECONNRESET)
		(void)app_files_remove(pod->fd, files.app, NULL);
	return r;
}

static int run(struct cmd_call *call)
{
	struct opts *o = call->opts;
	const char *text = problem(o);
	int r;

	call->argc = 0;
	if (text)
		r = cmd_usage(call, text);
	else if (o->pod)
		r = pod_arg_word(call, o->pod, add);
	else
		r = pod_arg_only(call, o->uuid_file, add);
	pod_request_release(&o->req);
	return r;
}

const struct command cmd_app_add = {
	.name = "add",
	.summary = "Add an app to a running mutable pod",
	.usage = "[--uuid-file=FILE | UUID] IMAGE [app flags] [-- "
		 "image-args...]",
	.words = CMD_WORDS_PODS "|" CMD_WORDS_IMAGES,
	.description =
		"IMAGE is the id or the name of a stored image, or a file: "
		"nothing is downloaded. The app is started by `rkt app start`. "
		"Its volumes "
		"are those of the pod and of --mnt-volume.",
	.flags = CMD_ROOT | CMD_NON_INTERSPERSED | CMD_OWN_FLAGS,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct opts),
	.parse = parse,
	.run = run,
};
