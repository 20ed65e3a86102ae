/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "cmd/rkt/auto_update_work.h"
#include "cmd/rkt/cmd.h"
#include "spec/image_ref.h"
#include "stage0/update_plan.h"

/* The image without its version, with all that is chosen besides. */
static void format_name(const struct pod_image *image, struct strbuf *out)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	const struct name_values *labels = &image->manifest.labels;

	ref.name = xstrdup(image->manifest.name);
	for (size_t i = 0; i < labels->n; i++)
		if (strcmp(labels->v[i].name, "version") != 0)
			name_values_add(&ref.labels, labels->v[i].name,
					labels->v[i].value);
	image_ref_format(&ref, out);
}

/* Asks for a name but once in a run. */
static int fetch(struct auto_update_work *w, const char *name,
		 struct image_id *ret, struct error *err)
{
	struct auto_update_run *run = w->run;
	struct auto_update_fetched *f;
	struct error why = ERROR_INIT;
	size_t i = 0;

	while (i < run->n_fetched && strcmp(run->fetched[i].name, name) != 0)
		i++;
	if (i == run->n_fetched) {
		run->fetched = xreallocarray(run->fetched, i + 1,
					     sizeof(*run->fetched));
		f = &run->fetched[run->n_fetched++];
		*f = (struct auto_update_fetched){.name = xstrdup(name)};
		w->im.fetcher.policy = PULL_UPDATE;
		f->code = image_fetch(&w->im.fetcher, name, NULL, &f->id, &why);
		if (f->code < 0)
			f->why = xstrdup(error_innermost(&why));
	}
	f = &run->fetched[i];
	*ret = f->id;
	return f->code < 0 ? error_set(err, -f->code, "%s", f->why) : 0;
}

/* --- by version -------------------------------------------------------------
 */

/* The image is said, if one is chosen. */
static int choose(const struct auto_update_work *w,
		  const struct auto_update_app *a,
		  const struct image_rows *images, const struct strv *skip,
		  bool may_be_unsigned, struct error *err)
{
	const struct image_manifest *m = &a->image.manifest;
	const struct update_wanted wanted = {
		.app = a->ra->name,
		.skip = skip,
		.id = a->image.id.text,
		.name = m->name,
		.labels = &m->labels,
		.version = name_values_get(&m->labels, "version"),
		.may_be_unsigned = may_be_unsigned ||
				   w->run->call->rkt->insecure & INSECURE_IMAGE,
	};

	return update_choose(images, &wanted, err);
}

static void set_to(struct auto_update_result *r, const char *version,
		   const char *id)
{
	free(r->to);
	free(r->to_id);
	r->to = xstrdup(version);
	r->to_id = xstrdup(id);
}

/* None was chosen: is that because of what is held, or not signed? */
static void explain(struct auto_update_work *w, struct auto_update_app *a,
		    const struct image_rows *images, const struct strv *held,
		    const struct strv *why, const char *text)
{
	struct auto_update_result *result = auto_update_result(w, a);
	int i = choose(w, a, images, NULL, false, NULL);

	if (i >= 0) {
		cleanup_free char *image = xasprintf("%s:%s", images->v[i].name,
						     images->v[i].version);
		cleanup_free char *reason = NULL;
		size_t j = 0;

		while (j < held->n && strcmp(held->v[j], image) != 0)
			j++;
		reason = xasprintf("%s is held: %s (rkt update --to=%s tries "
				   "it again)",
				   images->v[i].version,
				   j < why->n ? why->v[j] : "it failed",
				   images->v[i].version);
		set_to(result, images->v[i].version, images->v[i].id);
		auto_update_end(result, OUTCOME_HELD, 0, reason);
		return;
	}
	i = choose(w, a, images, NULL, true, NULL);
	if (i < 0) {
		auto_update_end(result, OUTCOME_CURRENT, 0, NULL);
		return;
	}
	set_to(result, images->v[i].version, images->v[i].id);
	auto_update_end(result, OUTCOME_REFUSED, RKT_EXIT_REFUSED, text);
}

/* IMAGE is what is remembered of it, VERSION what people read. */
static void take(struct auto_update_work *w, struct auto_update_app *a,
		 const char *image, const char *version, const char *id)
{
	struct auto_update_result *result = auto_update_result(w, a);

	set_to(result, version, id);
	if (!auto_update_is_in_stage(w->run->machine.len ? w->run->machine.buf
							 : "",
				     image, w->run->share)) {
		auto_update_end(result, OUTCOME_NOT_IN_STAGE, 0,
				"this machine is not among the percentage "
				"that gets it now");
		return;
	}
	a->chosen = xstrdup(image);
	a->id = xstrdup(id);
}

static void find_held(const struct auto_update_work *w,
		      const struct auto_update_app *a, struct strv *held,
		      struct strv *why)
{
	const struct auto_update_facts facts = auto_update_facts(w, a);

	if (!w->run->opts->retry)
		auto_update_find_held(&w->record, &facts, w->run->tries, held,
				      why);
}

static int look_for_version(struct auto_update_work *w,
			    struct auto_update_app *a, struct error *err)
{
	cleanup_image_rows struct image_rows images = IMAGE_ROWS_INIT;
	cleanup_strbuf struct strbuf name = STRBUF_INIT;
	cleanup_strv struct strv held = STRV_INIT;
	cleanup_strv struct strv why = STRV_INIT;
	struct image_id id;
	int r = 0;

	format_name(&a->image, &name);
	if (auto_update_result(w, a)->mode == AUTO_UPDATE_REGISTRY)
		r = fetch(w, name.buf, &id, err);
	if (r == 0)
		r = imagestore_list(w->im.store, a->image.manifest.name,
				    &images, err);
	if (r < 0)
		return r;
	find_held(w, a, &held, &why);
	r = choose(w, a, &images, &held, false, err);
	if (r == -EALREADY) {
		explain(w, a, &images, &held, &why, error_innermost(err));
	} else if (r >= 0) {
		const struct image_row *row = &images.v[r];
		cleanup_free char *image = NULL;

		assert((size_t)r < images.n);
		image = xasprintf("%s:%s", row->name, row->version);
		take(w, a, image, row->version, row->id);
	}
	return r == -EALREADY || r >= 0 ? 0 : r;
}

/* --- by tag -----------------------------------------------------------------
 */

/* What registries have is not signed: somebody has to have allowed that. */
static int check_unsigned(struct auto_update_work *w,
			  const struct docker_ref *ref, struct error *err)
{
	cleanup_free char *name =
		xasprintf("%s/%s", ref->registry, ref->repository);

	if (w->run->call->rkt->insecure & INSECURE_IMAGE ||
	    auto_update_may_be_unsigned(&w->run->unsigned_from, name))
		return 0;
	return error_set(err, EPERM,
			 "images of registries are not signed: allow those of "
			 "%s with \"unsigned\": [\"%s\"] in auto-update.d "
			 "(rkt.conf(5)), or all with --insecure-options=image",
			 name, name);
}

static int find_tagged(struct auto_update_work *w, struct auto_update_app *a,
		       struct image_id *ret, struct error *err)
{
	cleanup_image_row struct image_row row = {0};
	cleanup_strbuf struct strbuf source = STRBUF_INIT;
	bool was_insecure = w->im.fetcher.insecure;
	int r;

	docker_ref_format(&a->ref, &source);
	if (auto_update_result(w, a)->mode == AUTO_UPDATE_REGISTRY) {
		w->im.fetcher.insecure = true;
		r = fetch(w, source.buf, ret, err);
		w->im.fetcher.insecure = was_insecure;
		return r;
	}
	*ret = a->image.id;
	r = imagestore_find_source(w->im.store, source.buf, &row, err);
	if (r == 0)
		r = image_id_parse(row.id, ret, err);
	return r == -ENOENT ? 0 : r;
}

static void end_held(struct auto_update_work *w, struct auto_update_app *a,
		     const char *version, const char *why)
{
	cleanup_free char *reason = xasprintf(
		"%s is held: %s (--release or --retry tries it again)", version,
		why);

	auto_update_end(auto_update_result(w, a), OUTCOME_HELD, 0, reason);
}

static int look_for_tag(struct auto_update_work *w, struct auto_update_app *a,
			struct error *err)
{
	struct auto_update_result *result = auto_update_result(w, a);
	cleanup_strv struct strv held = STRV_INIT;
	cleanup_strv struct strv why = STRV_INIT;
	cleanup_free char *version = NULL;
	struct image_id id;
	int r;

	if (!a->ref.tag) {
		auto_update_end(result, OUTCOME_CURRENT, 0,
				"its image was asked for by digest");
		return 0;
	}
	r = check_unsigned(w, &a->ref, err);
	if (r == 0)
		r = find_tagged(w, a, &id, err);
	if (r < 0)
		return r;
	if (strcmp(id.text, a->current) == 0) {
		auto_update_end(result, OUTCOME_CURRENT, 0, NULL);
		return 0;
	}
	version = auto_update_tag_text(a->ref.tag, id.text);
	find_held(w, a, &held, &why);
	for (size_t i = 0; i < held.n; i++)
		if (strcmp(held.v[i], id.text) == 0) {
			set_to(result, version, id.text);
			end_held(w, a, version, why.v[i]);
			return 0;
		}
	take(w, a, id.text, version, id.text);
	return 0;
}

/* --- each app ---------------------------------------------------------------
 */

void auto_update_look(struct auto_update_work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct auto_update_app *a = &w->v[i];
		struct error err = ERROR_INIT;
		bool is_refused;
		int r;

		if (a->is_unwell)
			continue;
		r = a->has_ref ? look_for_tag(w, a, &err)
			       : look_for_version(w, a, &err);
		is_refused = r == -EPERM || r == -EBADMSG;
		if (r < 0)
			auto_update_end(auto_update_result(w, a),
					is_refused ? OUTCOME_REFUSED
						   : OUTCOME_FAILED,
					is_refused ? RKT_EXIT_REFUSED
						   : RKT_EXIT_FAILURE,
					error_innermost(&err));
	}
}
