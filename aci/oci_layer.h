/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_LAYER_H
#define ACI_OCI_LAYER_H

/*
 * Layers of OCI images (image specification, "Image Layer Filesystem
 * Changeset") seen as images: each entry as if it lay below rootfs/, so that
 * all rules for images hold (aci_check.h).  A leading "/" is dropped, as
 * every tar does.
 */

#include <stdbool.h>

struct archive_entry;
struct error;

/* What a layer was seen to hold. */
struct oci_layer {
	bool has_manifest, has_rootfs, has_other;
};

/*
 * Makes ENTRY one below rootfs/.  -EINVAL: its name leads out of the layer,
 * or it is a whiteout of nothing that could be there.
 */
int oci_layer_entry(struct oci_layer *layer, struct archive_entry *entry,
		    struct error *err);

/*
 * After the last entry: -EINVAL if the layer is an App Container Image.  Its
 * bytes would have one ID with that image and be another thing.
 */
int oci_layer_end(const struct oci_layer *layer, struct error *err);

#endif
