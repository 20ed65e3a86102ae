/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_RENDER_H
#define ACI_RENDER_H

/*
 * Which images are laid over each other to make an image's root file system
 * (ace.md, "Filesystem Setup"), as data: dependencies in listed order, depth
 * first, once for each way they are reached, then the image itself; the last
 * one wins.  A file of an image survives if every path whitelist from that
 * image up to the top, its own included, names it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"

struct error;

#define RENDER_PASSES_MAX 256

/* One image of those taking part. */
struct render_image {
	const char *name; /* for messages */
	const struct strv *path_whitelist;
	const size_t *dependencies; /* indices of images */
	size_t n_dependencies;
	bool is_layer; /* of an OCI image: it may hold whiteouts */
};

/* One image laid over what the passes before it made. */
struct render_pass {
	size_t image;
	bool is_layer;	  /* as the image */
	bool is_filtered; /* only the paths in `keep` */
	struct strv keep; /* cleaned, absolute, sorted */
};

struct render_plan {
	struct render_pass *v;
	size_t n;
};

#define RENDER_PLAN_INIT                                                       \
	{                                                                      \
		NULL, 0                                                        \
	}

void render_plan_release(struct render_plan *plan);
#define cleanup_render_plan __attribute__((__cleanup__(render_plan_release)))

/*
 * The passes for IMAGES[TOP].  -ELOOP if an image depends on itself, -E2BIG
 * past RENDER_PASSES_MAX.  Pure.
 */
int render_make(const struct render_image *images, size_t top,
		struct render_plan *ret, struct error *err);

/* True if PASS lets PATH ("/" = rootfs itself, "/a/b") through. */
bool render_keeps(const struct render_pass *pass, const char *path);

#endif
