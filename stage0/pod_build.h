/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_BUILD_H
#define STAGE0_POD_BUILD_H

/* Pod Manifests from requests and images.  Everything here is pure. */

#include <stdbool.h>

struct app_request;
struct error;
struct image_manifest;
struct pod_manifest;
struct pod_request;
struct runtime_app;
struct strv;

/*
 * The manifest of REQ with the images of its apps, in their order: IMAGES[i]
 * and the id text IDS[i].  What the user should know goes to WARNINGS.  RET
 * is set on success only.
 */
int pod_manifest_make(const struct pod_request *req,
		      const struct image_manifest *const *images,
		      const char *const *ids, struct pod_manifest *ret,
		      struct strv *warnings, struct error *err);

/*
 * Adds APP, of IMAGE with the id ID, to the manifest of a mutable pod, with
 * the empty volumes it needs.  On failure PM is of no use.
 */
int pod_manifest_extend(struct pod_manifest *pm, const struct app_request *app,
			const struct image_manifest *image, const char *id,
			struct strv *warnings, struct error *err);

/*
 * Satisfies the mount points of RA's app (pods.md): by a mount on the same
 * path, else by the pod's volume of the same name, else by a new empty
 * volume of its own, which is added to PM with a warning if MAY_ADD, else
 * -ENOENT.  A mount whose volume is not in PM is -EINVAL.  RA may be an
 * element of PM.
 */
int pod_app_reify(struct runtime_app *ra, struct pod_manifest *pm, bool may_add,
		  struct strv *warnings, struct error *err);

/* Every exposed port has a port of its own or the name of one app's port, and
 * no two want the same one of the host. */
int pod_ports_check(const struct pod_manifest *pm, struct error *err);

/* The image is for this machine: os and arch labels are there and fit. */
int pod_image_check_host(const struct image_manifest *image, struct error *err);

#endif
