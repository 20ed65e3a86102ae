/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_PUT_H
#define ACI_IMAGE_PUT_H

/* Images to plain web servers, by PUT. */

struct error;
struct fetch_image;
struct image_fetcher;

struct image_put {
	int fd;		       /* the file to send */
	const char *name;      /* the image's: whose keys its signature is
				* checked with */
	const char *signature; /* path; NULL = none */
	const char *url;
};

/*
 * Sends the image to its URL and its signature to URL.asc, and asks the
 * server whether it has them.  -EBADMSG: the signature is not of these bytes,
 * or the server has others.
 */
int image_put(struct image_fetcher *f, const struct image_put *put,
	      struct error *err);

#endif
