/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_deps.h"

#include <errno.h>
#include <string.h>

#include "aci/image_fetcher.h"
#include "aci/imagestore.h"
#include "aci/parallel.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"

#define DEPTH_MAX 32

struct deps {
	struct image_fetcher *f;
	image_dep_fn fetch;
	struct strv done; /* IDs whose dependencies are all there */
	unsigned int depth;
};

static int deps_of(struct deps *d, const struct image_id *id,
		   struct error *err);

/* Empty lists are not in a canonical manifest: most have nothing to parse. */
static int read_dependencies(struct imagestore *store,
			     const struct image_id *id,
			     struct image_manifest *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = imagestore_read_manifest(store, id, &text, err);

	if (r < 0 || !strstr(text.buf, "\"dependencies\":"))
		return r;
	return image_manifest_parse(text.buf, text.len, ret, err);
}

static int fetch_with_deps(struct deps *d, const struct dependency *dep,
			   struct error *err)
{
	struct image_id id;
	int r = d->fetch(d->f, dep, false, &id, err);

	if (r >= 0)
		r = deps_of(d, &id, err);
	return r < 0 ? error_wrap(err, r, "dependency %s", dep->image_name) : 0;
}

/* --- several at a time --------------------------------------------------- */

struct missing {
	struct deps *deps;
	const struct dependency *const *v;
};

/* In a process of its own, with a store of its own, as databases want it. */
static int fetch_one_of_many(void *arg, size_t i, void *result,
			     struct error *err)
{
	const struct missing *m = arg;
	struct image_fetcher f = *m->deps->f;
	struct deps own = {&f, m->deps->fetch, STRV_INIT, m->deps->depth};
	int r;

	(void)result;
	f.is_one_of_many = true;
	r = imagestore_open(imagestore_data_dir(f.store), f.libexec_dir,
			    IMAGESTORE_CREATE, &f.store, err);
	return r < 0 ? r : fetch_with_deps(&own, m->v[i], err);
}

/* --- all of them --------------------------------------------------------- */

static int fetch_missing(struct deps *d, const struct dependency *const *deps,
			 size_t n, struct error *err)
{
	struct missing m = {d, deps};

	if (n > 1)
		return parallel_run(n, fetch_one_of_many, &m, NULL, 0, err);
	return n == 1 ? fetch_with_deps(d, deps[0], err) : 0;
}

static int deps_of_manifest(struct deps *d, const struct image_manifest *im,
			    struct error *err)
{
	cleanup_free const struct dependency **missing =
		xreallocarray(NULL, im->n_dependencies + 1, sizeof(*missing));
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < im->n_dependencies; i++) {
		const struct dependency *dep = &im->dependencies[i];
		struct image_id id;

		r = d->fetch(d->f, dep, true, &id, err);
		if (r == -ENOENT) {
			missing[n++] = dep;
			r = 0;
		} else if (r >= 0) {
			r = deps_of(d, &id, err);
		}
		if (r < 0)
			return error_wrap(err, r, "dependency %s",
					  dep->image_name);
	}
	return fetch_missing(d, missing, n, err);
}

static int deps_of(struct deps *d, const struct image_id *id, struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	int r;

	if (strv_has(&d->done, id->text))
		return 0;
	if (d->depth >= DEPTH_MAX)
		return error_set(err, ELOOP,
				 "dependencies are nested more than %d deep",
				 DEPTH_MAX);
	r = read_dependencies(d->f->store, id, &im, err);
	if (r == 0 && im.n_dependencies > 0) {
		d->depth++;
		r = deps_of_manifest(d, &im, err);
		d->depth--;
	}
	if (r == 0)
		strv_push(&d->done, id->text);
	return r;
}

int image_deps_fetch(struct image_fetcher *f, const struct image_id *id,
		     image_dep_fn fetch, struct error *err)
{
	struct deps d = {f, fetch, STRV_INIT, 0};
	int r = deps_of(&d, id, err);

	strv_release(&d.done);
	return r;
}
