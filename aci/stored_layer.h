/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_STORED_LAYER_H
#define ACI_STORED_LAYER_H

/* Layers of OCI images in the image store (spec/image-store.md). */

struct error;
struct image_id;
struct imagestore;
struct strbuf;
struct strv;

/* 1 if the stored tar ID is one, 0 if it is an image, or -errno. */
int stored_layer_is(struct imagestore *store, const struct image_id *id,
		    struct error *err);

/* Appends the IDs of the layers that the stored image ID depends on. */
int stored_layers_of(struct imagestore *store, const struct image_id *id,
		     struct strv *ret, struct error *err);

/*
 * Appends the manifest of an image that is ID with its layers in it: without
 * those among its dependencies.  1 if there are any, 0 if it is ID's own.
 */
int stored_layers_manifest(struct imagestore *store, const struct image_id *id,
			   struct strbuf *ret, struct error *err);

#endif
