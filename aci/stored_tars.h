/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_STORED_TARS_H
#define ACI_STORED_TARS_H

/* The stored tars that an image is rendered from, its own and others'. */

#include <stdint.h>

struct error;
struct image_id;
struct imagestore;

/* "index/" + ID + ".tar", of STORE_NAME_MAX bytes; returns BUF. */
const char *stored_tar_kept_name(const char *id, char *buf);

/* The tar of ID: stored, or kept for an index after its image was removed.
 * Read-only; the caller closes it. */
int stored_tar_open(struct imagestore *store, const struct image_id *id,
		    struct error *err);

/* The SHA-512 that ID is made of. */
void stored_tar_digest(const struct image_id *id, uint8_t ret[64]);

/* It is damaged: sets ERR to what to do, returns -EUCLEAN. */
int stored_tar_refuse(const struct image_id *id, struct error *err);

/*
 * Reads the tars of ID and of all it depends on, but for that of BUT (may be
 * NULL): each has to be what its ID says.  What was made of them is made
 * again only then, once something is found to be damaged.  -EUCLEAN one is
 * not, which is named.
 */
int stored_tars_check(struct imagestore *store, const char *libexec_dir,
		      const struct image_id *id, const struct image_id *but,
		      struct error *err);

#endif
