/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_SIGNATURE_H
#define ACI_SIGNATURE_H

/*
 * Detached OpenPGP signatures (aci.md, Image Archives) and public keys, read
 * with librnp.  Runs on hostile bytes: only inside the sandbox, in tests and
 * in fuzzers.  openpgp_open() before the sandbox, the rest inside.
 */

#include <stddef.h>
#include <stdint.h>

#include "aci/fetch_types.h"

struct error;
struct fetch_key;
struct fetch_signer;

#define SIGNATURE_SIZE_MAX (256UL * 1024) /* bytes of a signature file */
#define KEY_SIZE_MAX (4UL * 1024 * 1024)  /* of a public key file */

struct openpgp {
	void *ffi; /* rnp_ffi_t; its key ring is this object's */
};

int openpgp_open(struct openpgp *ret, struct error *err);
void openpgp_release(struct openpgp *pgp);
#define cleanup_openpgp __attribute__((__cleanup__(openpgp_release)))

/* What a signature is held against. */
struct signature_trust {
	const uint8_t *digest; /* SHA-256 the image must have; NULL: any */
	int keys_fd;	       /* N public key files, one behind the other */
	size_t n;
	uint64_t ends[FETCH_KEYS_MAX]; /* offsets */
};

/*
 * Checks the signature SIG_FD over IMAGE_FD (read with pread(2)).  GET is
 * asked for the trust once the image is read: its name may be found
 * meanwhile.  Results as fetch_verify_finish() documents them.
 */
int signature_verify(struct openpgp *pgp, int image_fd, int sig_fd,
		     int (*get)(void *arg, struct signature_trust *ret,
				struct error *err),
		     void *arg, struct fetch_signer *ret, struct error *err);

/* Describes the public key KEY_FD.  -EINVAL: it is none. */
int signature_key_info(struct openpgp *pgp, int key_fd, struct fetch_key *ret,
		       struct error *err);

#endif
