/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

/*
 * SHA-256 (FIPS 180-4) of a short text, for programs that do not load OpenSSL:
 * names that nobody can make collide.  What is long is for aci/digest.h, which
 * is several times as fast.
 */

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32 /* bytes */

void sha256(const void *data, size_t len, uint8_t ret[SHA256_SIZE]);

#endif
