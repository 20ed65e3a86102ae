/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures and keys, armored or not.  The first byte chooses: a key to
 * describe, a signature to check with a good key, or a key to check a good
 * signature with.  No made-up signature verifies.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_types.h"
#include "aci/signature.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "tests/fuzz/fuzz.h"

#define GOOD_FINGERPRINT "1f85a3cdcf829faffc16265974bca18139788d6e"

static int open_fixture(const char *name)
{
	cleanup_fd int dirfd = open("tests/openpgp", O_PATH | O_CLOEXEC);
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	fuzz_expect(fd >= 0); /* run me in the project's directory */
	return fd;
}

static void describe(struct openpgp *pgp, int fd)
{
	struct fetch_key key = {0};
	struct error err = ERROR_INIT;

	if (signature_key_info(pgp, fd, &key, &err) < 0) {
		fuzz_expect(err.msg[0]);
		return;
	}
	fuzz_expect(strlen(key.fingerprint) == FETCH_FINGERPRINT_LEN);
	fuzz_expect(key.n_primary > 0);
	fuzz_expect(key.n_user_ids <= FETCH_USER_IDS_MAX);
	fuzz_expect(key.n_subkeys <= FETCH_SUBKEYS_MAX);
}

static int get_trust(void *arg, struct signature_trust *ret, struct error *err)
{
	const int *key = arg;
	struct stat st;

	(void)err;
	fuzz_expect(fstat(*key, &st) == 0);
	ret->keys_fd = *key;
	ret->n = 1;
	ret->ends[0] = (uint64_t)st.st_size;
	return 0;
}

static void check(struct openpgp *pgp, int image, int sig, int key)
{
	struct fetch_signer signer = {0};
	struct error err = ERROR_INIT;

	if (signature_verify(pgp, image, sig, get_trust, &key, &signer, &err) <
	    0) {
		fuzz_expect(err.msg[0]);
		return;
	}
	/* Only the good signature by the good key, however dressed up. */
	fuzz_expect(!strcmp(signer.fingerprint, GOOD_FINGERPRINT));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_openpgp struct openpgp pgp = {NULL};
	cleanup_fd int image = open_fixture("image");
	cleanup_fd int input = memfd_create("input", MFD_CLOEXEC);
	cleanup_fd int sig = open_fixture("subkey.sig");
	cleanup_fd int key = open_fixture("subkey.pub");
	struct error err = ERROR_INIT;

	if (size < 1)
		return 0;
	fuzz_expect(openpgp_open(&pgp, &err) == 0);
	fuzz_expect(write_full(input, data + 1, size - 1) == 0);
	switch (data[0]) {
	case 'k':
		describe(&pgp, input);
		break;
	case 's':
		check(&pgp, image, input, key);
		break;
	case 'p':
		check(&pgp, image, sig, input);
		break;
	default:
		break;
	}
	return 0;
}
