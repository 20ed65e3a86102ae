/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_FETCH_H
#define ACI_IMAGE_FETCH_H

/*
 * From the image argument of a command to an image in the store: verified,
 * stored and rendered.  The forms of an argument (rkt-cli 1.3):
 *
 *   sha512-HEX                      in the store only
 *   /path, ./path, x.aci, file://x  a local file, imported again each time
 *   http://x.aci, https://x.aci     downloaded
 *   NAME[:VERSION][,LABEL=VALUE]    in the store, or found by discovery
 *   docker:x, oci:DIR               spec/docker_ref.h
 *
 * What it depends on is fetched with it.
 */

#include <stdbool.h>

#include "aci/image_fetcher.h"
#include "spec/image_id.h"

struct error;
struct imagestore;

enum image_arg_kind {
	IMAGE_ARG_ID,
	IMAGE_ARG_FILE,
	IMAGE_ARG_URL,
	IMAGE_ARG_DOCKER,
	IMAGE_ARG_LAYOUT,
	IMAGE_ARG_ARCHIVE, /* docker-archive: */
	IMAGE_ARG_NAME,
};

struct image_arg {
	enum image_arg_kind kind;
	const char *value; /* borrowed from the argument; a path for FILE */
};

/*
 * Tells the forms apart.  IS_FILE is whether ARG names a regular file in the
 * working directory.  -EINVAL invalid image string.  Pure.
 */
int image_arg_parse(const char *arg, bool is_file, struct image_arg *ret,
		    struct error *err);

/*
 * Makes ARG an image of the store, with the detached signature in the file
 * SIGNATURE (NULL: ARG's file name and ".asc").  -EPERM refused: unsigned or
 * not signed by a key trusted for its name; the message says what to do.
 */
int image_fetch(struct image_fetcher *f, const char *arg, const char *signature,
		struct image_id *ret, struct error *err);

/* The stored image ARG (an ID or its abbreviation, a name, or docker://...)
 * means to the `image` commands: no host defaults for os and arch, nothing is
 * fetched. */
int image_find_stored(struct imagestore *store, const char *arg,
		      struct image_id *ret, struct error *err);

/* The values of --pull-policy; anything else is -EINVAL. */
int pull_policy_parse(const char *s, enum pull_policy *ret, struct error *err);

#endif
