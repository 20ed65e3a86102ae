/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/render.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"

/* The chain from the top image down to the one at hand. */
struct chain {
	const struct chain *up;
	size_t image;
	bool is_filtered;
	struct strv keep;
};

void render_plan_release(struct render_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		strv_release(&plan->v[i].keep);
	free(plan->v);
	*plan = (struct render_plan)RENDER_PLAN_INIT;
}

/* Adds the cleaned paths of LIST that ABOVE (if it filters) has too. */
static void keep_make(struct strv *keep, const struct strv *list,
		      const struct chain *above)
{
	for (size_t i = 0; i < list->n; i++) {
		cleanup_free char *absolute = xasprintf("/%s", list->v[i]);
		cleanup_free char *clean = path_clean(absolute);

		if (!above || !above->is_filtered ||
		    strv_sorted_has(&above->keep, clean))
			strv_push(keep, clean);
	}
	strv_sort(keep);
}

static void filter_make(struct chain *link, const struct strv *list)
{
	const struct chain *up = link->up;

	if (list->n > 0)
		keep_make(&link->keep, list, up);
	else if (up && up->is_filtered)
		strv_append(&link->keep, &up->keep);
	link->is_filtered = list->n > 0 || (up && up->is_filtered);
}

static int check_loop(const struct render_image *images,
		      const struct chain *link, struct error *err)
{
	for (const struct chain *c = link->up; c; c = c->up)
		if (c->image == link->image)
			return error_set(err, ELOOP,
					 "image %s depends on itself",
					 images[link->image].name);
	return 0;
}

static int add_pass(struct render_plan *plan, struct chain *link, bool is_layer,
		    struct error *err)
{
	struct render_pass *pass;

	if (plan->n >= RENDER_PASSES_MAX)
		return error_set(err, E2BIG,
				 "more than %d images to lay over each other",
				 RENDER_PASSES_MAX);
	plan->v = xreallocarray(plan->v, plan->n + 1, sizeof(*plan->v));
	pass = &plan->v[plan->n++];
	pass->image = link->image;
	pass->is_layer = is_layer;
	pass->is_filtered = link->is_filtered;
	pass->keep = link->keep;
	link->keep = (struct strv)STRV_INIT;
	return 0;
}

static int add_image(const struct render_image *images, size_t image,
		     const struct chain *up, struct render_plan *plan,
		     struct error *err)
{
	const struct render_image *im = &images[image];
	struct chain link = {.up = up, .image = image};
	int r;

	r = check_loop(images, &link, err);
	if (r < 0)
		return r;
	filter_make(&link, im->path_whitelist);
	for (size_t i = 0; r >= 0 && i < im->n_dependencies; i++)
		r = add_image(images, im->dependencies[i], &link, plan, err);
	if (r >= 0)
		r = add_pass(plan, &link, im->is_layer, err);
	strv_release(&link.keep);
	return r;
}

int render_make(const struct render_image *images, size_t top,
		struct render_plan *ret, struct error *err)
{
	cleanup_render_plan struct render_plan plan = RENDER_PLAN_INIT;
	int r;

	r = add_image(images, top, NULL, &plan, err);
	if (r < 0)
		return r;
	*ret = plan;
	plan = (struct render_plan)RENDER_PLAN_INIT;
	return 0;
}

bool render_keeps(const struct render_pass *pass, const char *path)
{
	return !pass->is_filtered || strcmp(path, "/") == 0 ||
	       strv_sorted_has(&pass->keep, path);
}
