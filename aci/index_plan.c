/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/index_plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "aci/erofs_write.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"

void index_plan_release(struct index_plan *plan)
{
	free(plan->layers);
	render_plan_release(&plan->passes);
	*plan = (struct index_plan)INDEX_PLAN_INIT;
}

static void add_number(struct strbuf *sb, size_t n)
{
	uint32_t number = (uint32_t)n;

	strbuf_add(sb, &number, sizeof(number));
}

void index_plan_write(const struct index_plan *plan, struct strbuf *sb)
{
	add_number(sb, plan->n_layers);
	add_number(sb, plan->passes.n);
	for (size_t i = 0; i < plan->n_layers; i++) {
		add_number(sb, plan->layers[i].format);
		strbuf_add(sb, plan->layers[i].digest,
			   sizeof(plan->layers[i].digest));
		strbuf_add(sb, &plan->layers[i].size,
			   sizeof(plan->layers[i].size));
	}
	for (size_t i = 0; i < plan->passes.n; i++) {
		const struct render_pass *pass = &plan->passes.v[i];

		add_number(sb, pass->image);
		add_number(sb, pass->is_filtered);
		add_number(sb, pass->keep.n);
		for (size_t k = 0; k < pass->keep.n; k++)
			strbuf_add(sb, pass->keep.v[k],
				   strlen(pass->keep.v[k]) + 1);
	}
}

struct cursor {
	const char *p, *end;
};

static bool take(struct cursor *c, void *ret, size_t len)
{
	if ((size_t)(c->end - c->p) < len)
		return false;
	memcpy(ret, c->p, len);
	c->p += len;
	return true;
}

static bool take_number(struct cursor *c, size_t max, size_t *ret)
{
	uint32_t number = 0;

	if (!take(c, &number, sizeof(number)) || number > max)
		return false;
	*ret = number;
	return true;
}

static bool take_layers(struct cursor *c, struct index_plan *plan)
{
	plan->layers = xcalloc(plan->n_layers + 1, sizeof(*plan->layers));
	for (size_t i = 0; i < plan->n_layers; i++) {
		struct index_layer *layer = &plan->layers[i];

		if (!take(c, &layer->format, sizeof(layer->format)) ||
		    layer->format > INDEX_LAYER_OCI ||
		    !take(c, layer->digest, sizeof(layer->digest)) ||
		    !take(c, &layer->size, sizeof(layer->size)))
			return false;
	}
	return true;
}

static bool take_pass(struct cursor *c, struct index_plan *plan)
{
	struct render_pass *pass = &plan->passes.v[plan->passes.n++];
	size_t filtered = 0, n = 0;

	if (!take_number(c, plan->n_layers - 1, &pass->image) ||
	    !take_number(c, 1, &filtered) || !take_number(c, UINT32_MAX, &n))
		return false;
	pass->is_filtered = filtered;
	for (size_t i = 0; i < n; i++) {
		const char *nul = memchr(c->p, '\0', (size_t)(c->end - c->p));

		if (!nul || *c->p != '/')
			return false;
		strv_push(&pass->keep, c->p);
		c->p = nul + 1;
	}
	return true;
}

static bool take_plan(struct cursor *c, struct index_plan *plan)
{
	size_t n = 0;

	if (!take_number(c, EROFS_DEVICES_MAX, &plan->n_layers) ||
	    !take_number(c, RENDER_PASSES_MAX, &n) || plan->n_layers == 0 ||
	    !take_layers(c, plan))
		return false;
	plan->passes.v = xcalloc(n + 1, sizeof(*plan->passes.v));
	while (plan->passes.n < n)
		if (!take_pass(c, plan))
			return false;
	return c->p == c->end;
}

int index_plan_parse(const char *buf, size_t len, struct index_plan *ret,
		     struct error *err)
{
	cleanup_index_plan struct index_plan plan = INDEX_PLAN_INIT;
	struct cursor c = {buf, buf + len};

	if (!take_plan(&c, &plan))
		return error_set(err, EPROTO, "read the plan of an index");
	*ret = plan;
	plan = (struct index_plan)INDEX_PLAN_INIT;
	return 0;
}
