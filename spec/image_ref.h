/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_IMAGE_REF_H
#define SPEC_IMAGE_REF_H

/*
 * The image string of the command line: NAME[:VERSION][,LABEL=VALUE]...
 * Test for URLs, paths and image IDs before: "https://x/y" is a name
 * "https" with a version here.
 */

#include "spec/name_value.h"

struct error;
struct strbuf;

struct image_ref {
	char *name;		   /* AC Identifier */
	struct name_values labels; /* "version" first if :VERSION was given */
};

#define IMAGE_REF_INIT                                                         \
	{                                                                      \
		0                                                              \
	}

int image_ref_parse(const char *s, struct image_ref *ret, struct error *err);
void image_ref_release(struct image_ref *ref);
#define cleanup_image_ref __attribute__((__cleanup__(image_ref_release)))
/* Adds this machine's os and arch where REF says none. */
void image_ref_add_host_labels(struct image_ref *ref);
/* The string form again: NAME:VERSION,other=labels. */
void image_ref_format(const struct image_ref *ref, struct strbuf *out);

/*
 * "a=b,c=d" as a query string "a=b&c=d", values escaped; every part needs a
 * '='.  -EINVAL.
 */
int make_query_string(const char *s, struct strbuf *out, struct error *err);

#endif
