/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_UUID_H
#define SPEC_UUID_H

/* Pod UUIDs (RFC 4122), printed lower-case 8-4-4-4-12. */

#include <stdint.h>

struct error;

#define UUID_TEXT_LEN 36

struct uuid {
	uint8_t b[16];
};

/* 32 hex digits, any case, with dashes anywhere (reference code). -EINVAL. */
int uuid_parse(const char *s, struct uuid *ret, struct error *err);
/* A random (version 4) UUID from the kernel's generator. */
int uuid_random(struct uuid *ret, struct error *err);
void uuid_format(const struct uuid *u, char ret[UUID_TEXT_LEN + 1]);

#endif
