/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_LAYERS_H
#define ACI_OCI_LAYERS_H

/*
 * The layers of one image, into the store: each in a process of its own,
 * several at a time, and each stored as soon as it is whole, so that another
 * pull can have it while this one goes on.  A layer's blob is downloaded by
 * one process at a time, whoever asks for it; what an interruption leaves of
 * it (download.h) is gone on with, by any image that has it.
 */

struct error;
struct image_fetcher;
struct image_id;
struct oci_layout;
struct oci_plan;
struct registry;
struct strv;

struct oci_layers {
	struct image_fetcher *f;
	const struct registry *registry; /* NULL: of a layout */
	const struct oci_layout *layout; /* or this */
	const char *name;		 /* of the image */
	const struct oci_plan *plan;	 /* the blobs, and as many */
	char *const *files; /* of the layout; NULL: called by their digests,
			     * otherwise the blobs have none */
	const struct strv *diff_ids; /* digests of what they unpack to */
};

/* Digest and size of each are checked, as it came and unpacked: -EBADMSG. */
int oci_layers_fetch(const struct oci_layers *l, struct error *err);

/* The stored layer DIFF_ID; -ENOENT, without message, if there is none. */
int oci_layer_find(const struct image_fetcher *f, const char *diff_id,
		   struct image_id *ret, struct error *err);

#endif
