/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGESTORE_H
#define ACI_IMAGESTORE_H

/*
 * Images by content, below DATA_DIR/cas:
 *
 *   blob/ID.tar    the uncompressed ACI, immutable; its link is the commit
 *                  (mode 0440 once it is on the disk, then chattr +i and
 *                  fs-verity where they are: seal.h)
 *   manifest/ID    the canonical image manifest
 *   used/ID        empty; its mtime = last used, if that was not the import
 *   complete       says that no row lacks its blob (imagestore_list.c)
 *   index/, tree/  rendered images (treestore.h)
 *   tmp/           work in progress; anything there is garbage after a crash
 *   images.sqlite  the table of images (imagedb.h)
 *
 * Every file is written without a name, synced, linked, and its directory
 * synced: first the manifest, then the index, the blob, the row, and last the
 * tree.  The blob of a large image is not synced before: a process of its own
 * does it when the command has what it needs, and seals it.  What that process
 * did not end, because it was killed or the host went down, is read whole
 * before it is used again, and taken away if it is not what its ID says.
 * Removal goes the other way, so a blob always has its manifest.  What a kill
 * leaves between two steps is mended by imagestore_reconcile().
 *
 * An open store holds cas/ locked: shared for every use, exclusively for gc.
 * Who puts an image into a pod keeps the store open until the pod's directory
 * names the image; from then on gc leaves the image alone.
 *
 * Nothing here syncs or opens the table unless it changes it or has to look
 * up a name.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aci/imagedb.h"
#include "spec/image_id.h"

struct error;
struct image_manifest;
struct image_ref;
struct strbuf;
struct strv;

struct imagestore;

enum imagestore_flags {
	IMAGESTORE_CREATE = 1 << 0,    /* make the directories if missing */
	IMAGESTORE_EXCLUSIVE = 1 << 1, /* wait until nobody else uses it */
	IMAGESTORE_NOWAIT = 1 << 2,    /* -EBUSY if somebody has that now */
};

/* Opens DATA_DIR/cas.  -ENOENT if there is none and CREATE is not set.
 * LIBEXEC_DIR is borrowed: rkt-fetch reads tars (imagestore_finish()). */
int imagestore_open(const char *data_dir, const char *libexec_dir,
		    unsigned flags, struct imagestore **ret, struct error *err);
void imagestore_free(struct imagestore *store);
/* Lets others use the store again after IMAGESTORE_EXCLUSIVE. */
int imagestore_share(struct imagestore *store, struct error *err);

/* Borrowed: cas/ itself, and the directory that imagestore_open() got. */
int imagestore_dirfd(const struct imagestore *store);
const char *imagestore_data_dir(const struct imagestore *store);

/* --- finding ------------------------------------------------------------- */

/*
 * The stored image that PREFIX ("sha512-" and at least two hex digits)
 * abbreviates; a whole ID is one system call.  Longer abbreviations than the
 * stored form are cut as rkt does.  -ENOENT none, -EEXIST several.
 */
int imagestore_find_id(struct imagestore *store, const char *prefix,
		       struct image_id *ret, struct error *err);

/*
 * The stored image of REF's name that has all of REF's labels: one that is
 * marked latest before others, then the one imported last.  -ENOENT none.
 */
int imagestore_find_name(struct imagestore *store, const struct image_ref *ref,
			 struct image_id *ret, struct error *err);

/* NAME's image that was last imported from SOURCE, if it is still stored;
 * -ENOENT without message otherwise. */
int imagestore_find_source(struct imagestore *store, const char *source,
			   struct image_row *ret, struct error *err);

/* --- one image ----------------------------------------------------------- */

/* Appends the canonical manifest.  -ENOENT no such image. */
int imagestore_read_manifest(struct imagestore *store,
			     const struct image_id *id, struct strbuf *sb,
			     struct error *err);
/* The tar, read-only; the caller closes it. */
int imagestore_open_blob(struct imagestore *store, const struct image_id *id,
			 struct error *err);
/* What the table says of it; -ENOENT without message if nothing. */
int imagestore_get(struct imagestore *store, const struct image_id *id,
		   struct image_row *ret, struct error *err);
/* Notes that the image was used now.  Failure is not worth a word. */
void imagestore_touch(struct imagestore *store, const struct image_id *id);

/* --- writing ------------------------------------------------------------- */

/* An empty, nameless file in the store's file system, for a tar. */
int imagestore_new_file(struct imagestore *store, struct error *err);

/* Gives up FD (or nothing, if it is negative), which was not committed: on a
 * file system without nameless files it had a name in tmp/.  FD stays open. */
void imagestore_drop_file(struct imagestore *store, int fd);

struct image_import {
	struct image_id id;
	const char *manifest; /* canonical */
	size_t manifest_len;
	int blob_fd; /* of imagestore_new_file(); untouched if stored already */
	/* Of the same kind: an EROFS index of this one tar that shows all
	 * of the image; 0 or negative: none. */
	int index_fd;
	uint64_t size;
	uint64_t unpacked;
	const char *source;
	const char *etag;   /* may be NULL */
	const char *signer; /* fingerprint, NULL if unchecked */
	int64_t expiry;
	bool latest;
	bool is_checked; /* the stored image of this ID, if any, is right */
};

/*
 * Stores the import, and sees that it becomes durable; storing what is stored
 * refreshes its row.  A manifest that is there already counts more than that of
 * an unsigned image. -ESTALE if IM is signed and the image is stored, or
 * what was rendered of it is, but was not checked.
 */
int imagestore_commit(struct imagestore *store, const struct image_import *im,
		      struct error *err);

/* ROW's source was asked again and has nothing newer: fresh until EXPIRY,
 * seconds since 1970 (0: to be asked each time). */
int imagestore_refresh(struct imagestore *store, const struct image_row *row,
		       int64_t expiry, struct error *err);

/*
 * Removes blob, manifest and row.  The rendered tree is the tree store's.
 */
int imagestore_remove(struct imagestore *store, const struct image_id *id,
		      struct error *err);

/*
 * Takes ID's blob out of use because it holds other bytes: nobody finds the
 * image any more, fetching it again mends it, and gc frees the space.
 */
int imagestore_condemn(struct imagestore *store, const struct image_id *id,
		       struct error *err);

/* --- the whole store ----------------------------------------------------- */

/* The stored images of NAME, best first (NULL: all, the last stored first),
 * with last_used filled in. */
int imagestore_list(struct imagestore *store, const char *name,
		    struct image_rows *ret, struct error *err);

/*
 * Sees that every tar is on the disk and sealed: reads those that nobody is
 * about to seal, and takes away what is damaged.  WAIT for those that somebody
 * is; -EIO if one of them could not be written.
 */
int imagestore_finish(struct imagestore *store, bool wait, struct error *err);

struct imagestore_repairs {
	size_t n_rows_added; /* or made anew */
	size_t n_rows_removed;
	size_t n_files_removed;
};

/*
 * Mends what killed commands left: rows for blobs without one or with a damaged
 * one, no rows and no manifests without a blob, nothing
 * in tmp/.  Needs the exclusive lock.
 */
int imagestore_reconcile(struct imagestore *store,
			 struct imagestore_repairs *ret, struct error *err);

/*
 * ID's row is to say what its manifest and its tar do: 1 if it did not, or was
 * damaged, and was made anew: of a damaged one nothing is kept, so the image
 * counts as unsigned.  For who has compared manifest and tar.
 */
int imagestore_mend_row(struct imagestore *store, const struct image_id *id,
			struct error *err);

/* ID's manifest is TEXT, as its tar says: 1 if another one was stored. */
int imagestore_mend_manifest(struct imagestore *store,
			     const struct image_id *id, const char *text,
			     size_t len, struct error *err);

/*
 * Frees what removed trees take.  Long: to be called with the shared lock,
 * so that pods start meanwhile.
 */
int imagestore_sweep(struct imagestore *store, struct error *err);

/*
 * The IDs named by a generation of any pod that is not garbage, or asked for by
 * one, sorted: they and their trees stay.  Needs the exclusive lock to mean
 * anything.
 */
int imagestore_pod_images(struct imagestore *store, struct strv *ret,
			  struct error *err);

#endif
