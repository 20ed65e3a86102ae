/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGEDB_H
#define ACI_IMAGEDB_H

/*
 * The table of images, cas/images.sqlite: what can't be read off the stored
 * files themselves (where an image came from, when, signed by whom) and an
 * index by name.  A row follows its blob and may be missing or left over
 * after a crash, or not be what was written after the disk's mistake (each has
 * a checksum); imagestore_reconcile() mends that.  Only this module speaks
 * SQL.
 *
 * labels is the canonical text "name=value,name=value", sorted by name, with
 * '%', ',', '=' and control bytes as %XX: see image_labels_make().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct imagedb;
struct image_texts;
struct name_value;
struct strbuf;

struct image_row {
	char *id;
	char *name;
	char *labels;
	char *version; /* value of the version label, "" without */
	char *source;  /* file path or URL */
	char *etag;
	char *signer;	  /* fingerprint of the signing key, "" if unchecked */
	int64_t expiry;	  /* seconds, 0 = no cache time */
	int64_t imported; /* nanoseconds since the epoch */
	int64_t last_used;
	uint64_t size;	   /* of the uncompressed ACI, bytes */
	uint64_t unpacked; /* what a rendered tree takes, bytes; 0 unknown */
	uint64_t serial;   /* grows with every import: decides equal times */
	bool latest;	   /* came for a name without version */
	bool is_damaged; /* by its checksum: nothing in it is to be believed */
	bool is_stored;	 /* scratch of imagestore_list() */
};

/* Their texts belong to the list: image_row_release() is not for them. */
struct image_rows {
	struct image_row *v;
	size_t n;
	struct image_texts *texts;
};

#define IMAGE_ROWS_INIT                                                        \
	{                                                                      \
		NULL, 0, NULL                                                  \
	}

void image_row_release(struct image_row *row);
void image_rows_release(struct image_rows *rows);
#define cleanup_image_row __attribute__((__cleanup__(image_row_release)))
#define cleanup_image_rows __attribute__((__cleanup__(image_rows_release)))

/*
 * Opens PATH; CREATE makes it if missing, otherwise a missing table is
 * -ENOENT.  -ENOTSUP if a newer rkt wrote it.  One of an older rkt is brought
 * up to date.
 */
int imagedb_open(const char *path, bool create, struct imagedb **ret,
		 struct error *err);
/*
 * Makes indexes anew that do not say what the table does, with a warning: by
 * one of them an image is not found that is there.
 */
int imagedb_mend(struct imagedb *db, struct error *err);

void imagedb_free(struct imagedb *db);

/*
 * Writes ROW, replacing the row of the same id; serial is chosen here and
 * last_used is not kept (a file's time says it).
 */
int imagedb_put(struct imagedb *db, const struct image_row *row,
		struct error *err);
/* A missing row is success. */
int imagedb_delete(struct imagedb *db, const char *id, struct error *err);

/* -ENOENT without message when there is no row, or a damaged one. */
int imagedb_get(struct imagedb *db, const char *id, struct image_row *ret,
		struct error *err);
/* Rows of NAME, best first: latest, then newest import.  NULL: all, the last
 * written first.  With damaged ones. */
int imagedb_list(struct imagedb *db, const char *name, struct image_rows *ret,
		 struct error *err);
/* The row last imported from SOURCE; -ENOENT without message if none, or if it
 * is damaged. */
int imagedb_get_source(struct imagedb *db, const char *source,
		       struct image_row *ret, struct error *err);

#endif
