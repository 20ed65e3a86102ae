/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/openpgp_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"

#define ARMOR_MAX (1024UL * 1024) /* bytes; a signature has some 300 */
#define PASSPHRASE_MAX 256

DEFINE_CLEANUP(rnp_ffi_t, rnp_ffi_destroy);
DEFINE_CLEANUP(rnp_input_t, rnp_input_destroy);
DEFINE_CLEANUP(rnp_output_t, rnp_output_destroy);
DEFINE_CLEANUP(rnp_op_generate_t, rnp_op_generate_destroy);
DEFINE_CLEANUP(rnp_op_sign_t, rnp_op_sign_destroy);
DEFINE_CLEANUP(rnp_key_handle_t, rnp_key_handle_destroy);
DEFINE_CLEANUP(rnp_identifier_iterator_t, rnp_identifier_iterator_destroy);
DEFINE_CLEANUP(char *, rnp_buffer_destroy);

static int rnp_fail(struct error *err, const char *what, rnp_result_t r)
{
	return error_set(err, r == RNP_ERROR_OUT_OF_MEMORY ? ENOMEM : EINVAL,
			 "%s: %s", what, rnp_result_to_string(r));
}

static int ffi_open(rnp_ffi_t *ret, struct error *err)
{
	rnp_result_t r =
		rnp_ffi_create(ret, RNP_KEYSTORE_GPG, RNP_KEYSTORE_GPG);

	if (r)
		return rnp_fail(err, "start OpenPGP", r);
	/* The library tells its troubles on stderr; ours come as results.
	 * It owns and closes the descriptor. */
	(void)rnp_ffi_set_log_fd(*ret, open("/dev/null", O_WRONLY | O_CLOEXEC));
	return 0;
}

static int armor_take(rnp_output_t output, struct strbuf *ret,
		      struct error *err)
{
	uint8_t *buf = NULL;
	size_t len = 0;
	rnp_result_t r = rnp_output_memory_get_buf(output, &buf, &len, false);

	if (r)
		return rnp_fail(err, "read OpenPGP output", r);
	/* The library ends armor lines with CR LF. */
	for (size_t i = 0; i < len; i++) {
		if (buf[i] != '\r')
			strbuf_addch(ret, (char)buf[i]);
	}
	return 0;
}

static int fingerprint_get(rnp_key_handle_t key, char *ret, struct error *err)
{
	cleanup_with(rnp_buffer_destroy_cleanup) char *fpr = NULL;
	rnp_result_t r = rnp_key_get_fprint(key, &fpr);

	if (r || strlen(fpr) >= OPENPGP_FINGERPRINT_MAX)
		return rnp_fail(err, "read the fingerprint", r);
	memcpy(ret, fpr, strlen(fpr) + 1);
	return 0;
}

/* --- making keys -----------------------------------------------------------
 */

static int key_export(rnp_key_handle_t key, uint32_t what, struct strbuf *ret,
		      struct error *err)
{
	cleanup_with(rnp_output_destroy_cleanup) rnp_output_t out = NULL;
	rnp_result_t r = rnp_output_to_memory(&out, ARMOR_MAX);

	if (!r)
		r = rnp_key_export(key, out, what | RNP_KEY_EXPORT_ARMORED);
	if (r)
		return rnp_fail(err, "export the key", r);
	return armor_take(out, ret, err);
}

static rnp_result_t generate_set(rnp_op_generate_t op,
				 const struct openpgp_new_key *key)
{
	rnp_result_t r = rnp_op_generate_set_userid(op, key->userid);

	if (!r)
		r = rnp_op_generate_set_hash(op, RNP_ALGNAME_SHA512);
	if (!r)
		r = rnp_op_generate_add_pref_hash(op, RNP_ALGNAME_SHA512);
	if (!r)
		r = rnp_op_generate_add_usage(op, "sign");
	if (!r)
		r = rnp_op_generate_set_expiration(op, key->expire);
	if (!r && key->passphrase)
		r = rnp_op_generate_set_protection_password(op,
							    key->passphrase);
	return r;
}

int openpgp_generate(const struct openpgp_new_key *key,
		     struct strbuf *ret_secret, struct strbuf *ret_public,
		     char *ret_fingerprint, struct error *err)
{
	cleanup_with(rnp_ffi_destroy_cleanup) rnp_ffi_t ffi = NULL;
	cleanup_with(rnp_op_generate_destroy_cleanup) rnp_op_generate_t op =
		NULL;
	cleanup_with(rnp_key_handle_destroy_cleanup) rnp_key_handle_t made =
		NULL;
	rnp_result_t res;
	int r = ffi_open(&ffi, err);

	if (r < 0)
		return r;
	res = rnp_op_generate_create(&op, ffi, RNP_ALGNAME_EDDSA);
	if (!res)
		res = generate_set(op, key);
	if (!res)
		res = rnp_op_generate_execute(op);
	if (!res)
		res = rnp_op_generate_get_key(op, &made);
	if (res)
		return rnp_fail(err, "make the key", res);

	r = fingerprint_get(made, ret_fingerprint, err);
	if (r == 0)
		r = key_export(made, RNP_KEY_EXPORT_SECRET, ret_secret, err);
	if (r == 0)
		r = key_export(made, RNP_KEY_EXPORT_PUBLIC, ret_public, err);
	return r;
}

/* --- choosing a key to sign with -------------------------------------------
 */

static int keys_load(rnp_ffi_t ffi, const struct strbuf *key, struct error *err)
{
	cleanup_with(rnp_input_destroy_cleanup) rnp_input_t in = NULL;
	rnp_result_t r = rnp_input_from_memory(&in, (const uint8_t *)key->buf,
					       key->len, false);

	/* Both halves: expiry and revocation are read from the public one. */
	if (!r)
		r = rnp_import_keys(ffi, in,
				    RNP_LOAD_SAVE_PUBLIC_KEYS |
					    RNP_LOAD_SAVE_SECRET_KEYS |
					    RNP_LOAD_SAVE_PERMISSIVE,
				    NULL);
	return r ? error_set(err, EINVAL, "not an OpenPGP key: %s",
			     rnp_result_to_string(r))
		 : 0;
}

/* GnuPG exports a key whose secret is elsewhere as an empty shell. */
static bool secret_is_here(rnp_key_handle_t key)
{
	cleanup_with(rnp_buffer_destroy_cleanup) char *type = NULL;
	bool have = false;

	if (rnp_key_have_secret(key, &have) || !have)
		return false;
	return rnp_key_get_protection_type(key, &type) == 0 &&
	       strcmp(type, "GPG-None") != 0 &&
	       strcmp(type, "GPG-Smartcard") != 0;
}

/* NULL if KEY may sign now, else the reason why not. */
static const char *refusal(rnp_key_handle_t key)
{
	bool yes = false;

	if (!secret_is_here(key))
		return "its secret part is not in the file";
	if (rnp_key_is_revoked(key, &yes) == 0 && yes)
		return "it is revoked";
	if (rnp_key_is_expired(key, &yes) == 0 && yes)
		return "it is expired";
	if (rnp_key_is_valid(key, &yes) != 0 || !yes)
		return "its self-signature is not valid";
	if (rnp_key_allows_usage(key, "sign", &yes) != 0 || !yes)
		return "it may not sign";
	return NULL;
}

struct choice {
	rnp_key_handle_t key;
	uint32_t created;
	bool is_sub;
	size_t n_keys, n_secret;
	const char *reason; /* why the last secret key was refused */
};

/* As GnuPG chooses: the newest signing subkey, else the primary key. */
static void choice_offer(struct choice *c, rnp_key_handle_t *key)
{
	const char *reason = refusal(*key);
	uint32_t created = 0;
	bool is_sub = false;

	c->n_keys++;
	if (secret_is_here(*key)) {
		c->n_secret++;
		c->reason = reason;
	}
	if (reason)
		return;
	(void)rnp_key_get_creation(*key, &created);
	(void)rnp_key_is_sub(*key, &is_sub);
	if (c->key && (c->is_sub > is_sub ||
		       (c->is_sub == is_sub && c->created >= created)))
		return;
	rnp_key_handle_t old = c->key;

	c->key = *key;
	c->created = created;
	c->is_sub = is_sub;
	*key = old; /* the caller frees what is not chosen */
}

static int key_choose(rnp_ffi_t ffi, rnp_key_handle_t *ret, struct error *err)
{
	cleanup_with(rnp_identifier_iterator_destroy_cleanup)
		rnp_identifier_iterator_t it = NULL;
	struct choice c = {0};
	const char *fpr = NULL;
	rnp_result_t r =
		rnp_identifier_iterator_create(ffi, &it, "fingerprint");

	if (r)
		return rnp_fail(err, "read the keys", r);
	while (rnp_identifier_iterator_next(it, &fpr) == 0 && fpr) {
		cleanup_with(rnp_key_handle_destroy_cleanup)
			rnp_key_handle_t key = NULL;

		if (rnp_locate_key(ffi, "fingerprint", fpr, &key) == 0 && key)
			choice_offer(&c, &key);
	}
	*ret = c.key;
	if (c.key)
		return 0;
	if (!c.n_secret)
		return error_set(err, EINVAL,
				 c.n_keys ? "a public key cannot sign: give "
					    "the secret key's file"
					  : "no OpenPGP key in it");
	return error_set(err, EPERM, "the key cannot sign: %s",
			 c.reason ? c.reason : "no signing key");
}

static int key_unlock(rnp_key_handle_t key, const char *fingerprint,
		      openpgp_passphrase_fn ask, void *arg, struct error *err)
{
	char passphrase[PASSPHRASE_MAX] = "";
	bool is_protected = false;
	rnp_result_t res;
	int r;

	(void)rnp_key_is_protected(key, &is_protected);
	if (!is_protected)
		return 0;
	r = ask(arg, fingerprint, passphrase, sizeof(passphrase), err);
	if (r < 0)
		return r;
	res = rnp_key_unlock(key, passphrase);
	explicit_bzero(passphrase, sizeof(passphrase));
	if (res == RNP_ERROR_BAD_PASSWORD)
		return error_set(err, EACCES, "wrong passphrase for key %s",
				 fingerprint);
	return res ? rnp_fail(err, "unlock the key", res) : 0;
}

/* --- signing ---------------------------------------------------------------
 */

struct source {
	int fd;
	int error; /* errno of a failed read */
};

static bool source_read(void *app_ctx, void *buf, size_t len, size_t *ret)
{
	struct source *s = app_ctx;
	ssize_t n;

	do {
		n = read(s->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		s->error = errno;
		return false;
	}
	*ret = (size_t)n;
	return true;
}

static int sign_with(rnp_ffi_t ffi, rnp_key_handle_t key, struct source *source,
		     struct strbuf *ret, struct error *err)
{
	cleanup_with(rnp_input_destroy_cleanup) rnp_input_t in = NULL;
	cleanup_with(rnp_output_destroy_cleanup) rnp_output_t out = NULL;
	cleanup_with(rnp_op_sign_destroy_cleanup) rnp_op_sign_t op = NULL;
	rnp_result_t r =
		rnp_input_from_callback(&in, source_read, NULL, source);

	if (!r)
		r = rnp_output_to_memory(&out, ARMOR_MAX);
	if (!r)
		r = rnp_op_sign_detached_create(&op, ffi, in, out);
	if (!r)
		r = rnp_op_sign_set_armor(op, true);
	if (!r)
		r = rnp_op_sign_set_hash(op, RNP_ALGNAME_SHA512);
	if (!r)
		r = rnp_op_sign_add_signature(op, key, NULL);
	if (!r)
		r = rnp_op_sign_execute(op);
	if (source->error)
		return error_sys(err, source->error, "read the image");
	return r ? rnp_fail(err, "sign", r) : armor_take(out, ret, err);
}

int openpgp_sign(const struct strbuf *key, int fd, openpgp_passphrase_fn ask,
		 void *arg, struct strbuf *ret_armor, char *ret_fingerprint,
		 struct error *err)
{
	cleanup_with(rnp_ffi_destroy_cleanup) rnp_ffi_t ffi = NULL;
	cleanup_with(rnp_key_handle_destroy_cleanup) rnp_key_handle_t with =
		NULL;
	struct source source = {.fd = fd};
	int r = ffi_open(&ffi, err);

	if (r == 0)
		r = keys_load(ffi, key, err);
	if (r == 0)
		r = key_choose(ffi, &with, err);
	if (r == 0)
		r = fingerprint_get(with, ret_fingerprint, err);
	if (r == 0)
		r = key_unlock(with, ret_fingerprint, ask, arg, err);
	if (r == 0)
		r = sign_with(ffi, with, &source, ret_armor, err);
	return r;
}
