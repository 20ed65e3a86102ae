/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGESTORE_INTERNAL_H
#define ACI_IMAGESTORE_INTERNAL_H

/* Shared by imagestore.c (one image), imagestore_blob.c (its tar) and
 * imagestore_gc.c (all of them). */

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"
#include "spec/image_id.h"

struct error;
struct image_import;
struct image_row;
struct imagedb;

struct imagestore {
	int dirfd; /* cas/, holds the lock */
	char *data_dir;
	struct imagedb *db;	     /* opened when first needed */
	struct image_id fresh_index; /* the index stored last */
	const char *libexec_dir;     /* borrowed; where rkt-fetch is */
	/* A pipe whose second end is open as long as the command does
	 * something that a tar's way to the disk is not to hold up. */
	int command_fds[2];
	struct strv read; /* IDs of tars found to be right */
};

/* What imagestore_sweep() frees: tmp/trash-... */
#define STORE_TRASH "trash"

#define STORE_INDEX "index"

/* used/ID: empty; its mtime is when ID was last used, if not by its import. */
#define STORE_USED "used"

/* Empty; has the mtime that blob/ had when no row was without its blob. */
#define STORE_COMPLETE "complete"

/* "manifest/" + ID, "blob/" + ID + ".tar", "tree/" + ID + "/rootfs",
 * "index/" + ID + ".erofs" */
#define STORE_NAME_MAX (IMAGE_ID_LEN + 16)

const char *blob_name(const char *id, char *buf);
const char *manifest_name(const char *id, char *buf);
bool blob_exists(const struct imagestore *store, const char *id);
/* The ID in a file name of blob/; false for any other file. */
bool blob_id_of(const char *file, struct image_id *ret);

/* The same, and its bytes are right as far as is known; else it is taken away
 * with a warning.  Reads all of a tar that may not be on the disk. */
bool blob_is_usable(struct imagestore *store, const struct image_id *id);
/* FD is ID's tar, by this name or another: -EUCLEAN if it is damaged and was
 * taken away. */
int store_check_tar(struct imagestore *store, int fd, const struct image_id *id,
		    struct error *err);
/* The tar of IM gets its name, and is on its way to the disk: 1 if it is
 * stored already. */
int store_blob(struct imagestore *store, const struct image_import *im,
	       struct error *err);

/* FD gets NAME ("DIR/x"), DIR is synced, FD before if SYNC.  A file of that
 * name is kept: returns 1. */
int store_link_file(struct imagestore *store, int fd, const char *name,
		    bool sync, struct error *err);

/* A directory of cas/. */
int store_opendir(const struct imagestore *store, const char *name, DIR **ret,
		  struct error *err);
int store_sync_dir(const struct imagestore *store, const char *dir,
		   struct error *err);

/* FD, an index of ID, in place of what there is. */
int store_replace_index(struct imagestore *store, const struct image_id *id,
			int fd, struct error *err);
/* True if this process has stored ID's index. */
bool store_index_is_fresh(const struct imagestore *store,
			  const struct image_id *id);

/* -ENOENT without message if there is no table and CREATE is not set. */
int imagestore_db(struct imagestore *store, bool create, struct imagedb **ret,
		  struct error *err);

/* True, and said, if ROW cannot be believed. */
bool store_row_is_damaged(const struct imagestore *store,
			  const struct image_row *row);

/* What the manifest says about ID; times, size and origin are left 0. */
int image_row_make(const struct image_id *id, const char *manifest, size_t len,
		   struct image_row *ret, struct error *err);

#endif
