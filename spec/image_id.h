/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_IMAGE_ID_H
#define SPEC_IMAGE_ID_H

/*
 * Image IDs: "sha512-" and the digest of the uncompressed tar in hex.  On
 * disk and inside always all 128 lower-case digits; manifests may carry
 * other texts (aci.md does not fix the length), which image_id_check_text()
 * lets through and image_id_parse() does not: whoever uses an ID as a key or
 * a file name parses it.
 */

#include <stddef.h>

struct error;

#define IMAGE_ID_PREFIX "sha512-"
#define IMAGE_ID_PREFIX_LEN 7
#define IMAGE_ID_HEX_LEN 128
#define IMAGE_ID_LEN (IMAGE_ID_PREFIX_LEN + IMAGE_ID_HEX_LEN)
#define IMAGE_ID_SHORT_LEN (IMAGE_ID_PREFIX_LEN + 32)
#define IMAGE_ID_FULL_LEN (IMAGE_ID_PREFIX_LEN + 64) /* rkt's --full */

struct image_id {
	char text[IMAGE_ID_LEN + 1]; /* "" = none */
};

/* The full form only; upper-case digits are lowered. -EINVAL. */
int image_id_parse(const char *s, struct image_id *ret, struct error *err);

/* The form from the 64 bytes of the digest. */
void image_id_from_digest(const unsigned char digest[64], struct image_id *ret);

/* What a manifest may hold: "sha512-" and anything without '-'. */
int image_id_check_text(const char *s, struct error *err);

/*
 * An abbreviation for the command line: "sha512-" and 1 to 128 hex digits.
 * RET (IMAGE_ID_LEN + 1 bytes) gets it in lower case.  -EINVAL.
 */
int image_id_parse_prefix(const char *s, struct image_id *ret,
			  struct error *err);

/* For people: cut at IMAGE_ID_SHORT_LEN / IMAGE_ID_FULL_LEN characters. */
void image_id_short(const struct image_id *id,
		    char ret[IMAGE_ID_SHORT_LEN + 1]);
void image_id_full(const struct image_id *id, char ret[IMAGE_ID_FULL_LEN + 1]);

#endif
