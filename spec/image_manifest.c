/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/image_manifest.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/acidentifier.h"
#include "spec/image_id.h"
#include "spec/json_read.h"
#include "spec/manifest_head.h"

#define KIND "ImageManifest"

static void dependency_release(struct dependency *d)
{
	free(d->image_name);
	free(d->image_id);
	name_values_release(&d->labels);
}

void image_manifest_release(struct image_manifest *im)
{
	free(im->ac_version);
	free(im->name);
	name_values_release(&im->labels);
	app_release(&im->app);
	for (size_t i = 0; i < im->n_dependencies; i++)
		dependency_release(&im->dependencies[i]);
	free(im->dependencies);
	strv_release(&im->path_whitelist);
	name_values_release(&im->annotations);
	*im = (struct image_manifest)IMAGE_MANIFEST_INIT;
}

/* --- reading ---------------------------------------------------------------
 */

static void read_name(const struct json_node *object, const char *key,
		      char **ret)
{
	struct json_node node;

	if (!json_member_or_null(object, key, &node))
		json_problem(object, "%s is missing", key);
	else
		json_get_checked(object, key, acidentifier_check, ret);
}

static void dependency_read(const struct json_node *object,
			    struct dependency *ret)
{
	struct json_node node;
	int64_t size = 0;

	if (!json_want_object(object))
		return;
	read_name(object, "imageName", &ret->image_name);
	if (json_member(object, "imageID", &node))
		json_get_checked(object, "imageID", image_id_check_text,
				 &ret->image_id);
	if (json_member(object, "labels", &node))
		name_values_read(&node, NAME_VALUES_LABELS, &ret->labels);
	json_get_int(object, "size", 0, INT64_MAX, &size);
	ret->size = (uint64_t)size;
}

static void read_dependency(const struct json_node *item, void *arg)
{
	struct image_manifest *im = arg;
	struct dependency *d;

	im->dependencies =
		xreallocarray(im->dependencies, im->n_dependencies + 1,
			      sizeof(*im->dependencies));
	d = &im->dependencies[im->n_dependencies++];
	*d = (struct dependency){0};
	dependency_read(item, d);
}

static void check_whitelist(const struct json_node *object,
			    const struct strv *whitelist)
{
	for (size_t i = 0; i < whitelist->n; i++)
		if (whitelist->v[i][0] != '/')
			json_warning(object,
				     "pathWhitelist entry '%s' is not an "
				     "absolute path",
				     whitelist->v[i]);
}

static void image_manifest_read(const struct json_node *object,
				struct image_manifest *ret)
{
	struct json_node node;

	if (!json_want_object(object))
		return;
	manifest_read_kind(object, KIND);
	manifest_read_version(object, true, &ret->ac_version);
	read_name(object, "name", &ret->name);
	if (json_member(object, "labels", &node))
		name_values_read(&node, NAME_VALUES_LABELS, &ret->labels);
	if (json_member(object, "app", &node)) {
		ret->has_app = true;
		app_read(&node, &ret->app);
	}
	json_for_each(object, "dependencies", read_dependency, ret);
	json_get_strv(object, "pathWhitelist", &ret->path_whitelist);
	check_whitelist(object, &ret->path_whitelist);
	if (json_member(object, "annotations", &node))
		name_values_read(&node, NAME_VALUES_ANNOTATIONS,
				 &ret->annotations);
}

static int parse(const char *buf, size_t len, struct problems *problems,
		 struct image_manifest *ret, struct error *err)
{
	struct json_doc doc cleanup_json_doc = {0};
	struct json_node root;
	int r;

	r = json_doc_parse(&doc, buf, len, problems, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	image_manifest_read(&root, ret);
	return json_doc_result(&doc);
}

int image_manifest_parse(const char *buf, size_t len,
			 struct image_manifest *ret, struct error *err)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;
	int r = parse(buf, len, NULL, &im, err);

	if (r < 0)
		return error_wrap(err, r, "image manifest");
	*ret = im;
	im = (struct image_manifest)IMAGE_MANIFEST_INIT;
	return 0;
}

int image_manifest_validate(const char *buf, size_t len,
			    struct problems *problems)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;

	return parse(buf, len, problems, &im, NULL);
}

/* --- writing ---------------------------------------------------------------
 */

static void write_dependencies(const struct image_manifest *im,
			       struct json_writer *w)
{
	if (im->n_dependencies == 0)
		return;
	json_open_array(w, "dependencies");
	for (size_t i = 0; i < im->n_dependencies; i++) {
		const struct dependency *d = &im->dependencies[i];

		json_open_object(w, NULL);
		json_add_string(w, "imageName", d->image_name);
		json_add_string_if(w, "imageID", d->image_id);
		name_values_write(&d->labels, "labels", w);
		if (d->size)
			json_add_uint(w, "size", d->size);
		json_close_object(w);
	}
	json_close_array(w);
}

void image_manifest_write(const struct image_manifest *im,
			  enum json_style style, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, style);
	json_open_object(&w, NULL);
	json_add_string(&w, "acKind", KIND);
	json_add_string(&w, "acVersion", im->ac_version);
	json_add_string(&w, "name", im->name);
	name_values_write(&im->labels, "labels", &w);
	if (im->has_app)
		app_write(&im->app, "app", &w);
	write_dependencies(im, &w);
	if (im->path_whitelist.n)
		json_add_strv(&w, "pathWhitelist", &im->path_whitelist);
	name_values_write(&im->annotations, "annotations", &w);
	json_close_object(&w);
}
