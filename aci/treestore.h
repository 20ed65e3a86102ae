/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TREESTORE_H
#define ACI_TREESTORE_H

/*
 * Root file systems of stored images, ready to be the lower layer of pods.
 * How one comes to be is a driver's business; callers ask for a directory
 * descriptor.  What is rendered is never changed, and never seen half made.
 *
 *   erofs  cas/index/ID.erofs over the tars, mounted from the files
 *   loop   the same, mounted through loop devices
 *   tree   unpacked in cas/tree/ID/rootfs
 *
 * Without a choice the first that works here is taken, which is found by
 * trying it.  A mount is made when a pod first needs it and stays until the
 * image is removed or the host restarts; all pods of the image share it.
 *
 * An image's dependencies are looked up when it is rendered; the tree keeps
 * that choice until it is removed.
 */

#include <stdbool.h>

#include "spec/image_id.h"

struct error;
struct imagestore;
struct strv;

/* Where a tree store works.  Everything is borrowed. */
struct treestore {
	struct imagestore *images;
	const char *libexec_dir; /* where rkt-fetch is */
	const char *driver;	 /* the only one to use; NULL = any */
};

struct tree_driver {
	const char *name;
	/* 0 if the driver can work on this store, else -errno and why. */
	int (*probe)(const struct treestore *ts, struct error *err);
	/* Makes ID's tree if it is missing, durable on return, and sees
	 * that it works here.  NOW: open() must find it. */
	int (*prepare)(const struct treestore *ts, const struct image_id *id,
		       bool now, struct error *err);
	/* An O_PATH directory descriptor of the rootfs; -ENOENT without
	 * message if it is not rendered, or not mounted. */
	int (*open)(const struct treestore *ts, const struct image_id *id,
		    struct error *err);
	/* True if prepare() needs nothing but what is rendered. */
	bool (*has)(const struct treestore *ts, const struct image_id *id);
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

extern const struct tree_driver tree_driver_erofs;
extern const struct tree_driver tree_driver_loop;
extern const struct tree_driver tree_driver_extract;

/* -EINVAL: no such driver. */
int treestore_driver_check(const char *name, struct error *err);

/*
 * ID with its dependencies as `rootfs` in the empty directory WORK (which may
 * lie outside the store; a `manifest` may come along).  Needs root; nothing
 * is synced.
 */
int tree_render(const struct treestore *ts, const struct image_id *id, int work,
		struct error *err);

/*
 * ID with its dependencies as one App Container Image with the manifest in
 * MANIFEST_FD, uncompressed, to the empty file OUT_FD.  Nothing is rendered.
 */
int treestore_flatten(const struct treestore *ts, const struct image_id *id,
		      int manifest_fd, int out_fd, struct error *err);

/*
 * The rootfs of ID as an O_PATH directory descriptor in *ret_fd, rendered
 * first if need be.  One fstat() and one open() when it is mounted.
 */
int treestore_open(const struct treestore *ts, const struct image_id *id,
		   int *ret_fd, struct error *err);
/* True if ID can be opened as things are, whatever became of its
 * dependencies. */
bool treestore_has(const struct treestore *ts, const struct image_id *id);
/* Renders without opening. */
int treestore_prepare(const struct treestore *ts, const struct image_id *id,
		      struct error *err);
int treestore_remove(const struct treestore *ts, const struct image_id *id,
		     struct error *err);
int treestore_check(const struct treestore *ts, const struct image_id *id,
		    struct error *err);
/* IDs of what is rendered, each once. */
int treestore_list(const struct treestore *ts, struct strv *ret,
		   struct error *err);
/* IDs of what is there a second time, unpacked (driver tree). */
int treestore_list_unpacked(const struct treestore *ts, struct strv *ret,
			    struct error *err);

/* An empty file for the index an import makes (image_import.index_fd), or
 * -EBADF if none is wanted. */
int treestore_new_index(const struct treestore *ts, struct error *err);

/* IDs of the images whose tars the indexes lie over, sorted.  Reads every
 * index. */
int treestore_list_needed(const struct treestore *ts, struct strv *ret,
			  struct error *err);
/*
 * Before ID's tar is removed: keeps it under another name if it is in NEEDED,
 * because the index of another image, or of one that pods use, lies over it.
 */
int treestore_keep(const struct treestore *ts, const struct image_id *id,
		   const struct strv *needed, struct error *err);
/* Unmounts the images that are not in USED (sorted IDs).  Needs the exclusive
 * lock. */
int treestore_unmount(const struct treestore *ts, const struct strv *used,
		      struct error *err);
/* Removes kept tars that no index needs.  Needs the exclusive lock. */
int treestore_trim(const struct treestore *ts, struct error *err);

#endif
