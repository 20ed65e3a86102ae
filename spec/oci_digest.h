/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_OCI_DIGEST_H
#define SPEC_OCI_DIGEST_H

/*
 * Digests as OCI writes them: "sha256:" and 64 or "sha512:" and 128 lower-case
 * hex digits, the two algorithms that are registered (image specification,
 * "Digests").
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define OCI_DIGEST_SIZE_MAX 64				 /* bytes */
#define OCI_DIGEST_MAX (7 + 2 * OCI_DIGEST_SIZE_MAX + 1) /* with the NUL */
/* As much of a digest as people are shown. */
#define OCI_DIGEST_SHOWN 19
/* Both prefixes are of one length: where the hex digits begin. */
#define OCI_DIGEST_HEX_AT 7

/* -EINVAL malformed, -ENOTSUP of another algorithm. */
int oci_digest_check(const char *s, struct error *err);

bool oci_digest_is_sha512(const char *digest);

/* Of a SHA-256 or, if IS_SHA512, of a SHA-512. */
void oci_digest_format(const uint8_t *bytes, bool is_sha512,
		       char ret[OCI_DIGEST_MAX]);

#endif
