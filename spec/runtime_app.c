/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/runtime_app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/acidentifier.h"
#include "spec/acname.h"
#include "spec/image_id.h"
#include "spec/json_read.h"

static void runtime_image_release(struct runtime_image *image)
{
	free(image->name);
	free(image->id);
	name_values_release(&image->labels);
}

void runtime_app_release(struct runtime_app *ra)
{
	free(ra->name);
	runtime_image_release(&ra->image);
	app_release(&ra->app);
	for (size_t i = 0; i < ra->n_mounts; i++)
		mount_release(&ra->mounts[i]);
	free(ra->mounts);
	name_values_release(&ra->annotations);
	*ra = (struct runtime_app)RUNTIME_APP_INIT;
}

void runtime_app_copy(struct runtime_app *ret, const struct runtime_app *ra)
{
	const struct runtime_image *image = &ra->image;

	*ret = (struct runtime_app){
		.name = ra->name ? xstrdup(ra->name) : NULL,
		.image.name = image->name ? xstrdup(image->name) : NULL,
		.image.id = image->id ? xstrdup(image->id) : NULL,
		.has_app = ra->has_app,
		.read_only_rootfs = ra->read_only_rootfs,
	};
	name_values_copy(&ret->image.labels, &image->labels);
	app_copy(&ret->app, &ra->app);
	name_values_copy(&ret->annotations, &ra->annotations);
	if (ra->n_mounts == 0)
		return;
	ret->mounts = xcalloc(ra->n_mounts, sizeof(*ret->mounts));
	ret->n_mounts = ra->n_mounts;
	for (size_t i = 0; i < ra->n_mounts; i++)
		mount_copy(&ret->mounts[i], &ra->mounts[i]);
}

/* --- mounts ----------------------------------------------------------------
 */

void runtime_app_annotate_mounts(struct runtime_app *ra)
{
	for (size_t i = 0; i < ra->n_mounts; i++) {
		char *name cleanup_free = NULL;
		struct strbuf text cleanup_strbuf = STRBUF_INIT;

		if (!mount_has_options(&ra->mounts[i]))
			continue;
		name = xasprintf(MOUNT_ANNOTATION "%zu", i + 1);
		mount_format_options(&ra->mounts[i], &text);
		name_values_set(&ra->annotations, name, text.buf);
	}
}

bool runtime_app_mounts_read_only(const struct runtime_app *ra,
				  const struct mount *m, const struct volume *v)
{
	if (v->read_only == TRISTATE_TRUE || m->read_only == TRISTATE_TRUE)
		return true;
	if (v->read_only == TRISTATE_FALSE || m->read_only == TRISTATE_FALSE)
		return false;
	for (size_t i = 0; i < ra->app.n_mount_points; i++)
		if (ra->app.mount_points[i].path &&
		    path_equal(ra->app.mount_points[i].path, m->path))
			return ra->app.mount_points[i].read_only;
	return false;
}

static int take_options(struct runtime_app *ra, struct mount *options,
			struct error *err)
{
	for (size_t i = 0; i < ra->n_mounts; i++) {
		if (!ra->mounts[i].path ||
		    !path_equal(ra->mounts[i].path, options->path))
			continue;
		mount_take_options(&ra->mounts[i], options);
		return 0;
	}
	return error_set(err, EINVAL, "the app has no mount at %s",
			 options->path);
}

/* What annotations say of mounts. */
static void read_mount_options(const struct json_node *object,
			       struct runtime_app *ra)
{
	for (size_t i = 0; i < ra->annotations.n; i++) {
		const struct name_value *nv = &ra->annotations.v[i];
		struct mount options cleanup_mount = {0};
		struct error err = ERROR_INIT;
		int r;

		if (!nv->name || !nv->value ||
		    strncmp(nv->name, MOUNT_ANNOTATION,
			    strlen(MOUNT_ANNOTATION)) != 0)
			continue;
		r = mount_parse_options(nv->value, &options, &err);
		if (r == 0)
			r = take_options(ra, &options, &err);
		if (r < 0)
			json_problem(object, "annotation %s: %s", nv->name,
				     err.msg);
	}
}

/* --- reading ---------------------------------------------------------------
 */

static void runtime_image_read(const struct json_node *object,
			       struct runtime_image *ret)
{
	struct json_node node;

	if (!json_want_object(object))
		return;
	if (json_member(object, "name", &node))
		json_get_checked(object, "name", acidentifier_check,
				 &ret->name);
	if (json_member(object, "id", &node))
		json_get_checked(object, "id", image_id_check_text, &ret->id);
	if (json_member(object, "labels", &node))
		name_values_read(&node, NAME_VALUES_LABELS, &ret->labels);
}

static void read_mount(const struct json_node *item, void *arg)
{
	struct runtime_app *ra = arg;
	struct mount *m;

	ra->mounts = xreallocarray(ra->mounts, ra->n_mounts + 1,
				   sizeof(*ra->mounts));
	m = &ra->mounts[ra->n_mounts++];
	*m = (struct mount){0};
	mount_read(item, m);
}

void runtime_app_read(const struct json_node *object, struct runtime_app *ret)
{
	struct json_node node;

	if (!json_want_object(object))
		return;
	json_get_checked(object, "name", acname_check, &ret->name);
	if (json_member(object, "image", &node))
		runtime_image_read(&node, &ret->image);
	if (json_member(object, "app", &node)) {
		ret->has_app = true;
		app_read(&node, &ret->app);
	}
	json_get_bool(object, "readOnlyRootFS", &ret->read_only_rootfs);
	json_for_each(object, "mounts", read_mount, ret);
	if (json_member(object, "annotations", &node))
		name_values_read(&node, NAME_VALUES_ANNOTATIONS,
				 &ret->annotations);
	read_mount_options(object, ret);
}

int runtime_app_parse(const char *buf, size_t len, struct runtime_app *ret,
		      struct error *err)
{
	struct runtime_app ra cleanup_runtime_app = RUNTIME_APP_INIT;
	struct json_doc doc cleanup_json_doc = {0};
	struct json_node root;
	int r;

	r = json_doc_parse(&doc, buf, len, NULL, err);
	if (r == 0) {
		root = json_root(&doc);
		runtime_app_read(&root, &ra);
		r = json_doc_result(&doc);
	}
	if (r < 0)
		return error_wrap(err, r, "app of a pod manifest");
	*ret = ra;
	ra = (struct runtime_app)RUNTIME_APP_INIT;
	return 0;
}

static void runtime_image_write(const struct runtime_image *image,
				struct json_writer *w)
{
	json_open_object(w, "image");
	json_add_string_if(w, "name", image->name);
	json_add_string_if(w, "id", image->id);
	name_values_write(&image->labels, "labels", w);
	json_close_object(w);
}

void runtime_app_add(const struct runtime_app *ra, struct json_writer *w)
{
	json_open_object(w, NULL);
	json_add_string_if(w, "name", ra->name);
	runtime_image_write(&ra->image, w);
	if (ra->has_app)
		app_write(&ra->app, "app", w);
	if (ra->read_only_rootfs)
		json_add_bool(w, "readOnlyRootFS", true);
	if (ra->n_mounts) {
		json_open_array(w, "mounts");
		for (size_t i = 0; i < ra->n_mounts; i++)
			mount_write(&ra->mounts[i], w);
		json_close_array(w);
	}
	name_values_write(&ra->annotations, "annotations", w);
	json_close_object(w);
}

void runtime_app_write(const struct runtime_app *ra, enum json_style style,
		       struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, style);
	runtime_app_add(ra, &w);
}
