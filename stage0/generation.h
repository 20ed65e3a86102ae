/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_GENERATION_H
#define STAGE0_GENERATION_H

/*
 * Generations of an app on disk: generations/APP/N/, written once and never
 * changed, and appsinfo/APP, a symlink to the committed one.  Replacing that
 * link is the commit.
 */

#include <stdbool.h>

#include "base/strbuf.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"

struct error;
struct imagestore;
struct runtime_app;
struct treestore;

/* An image as a generation keeps it. */
struct pod_image {
	struct image_id id;
	struct strbuf text; /* canonical manifest */
	struct image_manifest manifest;
};

#define POD_IMAGE_INIT                                                         \
	{                                                                      \
		.text = STRBUF_INIT, .manifest = IMAGE_MANIFEST_INIT           \
	}

/* Reads the manifest of ID from the store.  RET must be POD_IMAGE_INIT. */
int pod_image_load(struct imagestore *store, const struct image_id *id,
		   struct pod_image *ret, struct error *err);
void pod_image_release(struct pod_image *image);
#define cleanup_pod_image __attribute__((__cleanup__(pod_image_release)))

/* Reads image and id of generation N of the pod at PODDIR_FD. */
int generation_image_load(int poddir_fd, const char *app, unsigned int n,
			  struct pod_image *ret, struct error *err);

/* The app as generation N runs it.  RET must be RUNTIME_APP_INIT. */
int generation_app_load(int poddir_fd, const char *app, unsigned int n,
			struct runtime_app *ret, struct error *err);

/*
 * Writes generation N of RA's app; it must not exist.  TREE_FD (O_PATH) is
 * copied into it when >= 0 (--no-overlay), else stage1 will stack an overlay
 * on the image's tree.  Nothing is synced.
 */
int generation_write(int poddir_fd, unsigned int n,
		     const struct runtime_app *ra,
		     const struct pod_image *image, int tree_fd,
		     struct error *err);
/* Removes it with its files; a kill leaves it whole, or no generation. */
int generation_remove(int poddir_fd, const char *app, unsigned int n,
		      struct error *err);

/* Makes N the committed generation of APP: one rename, synced if SYNC. */
int generation_commit(int poddir_fd, const char *app, unsigned int n, bool sync,
		      struct error *err);
/* The committed generation.  -ENOENT no such app. */
int generation_current(int poddir_fd, const char *app, unsigned int *ret,
		       struct error *err);
/* The highest number in use, committed or not; 0 when there is none. */
int generation_highest(int poddir_fd, const char *app, unsigned int *ret,
		       struct error *err);

/* Every number in use, malloc'ed, in no order. */
int generation_list(int poddir_fd, const char *app, unsigned int **ret,
		    size_t *ret_n, struct error *err);

/* The image of generation N. */
int generation_image_id(int poddir_fd, const char *app, unsigned int n,
			struct image_id *ret, struct error *err);
/* True if generation N has its own copy of the tree. */
bool generation_is_copy(int poddir_fd, const char *app, unsigned int n);
/* That copy, O_PATH; -ENOENT if there is none. */
int generation_tree_open(int poddir_fd, const char *app, unsigned int n,
			 int *ret, struct error *err);

#endif
