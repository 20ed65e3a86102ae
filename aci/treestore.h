/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TREESTORE_H
#define ACI_TREESTORE_H

/*
 * Root file systems of stored images, ready to be the lower layer of pods.
 * How one comes to be is a driver's business; callers ask for a directory
 * descriptor.  A rendered tree is never changed, and never seen half made:
 * its name appears by one rename.
 *
 * An image's dependencies are looked up when it is rendered; the tree keeps
 * that choice until it is removed.
 */

#include "spec/image_id.h"

struct error;
struct imagestore;
struct strv;

/* Where a tree store works.  Everything is borrowed. */
struct treestore {
	struct imagestore *images;
	const char *libexec_dir; /* where rkt-fetch is */
};

struct tree_driver {
	const char *name;
	/* 0 if the driver can work on this store, else -errno and why. */
	int (*probe)(const struct treestore *ts, struct error *err);
	/* Makes ID's tree if it is missing; durable on return. */
	int (*prepare)(const struct treestore *ts, const struct image_id *id,
		       struct error *err);
	/* An O_PATH directory descriptor of the rootfs; -ENOENT without
	 * message if it is not rendered. */
	int (*open)(const struct treestore *ts, const struct image_id *id,
		    struct error *err);
	/* Takes it out of the way, for imagestore_sweep() to free; missing
	 * is success. */
	int (*remove)(const struct treestore *ts, const struct image_id *id,
		      struct error *err);
	/* 0 intact, -EBADMSG with the first difference, -ENOENT without
	 * message if it is not rendered. */
	int (*check)(const struct treestore *ts, const struct image_id *id,
		     struct error *err);
	/* IDs of all rendered trees. */
	int (*list)(const struct treestore *ts, struct strv *ret,
		    struct error *err);
};

/* Extracted trees in cas/tree/ID/rootfs. */
extern const struct tree_driver tree_driver_extract;

/*
 * ID with its dependencies as `rootfs` in the empty directory WORK (which may
 * lie outside the store; a `manifest` may come along).  Needs root; nothing
 * is synced.
 */
int tree_render(const struct treestore *ts, const struct image_id *id, int work,
		struct error *err);

/*
 * The rootfs of ID as an O_PATH directory descriptor in *ret_fd, rendered
 * first if need be.  One openat() when it is rendered.
 */
int treestore_open(const struct treestore *ts, const struct image_id *id,
		   int *ret_fd, struct error *err);
/* Renders without opening. */
int treestore_prepare(const struct treestore *ts, const struct image_id *id,
		      struct error *err);
int treestore_remove(const struct treestore *ts, const struct image_id *id,
		     struct error *err);
int treestore_check(const struct treestore *ts, const struct image_id *id,
		    struct error *err);
int treestore_list(const struct treestore *ts, struct strv *ret,
		   struct error *err);

#endif
