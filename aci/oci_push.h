/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_PUSH_H
#define ACI_OCI_PUSH_H

/*
 * Stored images to registries.  An image and what it depends on become
 * layers, in the order they are laid over each other; where a path whitelist
 * leaves something out of that, one layer of what is left.  An image that came
 * from a registry goes back as it was if all its layers are there already or
 * can be had again bit by bit; otherwise its layers are compressed anew, and
 * only the manifest is another one.
 */

#include "spec/docker_ref.h"
#include "spec/oci_digest.h"

struct error;
struct image_fetcher;
struct image_id;

/* RET: the digest of the manifest.  -EINVAL: REF is none to push to, or the
 * image is none for OCI. */
int oci_push(struct image_fetcher *f, const struct image_id *id,
	     const struct docker_ref *ref, char ret[OCI_DIGEST_MAX],
	     struct error *err);

#endif
