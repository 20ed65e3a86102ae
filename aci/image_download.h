/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_DOWNLOAD_H
#define ACI_IMAGE_DOWNLOAD_H

/*
 * From a URL to an image in the store.  rkt-http downloads into a file that
 * rkt-fetch reads along; the signature is had before, or after if the server
 * wants it so (202).  An image that came from the same URL is taken from the
 * store as long as its Cache-Control says, and asked for by its ETag then.
 */

#include <stdbool.h>
#include <stdint.h>

struct error;
struct image_fetcher;
struct image_id;
struct image_ref;
struct url_login;

struct image_remote {
	const char *url;
	const char *sig_url;
	const struct url_login *login; /* for both; NULL: as is configured */
	const char *signature;	       /* a local file instead; NULL: none */
	const struct image_ref *want;  /* as in struct image_origin */
	const char *want_id;
	uint64_t size; /* bytes of the image file, 0 = not known */
	bool latest;   /* no version was asked for */
};

int image_download(struct image_fetcher *f, const struct image_remote *remote,
		   struct image_id *ret, struct error *err);

#endif
