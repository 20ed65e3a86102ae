/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/pod_make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aci/url_login.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/rootless.h"
#include "spec/acname.h"
#include "spec/pod_file.h"
#include "stage0/generation.h"
#include "stage0/overlay_check.h"
#include "stage0/pod.h"
#include "stage0/pod_build.h"
#include "stage0/pod_gc.h"
#include "stage0/prepare.h"
#include "stage0/private_users.h"
#include "stage0/volume_source.h"

static int parse_pod_name(const struct option_row *row, void *target,
			  const char *value, struct error *err)
{
	int r = acname_check(value, err);

	(void)row;
	if (r == 0)
		*(const char **)target = value;
	return r;
}

const struct option_row make_rows[] = {
	PULL_OPTION_ROWS(struct make_opts, pull, "new"),
	STAGE1_OPTION_ROWS(struct make_opts, stage1),
	{.name = "pod-manifest",
	 .values = OPTION_VALUES_FILES,
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct make_opts, pod_manifest),
	 .help = "run the pod of this Pod Manifest file; its images must be "
		 "in the store"},
	{.name = "pod-file",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct make_opts, pod_file),
	 .help = "flags, images and arguments from this JSON file, as "
		 "rkt@.service does, which shows one"},
	{.name = "pod-name",
	 .kind = OPTION_CALL,
	 .parse = parse_pod_name,
	 .offset = offsetof(struct make_opts, pod_name),
	 .help = "name of the pod, usable wherever a UUID is; the pod is kept "
		 "until it is removed, and started again by the same command"},
	{.name = "replace",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct make_opts, replace),
	 .help = "remove an exited pod of the same name first"},
	{.name = "no-overlay",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct make_opts, no_overlay),
	 .help = "copy root file systems instead of using overlayfs"},
	{.name = "private-users",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct make_opts, private_users),
	 .help = "run the apps in a user namespace, with 65536 users of the "
		 "host that no other pod has"},
	{.name = NULL},
};

/* --- from a file of /etc/rkt/pods.d ----------------------------------------
 */

static int read_pod_file(const char *file, struct strv *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_path(file, POD_FILE_MAX, &text, err);

	if (r < 0)
		return r;
	r = pod_file_parse(text.buf, text.len, ret, err);
	return r < 0 ? error_prefix(err, r, "%s", file) : 0;
}

int make_parse(struct cmd_call *call, struct make_opts *o,
	       const struct option_set *sets, size_t n_sets, struct error *err)
{
	int r = pod_request_parse(&o->req, call->argv, sets, n_sets, err);
	const char *file = o->pod_file;

	if (r < 0 || !file)
		return r;
	if (o->req.n_apps)
		return error_set(err, EINVAL,
				 "with --pod-file, images are in the file");
	call->file = file;
	r = read_pod_file(file, &o->file_words, err);
	if (r < 0)
		return r;
	r = pod_request_parse(&o->req, o->file_words.v, sets, n_sets, err);
	if (r == 0 && o->pod_file != file)
		r = error_set(err, EINVAL, "--pod-file cannot be in the file");
	return r < 0 ? error_prefix(err, r, "%s", file) : 0;
}

void make_opts_release(struct make_opts *o)
{
	pod_request_release(&o->req);
	strv_release(&o->file_words);
}

/* --- choosing --------------------------------------------------------------
 */

void make_choose_overlay(struct make_opts *o, const struct pods *pods)
{
	const char *problem;

	if (o->no_overlay || pods->data_fd < 0)
		return;
	problem = overlay_problem(pods->data_fd);
	if (!problem)
		return;
	log_info("disabling overlay support: \"%s\"", problem);
	o->no_overlay = true;
}

int make_check_users(const struct make_opts *o, const struct pods *pods,
		     const struct made *made, struct error *err)
{
	if (o->private_users && rootless_is_user())
		return error_set(
			err, EPERM,
			"--private-users needs root: without, each pod "
			"has your users anyway");
	return o->private_users
		       ? private_users_check(pods, &made->manifest, err)
		       : 0;
}

int make_opts_check(const struct make_opts *o, struct error *err)
{
	const struct pod_request *req = &o->req;
	bool has_policy =
		o->pull.no_store || o->pull.store_only ||
		(o->pull.policy && strcmp(o->pull.policy, "new") != 0);

	if (o->replace && !o->pod_name)
		return error_set(err, EINVAL, "--replace needs --pod-name");
	if (!o->pod_manifest && req->n_apps == 0)
		return error_set(err, EINVAL,
				 "must provide at least one image or specify "
				 "the pod manifest");
	if (o->pod_manifest &&
	    (req->n_apps || req->n_volumes || req->n_secrets || req->mounts.n ||
	     req->n_ports || req->inherit_env || req->set_env.n ||
	     req->set_env_file.n || has_policy))
		return error_set(err, EINVAL,
				 "conflicting flags set with --pod-manifest "
				 "(see --help)");
	return 0;
}

void made_release(struct made *made)
{
	pod_manifest_release(&made->manifest);
	for (size_t i = 0; i < made->n_images; i++) {
		pod_image_release(&made->images[i]);
		if (made->words)
			strv_release(&made->words[i]);
	}
	free(made->images);
	free(made->words);
	strv_release(&made->asked);
	pod_stage1_release(&made->stage1);
	*made = (struct made)MADE_INIT;
}

/* --- from images on the command line ---------------------------------------
 */

static struct pod_image *add_image(struct made *made)
{
	made->images = xreallocarray(made->images, made->n_images + 1,
				     sizeof(*made->images));
	made->images[made->n_images] = (struct pod_image)POD_IMAGE_INIT;
	return &made->images[made->n_images++];
}

static int fetch_images(struct images *im, const struct pod_request *req,
			struct made *made, struct error *err)
{
	for (size_t i = 0; i < req->n_apps; i++) {
		const struct app_request *app = &req->apps[i];
		struct image_id id;
		int r = image_fetch(&im->fetcher, app->image,
				    app->options.signature, &id, err);

		if (r == 0)
			r = pod_image_load(im->store, &id, add_image(made),
					   err);
		if (r < 0)
			return r;
	}
	return 0;
}

int made_build_manifest(const struct pod_request *req, struct made *made,
			struct error *err)
{
	const struct image_manifest *manifests[POD_APPS_MAX];
	const char *ids[POD_APPS_MAX];
	cleanup_strv struct strv warnings = STRV_INIT;
	int r;

	for (size_t i = 0; i < made->n_images; i++) {
		manifests[i] = &made->images[i].manifest;
		ids[i] = made->images[i].id.text;
	}
	r = pod_manifest_make(req, manifests, ids, &made->manifest, &warnings,
			      err);
	for (size_t i = 0; i < warnings.n && r == 0; i++)
		log_warning("%s", warnings.v[i]);
	return r;
}

static int make_from_request(struct images *im, struct pod_request *req,
			     struct made *made, struct error *err)
{
	struct strv environment = STRV_INIT;
	int r;

	for (char **e = environ; req->inherit_env && *e; e++)
		strv_push(&environment, *e);
	r = pod_request_resolve(req, &environment, err);
	strv_release(&environment);
	if (r == 0)
		r = fetch_images(im, req, made, err);
	if (r == 0)
		r = made_build_manifest(req, made, err);
	if (r < 0)
		return r;
	made->words = xcalloc(made->n_images, sizeof(*made->words));
	for (size_t i = 0; i < made->n_images; i++)
		strv_append(&made->words[i], &req->apps[i].words);
	for (size_t i = 0; i < made->n_images; i++) {
		cleanup_url_login struct url_login login = URL_LOGIN_INIT;

		/* It is written down: without the password. */
		url_login_make(req->apps[i].image, &login);
		strv_push(&made->asked, login.url);
	}
	return 0;
}

/* --- from a pod manifest ---------------------------------------------------
 */

static int complete_app(struct images *im, struct made *made,
			struct runtime_app *ra, struct strv *warnings,
			struct error *err)
{
	struct pod_image *image = add_image(made);
	struct image_id id;
	int r;

	if (!ra->image.id)
		return error_set(err, EINVAL, "app %s has no image id",
				 ra->name ? ra->name : "without name");
	r = imagestore_find_id(im->store, ra->image.id, &id, err);
	if (r == 0)
		r = pod_image_load(im->store, &id, image, err);
	if (r == 0)
		r = pod_image_check_host(&image->manifest, err);
	if (r < 0)
		return r;
	strv_push(&made->asked, ra->image.id);
	free(ra->image.id);
	ra->image.id = xstrdup(id.text);
	if (!ra->image.name) {
		ra->image.name = xstrdup(image->manifest.name);
		if (ra->image.labels.n == 0)
			name_values_copy(&ra->image.labels,
					 &image->manifest.labels);
	}
	if (!ra->has_app && image->manifest.has_app) {
		app_copy(&ra->app, &image->manifest.app);
		ra->has_app = true;
	}
	if (!ra->has_app)
		return error_set(err, EINVAL,
				 "image %s has no app section and the pod "
				 "manifest gives none",
				 image->manifest.name);
	return pod_app_reify(ra, &made->manifest, true, warnings, err);
}

static int make_from_manifest(struct images *im, const char *file,
			      struct made *made, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct pod_manifest *pm = &made->manifest;
	int r = read_file_path(file, MANIFEST_MAX, &text, err);

	if (r < 0)
		return r;
	r = pod_manifest_parse(text.buf, text.len, pm, err);
	if (r < 0)
		return error_prefix(err, r, "%s", file);
	if (pm->n_apps == 0)
		return error_set(err, EINVAL,
				 "pod must contain at least one application");
	for (size_t i = 0; i < pm->n_apps && r == 0; i++)
		r = complete_app(im, made, &pm->apps[i], &warnings, err);
	for (size_t i = 0; i < warnings.n && r == 0; i++)
		log_warning("%s", warnings.v[i]);
	if (r == 0)
		r = pod_manifest_check_runnable(pm, err);
	if (r == 0)
		r = pod_ports_check(pm, err);
	return r;
}

int made_make(struct images *im, struct make_opts *o, struct made *ret,
	      struct error *err)
{
	int r = pull_opts_resolve(&o->pull, PULL_NEW, &im->fetcher.policy, err);

	if (r < 0)
		return r;
	im->fetcher.with_hash = true;
	r = stage1_choose(im, &o->stage1, &ret->stage1, err);
	if (r < 0)
		return r;
	if (o->pod_manifest)
		r = make_from_manifest(im, o->pod_manifest, ret, err);
	else
		r = make_from_request(im, &o->req, ret, err);
	return r < 0 ? r : pod_volumes_resolve(&ret->manifest, err);
}

/* --- into a new pod --------------------------------------------------------
 */

static void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(&fds[i]);
}

int made_prepare(struct images *im, const struct make_opts *o,
		 const struct made *made, struct pod *pod, struct error *err)
{
	int trees[POD_APPS_MAX];
	size_t n = 0;
	int r = 0;

	for (; o->no_overlay && n < made->n_images && r == 0; n += r == 0)
		r = treestore_open(&im->trees, &made->images[n].id, &trees[n],
				   err);
	if (r == 0)
		r = pod_prepare(
			pod,
			&(const struct pod_contents){
				.manifest = &made->manifest,
				.images = made->images,
				.words = made->words,
				.asked = &made->asked,
				.copied_trees = o->no_overlay ? trees : NULL,
				.name = o->pod_name,
				.stage1 = &made->stage1,
				.private_users = o->private_users,
			},
			err);
	close_fds(trees, n);
	return r;
}

void make_undo(struct pod *pod)
{
	if (pod->locked && pod->dir == POD_PREPARE)
		(void)pod_delete(pod, NULL, NULL);
}
