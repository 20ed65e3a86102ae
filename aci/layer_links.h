/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_LAYER_LINKS_H
#define ACI_LAYER_LINKS_H

/*
 * Hard links of a layer to files of the layers below it, for trees that are
 * unpacked one beside the other: an extraction leaves an empty file for each
 * and beside rootfs/ a list of them, LAYER_LINKS:
 *
 *	list = *( kind path NUL target NUL )
 *
 * in the order of the archive.
 */

#include "aci/aci_check.h"

struct error;
struct strbuf;

#define LAYER_LINKS "links"

/* Appends; the paths are as in struct aci_entry. */
int layer_links_add(struct strbuf *list, enum aci_link kind,
		    const struct aci_entry *e, struct error *err);

/*
 * Puts what the list in the directory LAYER names in its place, LAYER's
 * rootfs/: files of the directory ROOTFS, over which nothing of the layer is
 * laid yet.  No list is success.  -EINVAL: ROOTFS has no such file.
 */
int layer_links_apply(int layer, int rootfs, struct error *err);

#endif
