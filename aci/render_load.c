/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/render_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aci/imagestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/image_ref.h"
#include "spec/oci.h"

void render_set_release(struct render_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		image_manifest_release(&set->v[i].manifest);
		free(set->v[i].dependencies);
	}
	free(set->v);
	*set = (struct render_set)RENDER_SET_INIT;
}

/* The index of ID, appended if it is new. */
static size_t member_of(struct render_set *set, const struct image_id *id)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->v[i].id.text, id->text) == 0)
			return i;
	set->v = xreallocarray(set->v, set->n + 1, sizeof(*set->v));
	set->v[set->n] = (struct render_member){.id = *id};
	return set->n++;
}

/* An ID decides alone; else name and labels, without defaults: a dependency
 * without an arch label fits any (aci.md). */
static int find_dependency(struct imagestore *store,
			   const struct dependency *dep, struct image_id *ret,
			   struct error *err)
{
	const struct image_ref ref = {.name = dep->image_name,
				      .labels = dep->labels};

	if (dep->image_id)
		return imagestore_find_id(store, dep->image_id, ret, err);
	return imagestore_find_name(store, &ref, ret, err);
}

static int load_dependency(struct imagestore *store, const char *user,
			   const struct dependency *dep, struct image_id *ret,
			   struct error *err)
{
	int r = find_dependency(store, dep, ret, err);

	if (r == -ENOENT)
		return error_set(err, ENOENT,
				 "image %s depends on %s, which is not in the "
				 "store: fetch it first",
				 user, dep->image_name);
	if (r < 0)
		return error_prefix(err, r, "dependency %s of %s",
				    dep->image_name, user);
	return 0;
}

/* Fills v[AT]; new dependencies are appended to the set. */
static int load_member(struct imagestore *store, struct render_set *set,
		       size_t at, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	size_t n;
	int r;

	r = imagestore_read_manifest(store, &set->v[at].id, &text, err);
	if (r >= 0)
		r = image_manifest_parse(text.buf, text.len,
					 &set->v[at].manifest, err);
	if (r < 0)
		return error_prefix(err, r, "stored manifest of %.*s",
				    IMAGE_ID_FULL_LEN, set->v[at].id.text);
	set->v[at].is_layer = oci_is_layer_name(set->v[at].manifest.name);
	n = set->v[at].manifest.n_dependencies;
	set->v[at].dependencies = xcalloc(n + 1, sizeof(size_t));
	for (size_t i = 0; i < n; i++) {
		const struct image_manifest *im = &set->v[at].manifest;
		struct image_id id;
		size_t index;

		r = load_dependency(store, im->name, &im->dependencies[i], &id,
				    err);
		if (r < 0)
			return r;
		index = member_of(set, &id); /* moves the set */
		set->v[at].dependencies[i] = index;
	}
	return 0;
}

int render_set_load(struct imagestore *store, const struct image_id *id,
		    struct render_set *ret, struct error *err)
{
	cleanup_render_set struct render_set set = RENDER_SET_INIT;

	(void)member_of(&set, id);
	for (size_t i = 0; i < set.n; i++) {
		int r;

		if (i >= RENDER_PASSES_MAX)
			return error_set(err, E2BIG,
					 "image %s depends on more than %d "
					 "images",
					 id->text, RENDER_PASSES_MAX);
		r = load_member(store, &set, i, err);
		if (r < 0)
			return r;
		imagestore_touch(store, &set.v[i].id);
	}
	*ret = set;
	set = (struct render_set)RENDER_SET_INIT;
	return 0;
}

int render_set_plan(const struct render_set *set, struct render_plan *ret,
		    struct error *err)
{
	cleanup_free struct render_image *images =
		xcalloc(set->n, sizeof(*images));

	for (size_t i = 0; i < set->n; i++) {
		const struct image_manifest *im = &set->v[i].manifest;

		images[i] = (struct render_image){
			.name = im->name,
			.path_whitelist = &im->path_whitelist,
			.dependencies = set->v[i].dependencies,
			.n_dependencies = im->n_dependencies,
			.is_layer = set->v[i].is_layer,
		};
	}
	return render_make(images, 0, ret, err);
}
