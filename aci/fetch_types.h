/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_FETCH_TYPES_H
#define ACI_FETCH_TYPES_H

/* What rkt-fetch tells about signatures and keys, and its bounds. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_ID_LEN 135 /* "sha512-" and 128 hex digits */
#define FETCH_FINGERPRINT_LEN 40
#define FETCH_USER_ID_MAX 256 /* with the NUL; longer ones are cut */
#define FETCH_USER_IDS_MAX 8
#define FETCH_SUBKEYS_MAX 16
#define FETCH_BLOBS_MAX 240 /* tar descriptors an index takes */
#define FETCH_KEYS_MAX 60   /* key files a verify takes */
#define FETCH_MANIFEST_MAX (4UL * 1024 * 1024)
#define FETCH_TAR_SIZE_MAX (64ULL << 30)
#define FETCH_FILES_MAX 2000000

/* Who signed an image. */
struct fetch_signer {
	/* Primary key of the signing (sub)key, lower-case hex. */
	char fingerprint[FETCH_FINGERPRINT_LEN + 1];
	char signing_key[FETCH_FINGERPRINT_LEN + 1]; /* itself */
	int64_t created; /* of the signature, seconds since 1970 */
	size_t n_user_ids;
	char user_ids[FETCH_USER_IDS_MAX][FETCH_USER_ID_MAX];
};

struct fetch_subkey {
	char fingerprint[FETCH_FINGERPRINT_LEN + 1];
	int64_t created, expires; /* expires 0 = never */
	bool revoked, can_sign;
};

/* A public key as `rkt trust` shows it. */
struct fetch_key {
	char fingerprint[FETCH_FINGERPRINT_LEN + 1]; /* lower-case hex */
	char algorithm[32];			     /* "RSA", "EDDSA", ... */
	uint32_t bits;
	int64_t created, expires; /* expires 0 = never */
	bool revoked, expired, can_sign;
	bool has_secret;  /* the file holds a secret key: do not store it */
	size_t n_primary; /* primary keys in the file; the first is shown */
	size_t n_user_ids;
	char user_ids[FETCH_USER_IDS_MAX][FETCH_USER_ID_MAX];
	size_t n_subkeys;
	struct fetch_subkey subkeys[FETCH_SUBKEYS_MAX];
};

#endif
