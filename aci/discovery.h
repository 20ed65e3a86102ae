/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_DISCOVERY_H
#define ACI_DISCOVERY_H

/*
 * Meta discovery (discovery.md): from an image's name to the URLs of images,
 * signatures and keys.  Pages are asked for from the name itself up to its
 * host; the first that has something usable is the answer.  Images and keys
 * are looked for separately and may come from different pages.
 */

#include <stdbool.h>

struct config;
struct error;
struct image_fetcher;
struct image_ref;
struct strv;

/* How pages are had. */
struct discovery {
	/*
	 * Appends the page's tags as discovery_html_parse() does.  -errno if
	 * there is no such page: the next one is asked for.
	 */
	int (*get_tags)(const struct discovery *d, const char *url,
			struct strv *ret, struct error *err);
	bool plain_ok;	   /* http where https has no page */
	unsigned int port; /* 0: the scheme's */
	/* For discovery_get_tags(). */
	const char *libexec_dir;
	const struct config *config; /* credentials; may be NULL */
	unsigned int http_flags;     /* enum http_flags */
};

/* For the world, as F says; F's configuration is loaded. */
void discovery_make(const struct image_fetcher *f, bool plain_ok,
		    struct discovery *ret);

/* The get_tags of the world: rkt-http downloads, rkt-fetch parses. */
int discovery_get_tags(const struct discovery *d, const char *url,
		       struct strv *ret, struct error *err);

/*
 * URLs of images that REF means, in the page's order, by twos: the image's
 * and its signature's.  -ENOENT with all that was tried.
 */
int discovery_find_images(const struct discovery *d,
			  const struct image_ref *ref, struct strv *ret,
			  struct error *err);

/* URLs of the public keys for images called NAME.  -ENOENT as above. */
int discovery_find_keys(const struct discovery *d, const char *name,
			struct strv *ret, struct error *err);

#endif
