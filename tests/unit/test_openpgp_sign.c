/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/openpgp_sign.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"

#define IMAGE "the bytes of an image\0and more"

static int no_passphrase(void *arg, const char *fingerprint, char *buf,
			 size_t size, struct error *err)
{
	const char *answer = arg;

	(void)fingerprint;
	if (!answer)
		return error_set(err, EACCES, "nobody to ask");
	(void)snprintf(buf, size, "%s", answer);
	return 0;
}

static int image_fd(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	cr_assert(write_full(fd, IMAGE, sizeof(IMAGE)) == 0);
	cr_assert(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void make(const struct openpgp_new_key *key, struct strbuf *secret,
		 struct strbuf *public, char *fingerprint)
{
	struct error err = ERROR_INIT;

	cr_assert(openpgp_generate(key, secret, public, fingerprint, &err) == 0,
		  "%s", err.msg);
}

/* What the library says of SIGNATURE over DATA with the keys in PUBLIC. */
static rnp_result_t verify(const struct strbuf *public,
			   const struct strbuf *signature, const void *data,
			   size_t len)
{
	rnp_input_t keys, in, sig;
	rnp_op_verify_t op;
	rnp_ffi_t ffi;
	rnp_result_t r;

	cr_assert(rnp_ffi_create(&ffi, "GPG", "GPG") == 0);
	rnp_input_from_memory(&keys, (uint8_t *)public->buf, public->len, 0);
	cr_assert(rnp_load_keys(ffi, "GPG", keys, RNP_LOAD_SAVE_PUBLIC_KEYS) ==
		  0);
	rnp_input_from_memory(&in, data, len, 0);
	rnp_input_from_memory(&sig, (uint8_t *)signature->buf, signature->len,
			      0);
	cr_assert(rnp_op_verify_detached_create(&op, ffi, in, sig) == 0);
	r = rnp_op_verify_execute(op);
	rnp_op_verify_destroy(op);
	rnp_input_destroy(sig);
	rnp_input_destroy(in);
	rnp_input_destroy(keys);
	rnp_ffi_destroy(ffi);
	return r;
}

Test(openpgp_sign, a_signature_verifies_and_a_changed_image_does_not)
{
	cleanup_strbuf struct strbuf secret = STRBUF_INIT, public = STRBUF_INIT,
				     sig = STRBUF_INIT;
	char made[OPENPGP_FINGERPRINT_MAX], with[OPENPGP_FINGERPRINT_MAX];
	cleanup_fd int fd = image_fd();
	struct error err = ERROR_INIT;
	int r;

	make(&(struct openpgp_new_key){.userid = "Tester <t@example.com>"},
	     &secret, &public, made);
	cr_expect(strlen(made) == 40, "%s", made);
	cr_expect(strstr(secret.buf, "BEGIN PGP PRIVATE KEY BLOCK") != NULL);
	cr_expect(strstr(public.buf, "BEGIN PGP PUBLIC KEY BLOCK") != NULL);

	r = openpgp_sign(&secret, fd, no_passphrase, NULL, &sig, with, &err);
	cr_assert(r == 0, "%s", err.msg);
	cr_expect(!strcmp(made, with), "%s %s", made, with);
	cr_expect(!strncmp(sig.buf, "-----BEGIN PGP SIGNATURE-----", 29));
	cr_expect(verify(&public, &sig, IMAGE, sizeof(IMAGE)) == RNP_SUCCESS);
	cr_expect(verify(&public, &sig, IMAGE, sizeof(IMAGE) - 1) ==
		  RNP_ERROR_SIGNATURE_INVALID);
}

Test(openpgp_sign, protected_keys_need_their_passphrase)
{
	static const struct {
		const char *answer;
		int result;
	} rows[] = {
		{"open sesame", 0},
		{"open", -EACCES},
		{"", -EACCES},
		{NULL, -EACCES},
	};
	cleanup_strbuf struct strbuf secret = STRBUF_INIT, public = STRBUF_INIT;
	char fpr[OPENPGP_FINGERPRINT_MAX];

	make(&(struct openpgp_new_key){.userid = "T <t@example.com>",
				       .passphrase = "open sesame"},
	     &secret, &public, fpr);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_strbuf struct strbuf sig = STRBUF_INIT;
		cleanup_fd int fd = image_fd();
		int r = openpgp_sign(&secret, fd, no_passphrase,
				     (void *)rows[i].answer, &sig, fpr, NULL);

		cr_expect(r == rows[i].result, "row %zu: %d", i, r);
		cr_expect((sig.len > 0) == (r == 0), "row %zu", i);
	}
}

Test(openpgp_sign, what_cannot_sign_is_refused_with_the_reason)
{
	cleanup_strbuf struct strbuf secret = STRBUF_INIT, public = STRBUF_INIT,
				     expired = STRBUF_INIT, no = STRBUF_INIT,
				     garbage = STRBUF_INIT, sig = STRBUF_INIT;
	char fpr[OPENPGP_FINGERPRINT_MAX];
	const struct {
		const struct strbuf *key;
		int result;
		const char *text;
	} rows[] = {
		{&public, -EINVAL, "a public key cannot sign"},
		{&garbage, -EINVAL, "OpenPGP key"},
		{&no, -EINVAL, "OpenPGP key"},
		{&expired, -EPERM, "it is expired"},
	};

	make(&(struct openpgp_new_key){.userid = "T <t@example.com>"}, &secret,
	     &public, fpr);
	strbuf_reset(&secret);
	make(&(struct openpgp_new_key){.userid = "E <t@example.com>",
				       .expire = 1},
	     &expired, &secret, fpr);
	strbuf_addstr(&garbage, "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA"
				"\n-----END PGP PRIVATE KEY BLOCK-----\n");
	sleep(2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error err = ERROR_INIT;
		cleanup_fd int fd = image_fd();
		int r = openpgp_sign(rows[i].key, fd, no_passphrase, NULL, &sig,
				     fpr, &err);

		cr_expect(r == rows[i].result, "row %zu: %d", i, r);
		cr_expect(strstr(err.msg, rows[i].text) != NULL, "row %zu: %s",
			  i, err.msg);
	}
	cr_expect(sig.len == 0);
}
