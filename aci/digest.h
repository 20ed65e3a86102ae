/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_DIGEST_H
#define ACI_DIGEST_H

/*
 * Streaming digests over OpenSSL's EVP, which picks the CPU's fastest code.
 * digest_init(), any number of updates, one final; then release.
 */

#include <stddef.h>
#include <stdint.h>

struct error;

#define DIGEST_SHA512_SIZE 64
#define DIGEST_SHA256_SIZE 32

enum digest_type { DIGEST_SHA256, DIGEST_SHA512 };

struct digest {
	void *ctx; /* EVP_MD_CTX; NULL = released */
};

#define DIGEST_INIT                                                            \
	{                                                                      \
		NULL                                                           \
	}

/* Loads what OpenSSL loads on first use; call it before a sandbox. */
int digest_prepare(struct error *err);

int digest_init(struct digest *d, enum digest_type type, struct error *err);
void digest_update(struct digest *d, const void *data, size_t len);
/* RET has room for the type's size. */
void digest_final(struct digest *d, uint8_t *ret);
void digest_release(struct digest *d);
#define cleanup_digest __attribute__((__cleanup__(digest_release)))

#endif
