/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/error.h"

int digest_prepare(struct error *err)
{
	static const enum digest_type types[] = {DIGEST_SHA256, DIGEST_SHA512};
	int r = 0;

	/* Not the host's configuration file: it can load modules. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	for (size_t i = 0; i < 2 && r == 0; i++) {
		cleanup_digest struct digest d = DIGEST_INIT;
		uint8_t out[DIGEST_SHA512_SIZE];

		r = digest_init(&d, types[i], err);
		if (r == 0)
			digest_final(&d, out);
	}
	return r;
}

int digest_init(struct digest *d, enum digest_type type, struct error *err)
{
	const EVP_MD *md = type == DIGEST_SHA512 ? EVP_sha512() : EVP_sha256();

	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx || !EVP_DigestInit_ex(d->ctx, md, NULL)) {
		digest_release(d);
		return error_set(err, ENOTSUP, "start %s: not provided",
				 type == DIGEST_SHA512 ? "SHA-512" : "SHA-256");
	}
	return 0;
}

void digest_update(struct digest *d, const void *data, size_t len)
{
	/* Fails only for a context that was never started. */
	if (!EVP_DigestUpdate(d->ctx, data, len))
		abort();
}

void digest_final(struct digest *d, uint8_t *ret)
{
	if (!EVP_DigestFinal_ex(d->ctx, ret, NULL))
		abort();
}

void digest_release(struct digest *d)
{
	EVP_MD_CTX_free(d->ctx);
	d->ctx = NULL;
}
