/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_RENDER_LOAD_H
#define ACI_RENDER_LOAD_H

/* The stored images that take part in rendering one image. */

#include <stdbool.h>
#include <stddef.h>

#include "aci/render.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"

struct error;
struct imagestore;

struct render_member {
	struct image_id id;
	struct image_manifest manifest;
	size_t *dependencies; /* indices of members, as in the manifest */
	bool is_layer;	      /* of an OCI image (spec/oci.h) */
};

/* The image itself is v[0]. */
struct render_set {
	struct render_member *v;
	size_t n;
};

#define RENDER_SET_INIT                                                        \
	{                                                                      \
		NULL, 0                                                        \
	}

void render_set_release(struct render_set *set);
#define cleanup_render_set __attribute__((__cleanup__(render_set_release)))

/*
 * Reads the manifests of ID and of everything it depends on, all of which
 * count as used now.  -ENOENT, saying which and for whom, if a dependency is
 * not stored.
 */
int render_set_load(struct imagestore *store, const struct image_id *id,
		    struct render_set *ret, struct error *err);

/* render_make() for v[0]. */
int render_set_plan(const struct render_set *set, struct render_plan *ret,
		    struct error *err);

#endif
