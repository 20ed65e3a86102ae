/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_SETTLE_H
#define ACI_IMAGE_SETTLE_H

/* What becomes of an image that was parsed: is it the one that was asked
 * for, is it signed by a trusted key; then it is stored. */

#include <stdbool.h>
#include <stdint.h>

#include "aci/treestore.h"

struct error;
struct fetch_image;
struct fetch_verifying;
struct image_fetcher;
struct image_id;
struct image_ref;
struct imagestore;

struct image_origin {
	const char *source;	      /* path or URL */
	const struct image_ref *want; /* name and labels it must have; NULL:
				       * any */
	const char *want_id; /* what its ID must begin with; NULL: any */
	const char *etag;    /* may be NULL */
	int64_t expiry;	     /* seconds since 1970, 0 = none */
	bool latest;	     /* no version was asked for */
};

/* The files of an import; borrowed. */
struct image_files {
	int blob_fd;  /* of imagestore_new_file() */
	int index_fd; /* of image_new_index() */
	/* Of the image as it was transported; NULL if nobody asks. */
	struct fetch_verifying *verifying;
};

/* The tree store of F's images. */
struct treestore image_trees(const struct image_fetcher *f);
/* A file for the index of an import, or a negative number if none is
 * wanted. */
int image_new_index(const struct image_fetcher *f, struct error *err);

/* -EBADMSG another image than the one wanted; -EPERM not signed by who is
 * trusted for its name: the message says what to do. */
int image_settle(struct image_fetcher *f, const struct fetch_image *image,
		 const struct image_files *files,
		 const struct image_origin *origin, struct image_id *ret,
		 struct error *err);

/* Refuses images called NAME for want of a trusted key; -EPERM. */
int image_refuse_unknown(const char *name, struct error *err);

/*
 * Reads the stored tar again, in a process of its own.  -EBADMSG if it has
 * not the digest it is stored under.  1 if the stored manifest was not that of
 * the tar; now it is.
 */
int image_check_stored(struct imagestore *store, const char *libexec_dir,
		       const struct image_id *id, struct error *err);

#endif
