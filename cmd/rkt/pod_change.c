/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/pod_change.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_make.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/pod_build.h"
#include "stage0/pod_files.h"
#include "stage0/pod_gc.h"
#include "stage0/prepare.h"
#include "stage0/update.h"
#include "stage0/volume_source.h"

int make_find_named(const struct cmd_call *call, const struct make_opts *o,
		    const struct pods *pods, struct pod *ret, struct error *err)
{
	char uuid[UUID_TEXT_LEN + 1];
	int r;

	if (!o->pod_name || pod_name_lookup(pods, o->pod_name, uuid, NULL) < 0)
		return 0;
	r = pod_open(pods, uuid, ret, NULL);
	if (r == -ENOENT)
		return 0; /* the name outlived its pod */
	if (r == 0)
		r = pod_lock(ret, err);
	if (r == -EBUSY)
		return error_set(err, EBUSY,
				 "pod %s is %s: use `rkt update %s` to change "
				 "its images or `rkt stop %s` first",
				 o->pod_name, pod_state_text(pod_state(ret)),
				 o->pod_name, o->pod_name);
	if (r < 0)
		return r;
	if (ret->dir == POD_PREPARE || o->replace) {
		r = pod_delete(ret, call->rkt->libexec, err);
		pod_close(ret);
		return r;
	}
	return 1;
}

/* Its directory is what that stage1 made of it. */
static int check_same_stage1(const struct make_opts *o, const struct made *made,
			     const struct pod *pod, struct error *err)
{
	cleanup_pod_stage1 struct pod_stage1 old = POD_STAGE1_INIT;
	cleanup_strbuf struct strbuf name = STRBUF_INIT;
	int r = o->stage1.flag ? pod_stage1_load(pod->fd, &old, err) : 0;

	if (r < 0 || !o->stage1.flag || pod_stage1_equal(&old, &made->stage1))
		return r;
	pod_stage1_format(&old, &name);
	return error_set(err, EEXIST,
			 "pod %s has stage1 %s: --%s does not change that "
			 "(--replace starts anew)",
			 o->pod_name, name.buf, o->stage1.flag);
}

static int check_same_apps(const struct make_opts *o,
			   const struct pod_manifest *old,
			   const struct pod_manifest *new, struct error *err)
{
	size_t found = 0;

	for (size_t i = 0; i < new->n_apps; i++)
		found += pod_manifest_find_app(old, new->apps[i].name) != NULL;
	if (found == new->n_apps && found == old->n_apps)
		return 0;
	return error_set(err, EINVAL,
			 "pod %s has other apps than those given: use "
			 "--replace to start anew",
			 o->pod_name);
}

/* --- what updates have made of it ------------------------------------------
 */

/* True if app I was asked for by the same words, which mean the image they
 * meant then, or one the app has gone back from. */
static bool is_asked_again(const struct made *made, size_t i,
			   const struct pod *pod)
{
	const char *app = made->manifest.apps[i].name;
	cleanup_strv struct strv asked = STRV_INIT;
	cleanup_free char *image =
		update_image_label(&made->images[i].manifest);

	if (app_asked_load(pod->fd, app, &asked, NULL) < 0 ||
	    strcmp(asked.v[0], made->asked.v[i]) != 0)
		return false;
	return strcmp(asked.v[1], made->images[i].id.text) == 0 ||
	       update_is_held(pod->fd, app, image);
}

/* 1 if what updates have made of app I stays, which is MADE's then. */
static int keep_image(struct made *made, size_t i, const struct pod *pod,
		      struct error *err)
{
	const char *app = made->manifest.apps[i].name;
	cleanup_pod_image struct pod_image image = POD_IMAGE_INIT;
	cleanup_free char *text = NULL;
	unsigned int n;
	int r = generation_current(pod->fd, app, &n, err);

	if (r == 0)
		r = generation_image_load(pod->fd, app, n, &image, err);
	if (r < 0 || strcmp(image.id.text, made->images[i].id.text) == 0 ||
	    !is_asked_again(made, i, pod))
		return r;
	text = update_image_label(&image.manifest);
	log_info("app %s goes on as %s, which it was updated or rolled back to",
		 app, text);
	pod_image_release(&made->images[i]);
	made->images[i] = image;
	image = (struct pod_image)POD_IMAGE_INIT;
	return 1;
}

/* The apps of a pod manifest as they are committed. */
static void keep_apps(struct made *made, const struct pod_manifest *old,
		      const bool *kept)
{
	for (size_t i = 0; i < made->n_images; i++) {
		struct runtime_app *ra = &made->manifest.apps[i];

		struct runtime_app copy = RUNTIME_APP_INIT;

		if (!kept[i])
			continue;
		runtime_app_copy(&copy, pod_manifest_find_app(old, ra->name));
		runtime_app_release(ra);
		*ra = copy;
	}
}

static int keep_images(const struct make_opts *o, struct made *made,
		       const struct pod_manifest *old, const struct pod *pod,
		       struct error *err)
{
	bool kept[POD_APPS_MAX] = {false};
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < made->n_images && r >= 0; i++) {
		r = keep_image(made, i, pod, err);
		kept[i] = r > 0;
		any |= kept[i];
	}
	if (r < 0 || !any)
		return r;
	if (!made->words) {
		keep_apps(made, old, kept);
		return 0;
	}
	pod_manifest_release(&made->manifest);
	made->manifest = (struct pod_manifest)POD_MANIFEST_INIT;
	r = made_build_manifest(&o->req, made, err);
	return r < 0 ? r : pod_volumes_resolve(&made->manifest, err);
}

/* For the next time. */
static int note_asked(const struct made *made, const struct strv *meant,
		      const struct pod *pod, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < made->n_images && r == 0; i++) {
		const char *app = made->manifest.apps[i].name;
		cleanup_strv struct strv old = STRV_INIT;

		if (app_asked_load(pod->fd, app, &old, NULL) == 0 &&
		    strcmp(old.v[0], made->asked.v[i]) == 0 &&
		    strcmp(old.v[1], meant->v[i]) == 0)
			continue;
		r = app_asked_save(pod->fd, app, made->asked.v[i], meant->v[i],
				   err);
	}
	return r;
}

/* --- what changes ----------------------------------------------------------
 */

static bool has_other_words(const struct made *made, size_t i,
			    const struct pod *pod)
{
	cleanup_strv struct strv old = STRV_INIT;

	return made->words &&
	       app_args_load(pod->fd, made->manifest.apps[i].name, &old,
			     NULL) == 0 &&
	       !strv_equal(&old, &made->words[i]);
}

/* 1 if the app's image is another than that of its committed generation, or
 * its flags in the file are. */
static int is_changed(const struct make_opts *o, const struct made *made,
		      size_t i, const struct pod *pod, struct error *err)
{
	const char *app = made->manifest.apps[i].name;
	struct image_id id;
	unsigned int n;
	int r = generation_current(pod->fd, app, &n, err);

	if (r == 0)
		r = generation_image_id(pod->fd, app, n, &id, err);
	if (r < 0)
		return r;
	return strcmp(id.text, made->images[i].id.text) != 0 ||
	       (o->pod_file && has_other_words(made, i, pod));
}

static void warn_other_words(const struct made *made, size_t i,
			     const struct pod *pod)
{
	if (has_other_words(made, i, pod))
		log_warning("app %s has the same image: it keeps the flags and "
			    "arguments the pod was made with (--replace "
			    "starts anew)",
			    made->manifest.apps[i].name);
}

static int add_generation(struct images *im, const struct make_opts *o,
			  const struct made *made, size_t i, struct pod *pod,
			  struct error *err)
{
	const struct runtime_app *ra = &made->manifest.apps[i];
	cleanup_fd int tree = -EBADF;
	unsigned int current, n;
	int r = generation_current(pod->fd, ra->name, &current, err);

	if (r == 0)
		r = update_remove_stale(pod->fd, ra->name, err);
	if (r == 0)
		r = update_next_number(pod->fd, ra->name, &n, err);
	/* The pod stays one of copies, as it does in rkt update. */
	if (r == 0 &&
	    (o->no_overlay || generation_is_copy(pod->fd, ra->name, current)))
		r = treestore_open(&im->trees, &made->images[i].id, &tree, err);
	if (r == 0)
		r = generation_write(pod->fd, n, ra, &made->images[i], tree,
				     err);
	if (r == 0 && made->words)
		r = app_args_save(pod->fd, ra->name, &made->words[i], true,
				  err);
	if (r == 0)
		r = pod_files_sync(pod->fd, err);
	if (r == 0)
		r = generation_commit(pod->fd, ra->name, n, true, err);
	if (r == 0)
		r = update_note_change(pod->fd, ra->name, current, n, err);
	if (r == 0)
		r = update_collect(pod->fd, ra->name, err);
	return r;
}

/* A generation must never be committed before the volumes it mounts. */
static int add_volumes(struct pod_manifest *old, const struct pod_manifest *new,
		       struct pod *pod, struct error *err)
{
	bool any = false;

	for (size_t i = 0; i < new->n_volumes; i++) {
		if (pod_manifest_find_volume(old, new->volumes[i].name))
			continue;
		volume_copy(pod_manifest_add_volume(old), &new->volumes[i]);
		any = true;
	}
	return any ? pod_manifest_save(pod->fd, old, true, err) : 0;
}

static int change(struct images *im, const struct make_opts *o,
		  const struct made *made, const bool *changed,
		  struct pod_manifest *old, struct pod *pod, struct error *err)
{
	int r = pod_volumes_make(pod->fd, &made->manifest, err);

	if (r == 0)
		r = add_volumes(old, &made->manifest, pod, err);
	for (size_t i = 0; i < made->n_images && r == 0; i++)
		if (changed[i])
			r = add_generation(im, o, made, i, pod, err);
	if (r == 0)
		r = pod_manifest_save(pod->fd, &made->manifest, true, err);
	return r;
}

static int change_what_differs(struct images *im, const struct make_opts *o,
			       const struct made *made,
			       struct pod_manifest *old, struct pod *pod,
			       struct error *err)
{
	bool changed[POD_APPS_MAX] = {false};
	bool any = false;

	for (size_t i = 0; i < made->n_images; i++) {
		int r = is_changed(o, made, i, pod, err);

		if (r < 0)
			return r;
		changed[i] = r > 0;
		any |= changed[i];
		if (r == 0)
			warn_other_words(made, i, pod);
	}
	/* The file may say other ports and volumes. */
	if (!any && !o->pod_file)
		return 0;
	return change(im, o, made, changed, old, pod, err);
}

int made_change(struct images *im, const struct make_opts *o, struct made *made,
		struct pod *pod, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest old = POD_MANIFEST_INIT;
	cleanup_strv struct strv meant = STRV_INIT;
	int r = pod_manifest_load_committed(pod->fd, &old, err);

	if (r == 0)
		r = check_same_stage1(o, made, pod, err);
	if (r == 0)
		r = check_same_apps(o, &old, &made->manifest, err);
	for (size_t i = 0; i < made->n_images; i++)
		strv_push(&meant, made->images[i].id.text);
	if (r == 0)
		r = keep_images(o, made, &old, pod, err);
	if (r == 0)
		r = change_what_differs(im, o, made, &old, pod, err);
	return r < 0 ? r : note_asked(made, &meant, pod, err);
}
