/* SPDX-License-Identifier: Apache-2.0 */
/* The fixtures are GnuPG's: tests/openpgp/make-fixtures.sh. */
#include "aci/signature.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "aci/digest.h"
#include "aci/fetch_types.h"
#include "base/cleanup.h"
#include "base/error.h"

static int fixture(const char *name)
{
	cleanup_fd int dirfd = open("tests/openpgp", O_PATH | O_CLOEXEC);
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0, "%s", name);
	return fd;
}

#define KEYS_MAX 4

static int get_trust(void *arg, struct signature_trust *ret, struct error *err)
{
	(void)err;
	*ret = *(struct signature_trust *)arg;
	return 0;
}

/* One behind the other in a memory file, as rkt-fetch gets them. */
static void add_key(struct signature_trust *trust, const char *name)
{
	cleanup_fd int fd = fixture(name);
	uint64_t end = trust->n ? trust->ends[trust->n - 1] : 0;
	ssize_t n;

	while ((n = sendfile(trust->keys_fd, fd, NULL, 1 << 20)) > 0)
		end += (uint64_t)n;
	cr_assert(n == 0);
	trust->ends[trust->n++] = end;
}

static int verify(const char *image, const char *sig, const uint8_t *digest,
		  const char *const *keys, struct fetch_signer *ret,
		  struct error *err)
{
	cleanup_openpgp struct openpgp pgp = {NULL};
	cleanup_fd int image_fd = fixture(image);
	cleanup_fd int sig_fd = fixture(sig);
	cleanup_fd int keys_fd = memfd_create("keys", MFD_CLOEXEC);
	struct signature_trust trust = {.digest = digest, .keys_fd = keys_fd};

	cr_assert(openpgp_open(&pgp, err) == 0);
	for (size_t n = 0; n < KEYS_MAX && keys[n]; n++)
		add_key(&trust, keys[n]);
	return signature_verify(&pgp, image_fd, sig_fd, get_trust, &trust, ret,
				err);
}

Test(signature, verify)
{
	static const struct {
		const char *sig;
		const char *keys[KEYS_MAX];
		int code;
		const char *text; /* part of the message, or the user id */
	} rows[] = {
		{"rsa.sig", {"rsa.pub"}, 0, "Good RSA <rsa@example.com>"},
		{"rsa-binary.sig", {"rsa-binary.pub"}, 0, "Good RSA"},
		{"rsa.sig", {"stranger.pub", "rsa.pub"}, 0, "Good RSA"},
		{"rsa.sig", {"keyring.pub"}, 0, "Good RSA"},
		{"subkey.sig", {"subkey.pub"}, 0, "Subkey"},
		{"two-signatures.sig", {"rsa.pub"}, 0, "Good RSA"},
		{"two-blocks.sig", {"rsa.pub"}, 0, "Good RSA"},
		{"two-blocks.sig", {"subkey.pub"}, ENOKEY, "not trusted"},
		{"key-revoked.sig",
		 {"key-before-revocation.pub"},
		 0,
		 "Revoked <gone"},
		{"key-revoked.sig", {"key-revoked.pub"}, EPERM, "is revoked"},
		/* Somebody else's copy of the key cannot undo that. */
		{"key-revoked.sig",
		 {"key-revoked.pub", "key-before-revocation.pub"},
		 EPERM,
		 "is revoked"},
		{"key-expired.sig",
		 {"key-expired.pub"},
		 EPERM,
		 "signing key 8440173d9bbfb66bc5d254404b703cdb30ade65e is "
		 "expired"},
		{"signature-expired.sig",
		 {"rsa.pub"},
		 EPERM,
		 "the signature by key"},
		{"sha1.sig", {"rsa.pub"}, EPERM, "weak hash"},
		{"md5.sig", {"rsa.pub"}, EPERM, "weak hash"},
		{"rsa.sig", {"stranger.pub"}, ENOKEY, "not trusted"},
		{"rsa.sig", {NULL}, ENOKEY, "not trusted"},
		{"stranger.sig",
		 {"rsa.pub"},
		 ENOKEY,
		 "10ba8d07def75a83, which is not trusted"},
		{"text.sig", {"rsa.pub"}, EINVAL, "not a detached"},
		{"empty.sig", {"rsa.pub"}, EINVAL, "empty"},
		{"cut.sig", {"rsa.pub"}, EINVAL, "not a detached"},
		{"damaged-armor.sig", {"rsa.pub"}, EINVAL, "not a detached"},
		{"clear.sig", {"rsa.pub"}, EINVAL, "not a detached"},
		{"inline.sig", {"rsa.pub"}, EINVAL, "not a detached"},
		{"rsa.pub", {"rsa.pub"}, EINVAL, "not a detached"},
		{"rsa.sig", {"rsa.sig"}, ENOKEY, "not trusted"},
		{"rsa.sig", {"text.sig"}, EKEYREJECTED, "not an OpenPGP key"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		struct fetch_signer signer = {0};
		int r = verify("image", rows[i].sig, NULL, rows[i].keys,
			       &signer, &err);

		cr_expect(r == -rows[i].code, "row %zu %s: %d %s", i,
			  rows[i].sig, r, err.msg);
		cr_expect(
			strstr(r ? err.msg : signer.user_ids[0], rows[i].text),
			"row %zu %s: %s, not %s", i, rows[i].sig,
			r ? err.msg : signer.user_ids[0], rows[i].text);
	}
}

Test(signature, changed_image)
{
	static const char *const keys[KEYS_MAX] = {"rsa.pub"};
	struct error err = ERROR_INIT;
	struct fetch_signer signer;

	cr_expect(verify("changed", "rsa.sig", NULL, keys, &signer, &err) ==
		  -EBADMSG);
	cr_expect_not_null(strstr(err.msg, "does not match"), "%s", err.msg);
}

/* A good signature, but not over the bytes that were imported. */
Test(signature, digest)
{
	static const char *const keys[KEYS_MAX] = {"rsa.pub"};
	static const char text[] = "the bytes of an image\n";
	cleanup_digest struct digest d = DIGEST_INIT;
	struct error err = ERROR_INIT;
	struct fetch_signer signer;
	uint8_t digest[32];

	cr_assert(digest_init(&d, DIGEST_SHA256, NULL) == 0);
	digest_update(&d, text, sizeof(text) - 1);
	digest_final(&d, digest);
	cr_expect(verify("image", "rsa.sig", digest, keys, &signer, &err) == 0,
		  "%s", err.msg);
	cr_expect(signer.created == 1577836800);
	digest[31] ^= 1;
	cr_expect(verify("image", "rsa.sig", digest, keys, &signer, &err) ==
		  -EBADMSG);
	cr_expect_not_null(strstr(err.msg, "changed while"), "%s", err.msg);
}

static int key_info(const char *name, struct fetch_key *ret, struct error *err)
{
	cleanup_openpgp struct openpgp pgp = {NULL};
	cleanup_fd int fd = fixture(name);

	cr_assert(openpgp_open(&pgp, err) == 0);
	return signature_key_info(&pgp, fd, ret, err);
}

Test(signature, key_info)
{
	static const struct {
		const char *name;
		const char *algorithm; /* NULL = refused */
		size_t n_primary, n_subkeys;
		bool revoked, expired, has_secret, can_sign;
	} rows[] = {
		{"rsa.pub", "RSA", 1, 0, false, false, false, true},
		{"rsa-binary.pub", "RSA", 1, 0, false, false, false, true},
		{"subkey.pub", "EDDSA", 1, 1, false, false, false, false},
		{"key-expired.pub", "EDDSA", 1, 0, false, true, false, true},
		{"key-revoked.pub", "EDDSA", 1, 0, true, false, false, true},
		{"secret.pub", "RSA", 1, 0, false, false, true, true},
		{"keyring.pub", "RSA", 2, 0, false, false, false, true},
		{"two-keys.pub", "RSA", 2, 0, false, false, false, true},
		{"cut.pub", NULL, 0, 0, false, false, false, false},
		{"text.sig", NULL, 0, 0, false, false, false, false},
		{"empty.sig", NULL, 0, 0, false, false, false, false},
		{"rsa.sig", NULL, 0, 0, false, false, false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		struct fetch_key k = {0};
		int r = key_info(rows[i].name, &k, &err);

		cr_expect((r == 0) == (rows[i].algorithm != NULL), "%s: %s",
			  rows[i].name, err.msg);
		if (!rows[i].algorithm)
			continue;
		cr_expect_str_eq(k.algorithm, rows[i].algorithm);
		cr_expect(k.n_primary == rows[i].n_primary &&
				  k.n_subkeys == rows[i].n_subkeys &&
				  k.revoked == rows[i].revoked &&
				  k.expired == rows[i].expired &&
				  k.has_secret == rows[i].has_secret &&
				  k.can_sign == rows[i].can_sign,
			  "%s", rows[i].name);
		cr_expect(strlen(k.fingerprint) == FETCH_FINGERPRINT_LEN);
		cr_expect(k.created == 1577836800);
	}
}
