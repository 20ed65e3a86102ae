/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/signature.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aci/digest.h"
#include "aci/fetch_types.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#define DEFINE_RNP_CLEANUP(type, fn, name)                                     \
	static void name##_free(type h)                                        \
	{                                                                      \
		(void)fn(h);                                                   \
	}                                                                      \
	DEFINE_CLEANUP(type, name##_free)

DEFINE_RNP_CLEANUP(rnp_key_handle_t, rnp_key_handle_destroy, rnp_key);
DEFINE_RNP_CLEANUP(rnp_uid_handle_t, rnp_uid_handle_destroy, rnp_uid);
DEFINE_RNP_CLEANUP(rnp_signature_handle_t, rnp_signature_handle_destroy,
		   rnp_sig);
DEFINE_RNP_CLEANUP(rnp_input_t, rnp_input_destroy, rnp_input);
DEFINE_RNP_CLEANUP(rnp_output_t, rnp_output_destroy, rnp_output);
DEFINE_RNP_CLEANUP(rnp_op_verify_t, rnp_op_verify_destroy, rnp_verify);
DEFINE_RNP_CLEANUP(rnp_identifier_iterator_t, rnp_identifier_iterator_destroy,
		   rnp_iterator);
static void rnp_text_free(char *s)
{
	rnp_buffer_destroy(s);
}
DEFINE_CLEANUP(char *, rnp_text_free);

#define cleanup_rnp_key cleanup_with(rnp_key_free_cleanup)
#define cleanup_rnp_uid cleanup_with(rnp_uid_free_cleanup)
#define cleanup_rnp_sig cleanup_with(rnp_sig_free_cleanup)
#define cleanup_rnp_input cleanup_with(rnp_input_free_cleanup)
#define cleanup_rnp_output cleanup_with(rnp_output_free_cleanup)
#define cleanup_rnp_verify cleanup_with(rnp_verify_free_cleanup)
#define cleanup_rnp_iterator cleanup_with(rnp_iterator_free_cleanup)
#define cleanup_rnp_text cleanup_with(rnp_text_free_cleanup)

int openpgp_open(struct openpgp *ret, struct error *err)
{
	rnp_ffi_t ffi;
	rnp_result_t r = rnp_ffi_create(&ffi, "GPG", "GPG");

	if (r != RNP_SUCCESS)
		return error_set(err, ENOTSUP, "start librnp: %s",
				 rnp_result_to_string(r));
	ret->ffi = ffi;
	return 0;
}

void openpgp_release(struct openpgp *pgp)
{
	if (pgp->ffi)
		(void)rnp_ffi_destroy(pgp->ffi);
	pgp->ffi = NULL;
}

/* The whole small file FD from its start, malloc'ed. */
static int read_file(int fd, const char *what, size_t max, uint8_t **ret,
		     size_t *ret_len, struct error *err)
{
	cleanup_free uint8_t *buf = xmalloc(max + 1);
	ssize_t n = pread_full(fd, buf, max + 1, 0);

	if (n < 0)
		return error_sys(err, (int)-n, "read the %s", what);
	if ((size_t)n > max)
		return error_set(err, EFBIG, "read the %s: more than %zu bytes",
				 what, max);
	if (n == 0)
		return error_set(err, EINVAL, "read the %s: the file is empty",
				 what);
	*ret = TAKE_PTR(buf);
	*ret_len = (size_t)n;
	return 0;
}

/* Several armored blocks may follow one another in a key file. */
static int load_keys(struct openpgp *pgp, const uint8_t *data, size_t len,
		     struct error *err)
{
	cleanup_rnp_input rnp_input_t input = NULL;
	rnp_result_t result;

	result = rnp_input_from_memory(&input, data, len, false);
	if (result == RNP_SUCCESS)
		result = rnp_import_keys(pgp->ffi, input,
					 RNP_LOAD_SAVE_PUBLIC_KEYS |
						 RNP_LOAD_SAVE_SECRET_KEYS |
						 RNP_LOAD_SAVE_PERMISSIVE,
					 NULL);
	if (result != RNP_SUCCESS)
		return error_set(err, EINVAL,
				 "read the public key: not an OpenPGP key: %s",
				 rnp_result_to_string(result));
	return 0;
}

static void lower_hex(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static int copy_fingerprint(const char *hex, char *ret, struct error *err)
{
	if (strlen(hex) != FETCH_FINGERPRINT_LEN)
		return error_set(err, ENOTSUP,
				 "read the public key: only OpenPGP keys of "
				 "version 4 are supported");
	memcpy(ret, hex, FETCH_FINGERPRINT_LEN + 1);
	lower_hex(ret);
	return 0;
}

static int key_fingerprint(rnp_key_handle_t key, char *ret, struct error *err)
{
	cleanup_rnp_text char *hex = NULL;

	if (rnp_key_get_fprint(key, &hex) != RNP_SUCCESS)
		return error_set(err, EINVAL,
				 "read the public key: it has no fingerprint");
	return copy_fingerprint(hex, ret, err);
}

/* The user ids the key's own signatures vouch for. */
static size_t valid_user_ids(rnp_key_handle_t key,
			     char ret[FETCH_USER_IDS_MAX][FETCH_USER_ID_MAX])
{
	size_t count = 0, n = 0;

	(void)rnp_key_get_uid_count(key, &count);
	for (size_t i = 0; i < count && n < FETCH_USER_IDS_MAX; i++) {
		cleanup_rnp_uid rnp_uid_handle_t uid = NULL;
		cleanup_rnp_text char *text = NULL;
		bool valid = false;

		if (rnp_key_get_uid_handle_at(key, i, &uid) != RNP_SUCCESS ||
		    rnp_uid_is_valid(uid, &valid) != RNP_SUCCESS || !valid ||
		    rnp_key_get_uid_at(key, i, &text) != RNP_SUCCESS)
			continue;
		(void)snprintf(ret[n++], FETCH_USER_ID_MAX, "%s", text);
	}
	return n;
}

/* How one signature turned out, best first. */
enum outcome {
	OUTCOME_GOOD,
	OUTCOME_BAD,
	OUTCOME_SIGNATURE_EXPIRED,
	OUTCOME_SIGNATURE_FUTURE,
	OUTCOME_KEY_REVOKED,
	OUTCOME_KEY_EXPIRED,
	OUTCOME_KEY_INVALID,
	OUTCOME_WEAK_HASH,
	OUTCOME_UNKNOWN_KEY,
	OUTCOME_UNREADABLE,
	N_OUTCOMES
};

static const struct {
	int code;
	const char *before, *after; /* the key */
} outcomes[N_OUTCOMES] = {
	[OUTCOME_BAD] = {EBADMSG, "the signature by key ",
			 " does not match: the image was changed, or the "
			 "signature is another image's"},
	[OUTCOME_SIGNATURE_EXPIRED] = {EPERM, "the signature by key ",
				       " is expired"},
	[OUTCOME_SIGNATURE_FUTURE] = {EPERM, "the signature by key ",
				      " was made in the future: is this "
				      "host's clock right?"},
	[OUTCOME_KEY_REVOKED] = {EPERM, "the signing key ", " is revoked"},
	[OUTCOME_KEY_EXPIRED] = {EPERM, "the signing key ", " is expired"},
	[OUTCOME_KEY_INVALID] = {EPERM, "the key ", " may not sign"},
	[OUTCOME_WEAK_HASH] = {EPERM, "the signature by key ",
			       " uses a weak hash function"},
	[OUTCOME_UNKNOWN_KEY] = {ENOKEY, "it is signed by key ",
				 ", which is not trusted for this image"},
	[OUTCOME_UNREADABLE] = {EINVAL, "the signature by key ",
				" is of an unsupported kind"},
};

struct verdict {
	enum outcome outcome;
	char key[FETCH_FINGERPRINT_LEN + 1]; /* fingerprint or key id */
	struct fetch_signer signer;	     /* when good */
};

static bool is_weak_hash(rnp_op_verify_signature_t sig)
{
	static const char *const weak[] = {"MD5", "SHA1", "RIPEMD160"};
	cleanup_rnp_text char *hash = NULL;

	if (rnp_op_verify_signature_get_hash(sig, &hash) != RNP_SUCCESS)
		return true;
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		if (!strcasecmp(hash, weak[i]))
			return true;
	return false;
}

/* A key that may vouch for something today. */
static enum outcome key_state(rnp_key_handle_t key)
{
	bool revoked = true, expired = true, valid = false;

	if (rnp_key_is_revoked(key, &revoked) != RNP_SUCCESS || revoked)
		return OUTCOME_KEY_REVOKED;
	if (rnp_key_is_expired(key, &expired) != RNP_SUCCESS || expired)
		return OUTCOME_KEY_EXPIRED;
	if (rnp_key_is_valid(key, &valid) != RNP_SUCCESS || !valid)
		return OUTCOME_KEY_INVALID;
	return OUTCOME_GOOD;
}

/* The key KEY belongs to: itself, or its primary key. */
static rnp_key_handle_t primary_key(rnp_ffi_t ffi, rnp_key_handle_t key)
{
	cleanup_rnp_text char *fingerprint = NULL;
	rnp_key_handle_t primary = NULL;
	bool is_sub = false;
	rnp_result_t r;

	if (rnp_key_is_sub(key, &is_sub) != RNP_SUCCESS)
		return NULL;
	r = is_sub ? rnp_key_get_primary_fprint(key, &fingerprint)
		   : rnp_key_get_fprint(key, &fingerprint);
	if (r != RNP_SUCCESS || !fingerprint ||
	    rnp_locate_key(ffi, "fingerprint", fingerprint, &primary) !=
		    RNP_SUCCESS)
		return NULL;
	return primary;
}

static enum outcome judge_key(rnp_ffi_t ffi, rnp_key_handle_t key,
			      struct fetch_signer *signer)
{
	cleanup_rnp_key rnp_key_handle_t primary = primary_key(ffi, key);
	bool can_sign = false;
	enum outcome o;

	if (!primary)
		return OUTCOME_KEY_INVALID;
	o = key_state(primary);
	if (o == OUTCOME_GOOD)
		o = key_state(key);
	if (o != OUTCOME_GOOD)
		return o;
	if (rnp_key_allows_usage(key, "sign", &can_sign) != RNP_SUCCESS ||
	    !can_sign || key_fingerprint(key, signer->signing_key, NULL) < 0 ||
	    key_fingerprint(primary, signer->fingerprint, NULL) < 0)
		return OUTCOME_KEY_INVALID;
	signer->n_user_ids = valid_user_ids(primary, signer->user_ids);
	return OUTCOME_GOOD;
}

static void note_key_id(rnp_op_verify_signature_t sig, struct verdict *v)
{
	cleanup_rnp_sig rnp_signature_handle_t handle = NULL;
	cleanup_rnp_text char *id = NULL;

	(void)snprintf(v->key, sizeof(v->key), "of unknown id");
	if (rnp_op_verify_signature_get_handle(sig, &handle) != RNP_SUCCESS) {
		/* librnp 0.16 frees what it made and leaves the pointer. */
		handle = NULL;
		return;
	}
	if (rnp_signature_get_keyid(handle, &id) != RNP_SUCCESS || !id)
		return;
	lower_hex(id);
	(void)snprintf(v->key, sizeof(v->key), "%s", id);
}

static void judge_signature(rnp_ffi_t ffi, rnp_op_verify_signature_t sig,
			    struct verdict *v)
{
	cleanup_rnp_key rnp_key_handle_t key = NULL;
	rnp_result_t status = rnp_op_verify_signature_get_status(sig);
	uint32_t created = 0, expires;

	note_key_id(sig, v);
	if (rnp_op_verify_signature_get_key(sig, &key) != RNP_SUCCESS || !key) {
		v->outcome = status == RNP_ERROR_KEY_NOT_FOUND
				     ? OUTCOME_UNKNOWN_KEY
				     : OUTCOME_UNREADABLE;
		return;
	}
	(void)key_fingerprint(key, v->key, NULL);
	v->outcome = OUTCOME_WEAK_HASH;
	if (is_weak_hash(sig))
		return;
	v->outcome = judge_key(ffi, key, &v->signer);
	if (v->outcome != OUTCOME_GOOD)
		return;
	(void)rnp_op_verify_signature_get_times(sig, &created, &expires);
	v->signer.created = created;
	/* librnp calls a signature from the future expired, too. */
	if (status == RNP_ERROR_SIGNATURE_EXPIRED)
		v->outcome = created > time(NULL) ? OUTCOME_SIGNATURE_FUTURE
						  : OUTCOME_SIGNATURE_EXPIRED;
	else if (status != RNP_SUCCESS)
		v->outcome = OUTCOME_BAD;
}

/* Whoever waits for the image to be read, and then for the trust. */
struct image_reader {
	int fd;
	off_t offset;
	struct digest digest;
	struct openpgp *pgp;
	int (*get)(void *arg, struct signature_trust *ret, struct error *err);
	void *arg;
	bool has_trust;
	struct error *err;
	int error; /* negative errno, said in ERR */
};

static int load_key_file(struct openpgp *pgp, int fd, uint64_t from,
			 uint64_t to, struct error *err)
{
	cleanup_free uint8_t *data = NULL;
	size_t len;

	if (to <= from || to - from > KEY_SIZE_MAX)
		return error_set(err, EINVAL, "read the public key: its size");
	len = (size_t)(to - from);
	data = xmalloc(len);
	if (pread_full(fd, data, len, (off_t)from) != (ssize_t)len)
		return error_set(err, EIO, "read the public key: it is short");
	return load_keys(pgp, data, len, err);
}

/* Signatures count only for the bytes that were imported. */
static int check_digest(struct image_reader *reader, const uint8_t *digest,
			struct error *err)
{
	uint8_t actual[DIGEST_SHA256_SIZE];

	if (!digest)
		return 0;
	digest_final(&reader->digest, actual);
	if (!memcmp(actual, digest, sizeof(actual)))
		return 0;
	return error_set(err, EBADMSG,
			 "the image changed while it was read; try again");
}

/* librnp looks for keys when it has read all it hashes. */
static int take_trust(struct image_reader *reader, struct error *err)
{
	struct signature_trust trust = {.keys_fd = -EBADF};
	uint64_t from = 0;
	int r = reader->get(reader->arg, &trust, err);

	reader->has_trust = true;
	if (r == 0)
		r = check_digest(reader, trust.digest, err);
	for (size_t i = 0; r == 0 && i < trust.n; i++) {
		if (load_key_file(reader->pgp, trust.keys_fd, from,
				  trust.ends[i], err) < 0)
			r = -EKEYREJECTED;
		from = trust.ends[i];
	}
	return r;
}

static bool read_image(void *ctx, void *buf, size_t len, size_t *ret)
{
	struct image_reader *reader = ctx;
	ssize_t n = 0;

	/* What is not in the digest is not read any more. */
	if (!reader->has_trust)
		n = pread_full(reader->fd, buf, len, reader->offset);
	if (n < 0)
		reader->error =
			error_sys(reader->err, (int)-n, "read the image");
	else if (n == 0 && len > 0 && !reader->has_trust)
		reader->error = take_trust(reader, reader->err);
	if (reader->error)
		return false;
	digest_update(&reader->digest, buf, (size_t)n);
	reader->offset += n;
	*ret = (size_t)n;
	return true;
}

/* The best verdict over all signatures. */
static int judge_all(rnp_ffi_t ffi, rnp_op_verify_t op, struct verdict *ret,
		     struct error *err)
{
	size_t count = 0;

	(void)rnp_op_verify_get_signature_count(op, &count);
	if (count == 0)
		return error_set(err, EINVAL,
				 "not a detached OpenPGP signature");
	ret->outcome = N_OUTCOMES;
	for (size_t i = 0; i < count; i++) {
		struct verdict v = {0};
		rnp_op_verify_signature_t sig;

		if (rnp_op_verify_get_signature_at(op, i, &sig) != RNP_SUCCESS)
			continue;
		judge_signature(ffi, sig, &v);
		if (v.outcome < ret->outcome)
			*ret = v;
	}
	if (ret->outcome == OUTCOME_GOOD)
		return 0;
	if (ret->outcome == N_OUTCOMES)
		return error_set(err, EINVAL, "unreadable OpenPGP signature");
	return error_set(err, outcomes[ret->outcome].code, "%s%s%s",
			 outcomes[ret->outcome].before, ret->key,
			 outcomes[ret->outcome].after);
}

static int verify(struct image_reader *reader, rnp_input_t signature,
		  struct verdict *v)
{
	cleanup_rnp_verify rnp_op_verify_t op = NULL;
	cleanup_rnp_input rnp_input_t image = NULL;
	rnp_ffi_t ffi = reader->pgp->ffi;
	rnp_result_t r;

	r = rnp_input_from_callback(&image, read_image, NULL, reader);
	if (r == RNP_SUCCESS)
		r = rnp_op_verify_detached_create(&op, ffi, image, signature);
	if (r != RNP_SUCCESS)
		return error_set(reader->err, EINVAL, "start verifying: %s",
				 rnp_result_to_string(r));
	/* Its result says less than the signatures' own. */
	(void)rnp_op_verify_execute(op);
	if (reader->error)
		return reader->error;
	return judge_all(ffi, op, v, reader->err);
}

/* The binary form of the armored LEN bytes at DATA, added to *BIN. */
static bool dearmor(const uint8_t *data, size_t len, uint8_t *bin, size_t max,
		    size_t *bin_len)
{
	cleanup_rnp_input rnp_input_t in = NULL;
	cleanup_rnp_output rnp_output_t out = NULL;
	uint8_t *buf = NULL;
	size_t n = 0;

	if (rnp_input_from_memory(&in, data, len, false) != RNP_SUCCESS ||
	    rnp_output_to_memory(&out, 0) != RNP_SUCCESS ||
	    rnp_dearmor(in, out) != RNP_SUCCESS ||
	    rnp_output_memory_get_buf(out, &buf, &n, false) != RNP_SUCCESS ||
	    n > max - *bin_len)
		return false;
	memcpy(bin + *bin_len, buf, n);
	*bin_len += n;
	return true;
}

/*
 * Several signers append their armored blocks to one file, as gpg reads it;
 * librnp reads the first.  Makes *DATA the packets of all of them; leaves it
 * as it is if there is one block, or one that cannot be read.
 */
static void dearmor_blocks(uint8_t **data, size_t *len)
{
	static const char begin[] = "-----BEGIN PGP SIGNATURE-----";
	cleanup_free uint8_t *bin = xmalloc(*len);
	size_t max = *len, bin_len = 0;
	uint8_t *end = *data + max;
	uint8_t *at;
	bool several = false;

	assert(*data);
	at = memmem(*data, max, begin, sizeof(begin) - 1);

	while (at) {
		uint8_t *from = at + sizeof(begin) - 1;
		uint8_t *next = memmem(from, (size_t)(end - from), begin,
				       sizeof(begin) - 1);

		several = several || next;
		if (!several)
			return;
		if (!dearmor(at, (size_t)((next ? next : end) - at), bin, max,
			     &bin_len))
			return;
		at = next;
	}
	if (!several)
		return;
	free(*data);
	*data = TAKE_PTR(bin);
	*len = bin_len;
}

int signature_verify(struct openpgp *pgp, int image_fd, int sig_fd,
		     int (*get)(void *arg, struct signature_trust *ret,
				struct error *err),
		     void *arg, struct fetch_signer *ret, struct error *err)
{
	cleanup_rnp_input rnp_input_t signature = NULL;
	cleanup_free uint8_t *data = NULL;
	struct error dropped = ERROR_INIT;
	struct image_reader reader = {
		.fd = image_fd,
		.pgp = pgp,
		.get = get,
		.arg = arg,
		.err = err ? err : &dropped,
	};
	struct verdict v = {0};
	size_t len = 0;
	int r;

	r = read_file(sig_fd, "signature", SIGNATURE_SIZE_MAX, &data, &len,
		      err);
	if (r < 0)
		return r;
	dearmor_blocks(&data, &len);
	if (rnp_input_from_memory(&signature, data, len, false) != RNP_SUCCESS)
		return error_sys(err, ENOMEM, "read the signature");
	r = digest_init(&reader.digest, DIGEST_SHA256, err);
	if (r == 0)
		r = verify(&reader, signature, &v);
	digest_release(&reader.digest);
	if (r == 0)
		*ret = v.signer;
	return r;
}

/* The first primary key of the ring, in file order; counts them all. */
static rnp_key_handle_t first_primary(rnp_ffi_t ffi, size_t *ret_count)
{
	cleanup_rnp_iterator rnp_identifier_iterator_t it = NULL;
	rnp_key_handle_t first = NULL;
	const char *id = NULL;

	*ret_count = 0;
	if (rnp_identifier_iterator_create(ffi, &it, "fingerprint") !=
	    RNP_SUCCESS)
		return NULL;
	while (rnp_identifier_iterator_next(it, &id) == RNP_SUCCESS && id) {
		cleanup_rnp_key rnp_key_handle_t key = NULL;
		bool is_primary = false;

		if (rnp_locate_key(ffi, "fingerprint", id, &key) !=
			    RNP_SUCCESS ||
		    !key ||
		    rnp_key_is_primary(key, &is_primary) != RNP_SUCCESS ||
		    !is_primary)
			continue;
		(*ret_count)++;
		if (!first)
			first = TAKE_PTR(key);
	}
	return first;
}

/* Creation and expiry in seconds since 1970; expiry 0 = never. */
static void key_times(rnp_key_handle_t key, int64_t *created, int64_t *expires)
{
	uint32_t from = 0, lifetime = 0;

	(void)rnp_key_get_creation(key, &from);
	(void)rnp_key_get_expiration(key, &lifetime);
	*created = from;
	*expires = lifetime ? (int64_t)from + lifetime : 0;
}

static int describe_subkeys(rnp_key_handle_t key, struct fetch_key *ret,
			    struct error *err)
{
	size_t count = 0;

	(void)rnp_key_get_subkey_count(key, &count);
	for (size_t i = 0; i < count && i < FETCH_SUBKEYS_MAX; i++) {
		cleanup_rnp_key rnp_key_handle_t sub = NULL;
		struct fetch_subkey *s = &ret->subkeys[ret->n_subkeys];
		int r;

		if (rnp_key_get_subkey_at(key, i, &sub) != RNP_SUCCESS)
			continue;
		r = key_fingerprint(sub, s->fingerprint, err);
		if (r < 0)
			return r;
		key_times(sub, &s->created, &s->expires);
		(void)rnp_key_is_revoked(sub, &s->revoked);
		(void)rnp_key_allows_usage(sub, "sign", &s->can_sign);
		ret->n_subkeys++;
	}
	return 0;
}

static int describe_key(rnp_key_handle_t key, struct fetch_key *ret,
			struct error *err)
{
	cleanup_rnp_text char *algorithm = NULL;
	bool valid = false;
	int r;

	r = key_fingerprint(key, ret->fingerprint, err);
	if (r < 0)
		return r;
	if (rnp_key_get_alg(key, &algorithm) == RNP_SUCCESS)
		(void)snprintf(ret->algorithm, sizeof(ret->algorithm), "%s",
			       algorithm);
	(void)rnp_key_get_bits(key, &ret->bits);
	key_times(key, &ret->created, &ret->expires);
	(void)rnp_key_is_revoked(key, &ret->revoked);
	(void)rnp_key_is_expired(key, &ret->expired);
	(void)rnp_key_allows_usage(key, "sign", &ret->can_sign);
	ret->n_user_ids = valid_user_ids(key, ret->user_ids);
	(void)rnp_key_is_valid(key, &valid);
	if (!valid && !ret->revoked && !ret->expired)
		return error_set(err, EINVAL,
				 "read the public key: %s has no valid "
				 "self-signature (or one with a weak hash "
				 "function, as SHA-1)",
				 ret->fingerprint);
	return describe_subkeys(key, ret, err);
}

int signature_key_info(struct openpgp *pgp, int key_fd, struct fetch_key *ret,
		       struct error *err)
{
	cleanup_rnp_key rnp_key_handle_t key = NULL;
	struct fetch_key info = {0};
	cleanup_free uint8_t *data = NULL;
	size_t n_secret = 0, len = 0;
	int r;

	r = read_file(key_fd, "public key", KEY_SIZE_MAX, &data, &len, err);
	if (r == 0)
		r = load_keys(pgp, data, len, err);
	if (r < 0)
		return r;
	(void)rnp_get_secret_key_count(pgp->ffi, &n_secret);
	info.has_secret = n_secret > 0;
	key = first_primary(pgp->ffi, &info.n_primary);
	if (!key)
		return error_set(err, EINVAL,
				 "read the public key: the file holds none");
	r = describe_key(key, &info, err);
	if (r == 0)
		*ret = info;
	return r;
}
