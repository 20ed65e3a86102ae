/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OPENPGP_SIGN_H
#define ACI_OPENPGP_SIGN_H

/*
 * The side of OpenPGP that holds secrets: making keys and signing images
 * with them.  Verification is aci/signature.h.  Keys are EdDSA over
 * Curve25519 (RFC 4880bis, algorithm 22), signatures use SHA-512; GnuPG 2.1
 * and later reads both, and any secret key that GnuPG exports signs here.
 */

#include <stddef.h>
#include <stdint.h>

struct error;
struct strbuf;

#define OPENPGP_FINGERPRINT_MAX 65 /* 40 or 64 hex digits and a NUL */

/*
 * Asks for the passphrase of the key FINGERPRINT: a NUL-terminated string
 * into BUF.  0, or -errno when there is nobody to ask.
 */
typedef int (*openpgp_passphrase_fn)(void *arg, const char *fingerprint,
				     char *buf, size_t size, struct error *err);

struct openpgp_new_key {
	const char *userid;	/* "Name <mail>" */
	const char *passphrase; /* NULL = the secret key is not protected */
	uint32_t expire;	/* seconds from now, 0 = never */
};

/*
 * Makes a key.  RET_SECRET and RET_PUBLIC get it armored, RET_FINGERPRINT
 * (OPENPGP_FINGERPRINT_MAX bytes) its upper-case fingerprint.
 */
int openpgp_generate(const struct openpgp_new_key *key,
		     struct strbuf *ret_secret, struct strbuf *ret_public,
		     char *ret_fingerprint, struct error *err);

/*
 * Signs what FD gives up to its end with the secret key in KEY (armored or
 * binary; the newest signing subkey is taken, else the primary key).
 * RET_ARMOR gets the armored detached signature, RET_FINGERPRINT the signing
 * key's.  -EPERM: the key is expired, revoked or may not sign; -EACCES: wrong
 * passphrase; -EINVAL: not a secret key.
 */
int openpgp_sign(const struct strbuf *key, int fd, openpgp_passphrase_fn ask,
		 void *arg, struct strbuf *ret_armor, char *ret_fingerprint,
		 struct error *err);

#endif
