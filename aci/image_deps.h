/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_DEPS_H
#define ACI_IMAGE_DEPS_H

/* What an image depends on (aci.md, dependencies), and what that depends on:
 * fetched, several at a time. */

#include <stdbool.h>

struct dependency;
struct error;
struct image_fetcher;
struct image_id;

/* Makes DEP an image of the store: 1 if it was there already, 0 if it had to
 * be fetched.  With ASK_STORE_ONLY -ENOENT, without message, if it is not
 * there. */
typedef int (*image_dep_fn)(struct image_fetcher *f,
			    const struct dependency *dep, bool ask_store_only,
			    struct image_id *ret, struct error *err);

/*
 * Has FETCH called for all that the stored image ID needs.  Dependencies of
 * one image are fetched by up to four processes at a time.  -ELOOP if they
 * are nested deeper than 32 levels.
 */
int image_deps_fetch(struct image_fetcher *f, const struct image_id *id,
		     image_dep_fn fetch, struct error *err);

#endif
