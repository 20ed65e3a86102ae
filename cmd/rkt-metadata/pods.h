/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_METADATA_PODS_H
#define CMD_RKT_METADATA_PODS_H

/* The pods that are registered: what is known of them, and by which token. */

#include <stddef.h>

#include "base/strbuf.h"
#include "spec/image_manifest.h"
#include "spec/pod_manifest.h"
#include "spec/uuid.h"

struct error;

struct served_app {
	char *name;
	char *image; /* its manifest as it was registered; NULL: not yet */
	struct image_manifest manifest;
};

struct served_pod {
	struct uuid uuid;
	char *token;
	struct strbuf text; /* of the manifest, as it is served */
	struct pod_manifest manifest;
	struct served_app *apps;
	size_t n_apps;
};

/*
 * Adds the pod, or replaces its manifest and token; images of its apps are
 * told by pods_put_app().  -EINVAL a bad manifest, -EEXIST another pod has the
 * token, -ENOSPC no room for more.
 */
int pods_put(const struct uuid *uuid, const char *token,
	     const struct strbuf *manifest, struct error *err);
/* -ENOENT no such pod, or it has no such app; others as pods_put(). */
int pods_put_app(const struct uuid *uuid, const char *app,
		 const struct strbuf *manifest, struct error *err);
/* -ENOENT no such pod. */
int pods_remove(const struct uuid *uuid);

/* Borrowed, until the next change; NULL if there is none. */
const struct served_pod *pods_by_token(const char *token);
const struct served_app *pod_app(const struct served_pod *pod,
				 const char *name);

#endif
