/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_PULL_H
#define ACI_OCI_PULL_H

/*
 * Images of registries, OCI layouts and docker's archives, into the store:
 * manifest and configuration, then the layers that are not stored yet, several
 * at a time, and last the small App Container Image that depends on them
 * (spec/image-store.md).  Every digest and size is checked: of the manifest,
 * of the configuration, of each layer as it came and unpacked.
 */

#include "spec/docker_ref.h"

struct error;
struct image_fetcher;
struct image_id;

int oci_pull_docker(struct image_fetcher *f, const struct docker_ref *ref,
		    struct image_id *ret, struct error *err);
int oci_pull_layout(struct image_fetcher *f, const struct oci_layout_ref *ref,
		    struct image_id *ret, struct error *err);

int oci_pull_archive(struct image_fetcher *f,
		     const struct docker_archive_ref *ref, struct image_id *ret,
		     struct error *err);

#endif
