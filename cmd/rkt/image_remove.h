/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_IMAGE_REMOVE_H
#define CMD_RKT_IMAGE_REMOVE_H

/* Removing images: what `image rm` and `image gc` share. */

#include "base/strv.h"

struct error;
struct images;

/*
 * Removes the images with the IDs in IDS, says so as rkt does, and counts.
 * A tree that a pod in USED (sorted IDs) needs stays until gc finds it
 * unused.  Needs the store exclusively and shares it before files are freed.
 * -EIO if any could not be removed.
 */
int images_remove(struct images *im, const struct strv *ids,
		  const struct strv *used, struct error *err);

#endif
