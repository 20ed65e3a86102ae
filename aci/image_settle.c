/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_settle.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/image_fetcher.h"
#include "aci/image_mounts.h"
#include "aci/imagestore.h"
#include "aci/keystore.h"
#include "aci/printable.h"
#include "aci/seal.h"
#include "aci/stored_layer.h"
#include "aci/treestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"
#include "spec/image_ref.h"

/* --- signatures ---------------------------------------------------------- */

static int verify_with(struct fetch_verifying *verifying,
		       const struct fetch_image *image,
		       const struct trusted_keys *keys,
		       struct fetch_signer *ret, struct error *err)
{
	cleanup_free int *fds = xreallocarray(NULL, keys->n, sizeof(*fds));

	for (size_t i = 0; i < keys->n; i++)
		fds[i] = keys->v[i].fd;
	return fetch_verify_finish(verifying, image, fds, keys->n, ret, err);
}

/* A key counts only under its own fingerprint: a file's name is what the
 * operator reviewed. */
static bool is_named(const struct trusted_keys *keys, const char *fingerprint)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strcmp(keys->v[i].fingerprint, fingerprint) == 0)
			return true;
	return false;
}

static void notice_signer(const struct image_fetcher *f,
			  const struct fetch_signer *signer)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	strbuf_addstr(&text, "signature verified:");
	for (size_t i = 0; i < signer->n_user_ids; i++)
		strbuf_addf(&text, "\n  %s", signer->user_ids[i]);
	image_notice(f, "%s", text.buf);
}

/*
 * The reason and the way out stand in one level: without --debug the
 * innermost is all that is shown.  Trusting a key helps where none that
 * signed is trusted, and nowhere else.
 */
static int refuse(const char *name, int code, const char *reason,
		  struct error *err)
{
	if (code != ENOKEY)
		return error_set(err, code, "image %s is refused: %s", name,
				 reason);
	return error_set(err, EPERM,
			 "image %s is refused: %s (trust its signer with "
			 "\"rkt trust --prefix=%s KEYFILE\", or use "
			 "--insecure-options=image)",
			 name, reason, name);
}

int image_refuse_unknown(const char *name, struct error *err)
{
	return refuse(name, ENOKEY, "no key is trusted for its name", err);
}

/* Which of KEYS cannot be read: rkt-fetch knows no file names. */
static int refuse_key(const struct image_fetcher *f,
		      const struct fetch_image *image,
		      const struct trusted_keys *keys, struct error *err)
{
	cleanup_strbuf struct strbuf reason = STRBUF_INIT;

	for (size_t i = 0; i < keys->n; i++) {
		struct error why = ERROR_INIT;
		struct fetch_key key;

		if (fetch_key_info(f->libexec_dir, keys->v[i].fd, &key, &why) <
		    0) {
			strbuf_addf(&reason, "trusted key %s: %s",
				    keys->v[i].path, why.msg);
			break;
		}
	}
	return refuse(image->name, EINVAL,
		      reason.len ? reason.buf : "a trusted key is unreadable",
		      err);
}

static int verify(const struct image_fetcher *f,
		  struct fetch_verifying *verifying,
		  const struct fetch_image *image, struct fetch_signer *ret,
		  struct error *err)
{
	cleanup_trusted_keys struct trusted_keys keys = TRUSTED_KEYS_INIT;
	struct error why = ERROR_INIT;
	int r;

	if (!verifying)
		return refuse(image->name, EPERM, "it has no signature", err);
	r = keystore_find(f->keystore, image->name, &keys, err);
	if (r < 0)
		return r;
	if (keys.n == 0)
		return image_refuse_unknown(image->name, err);
	r = verify_with(verifying, image, &keys, ret, &why);
	if (r == -EKEYREJECTED)
		return refuse_key(f, image, &keys, err);
	if (r < 0)
		return refuse(image->name, -r, why.msg, err);
	if (!is_named(&keys, ret->fingerprint))
		return refuse(image->name, EPERM,
			      "the key that signed it is kept in the key "
			      "store under another key's fingerprint",
			      err);
	notice_signer(f, ret);
	return 0;
}

/* --- into the store ------------------------------------------------------ */

/* Reads the tar as an image or as a layer. */
static int read_stored(struct imagestore *store, const char *libexec_dir,
		       const struct image_id *id, bool is_layer,
		       struct fetch_image *ret, struct error *err)
{
	const struct fetch_limits limits = {.is_layer = is_layer};
	cleanup_fd int fd = imagestore_open_blob(store, id, err);
	int r;

	if (fd < 0)
		return fd;
	r = fetch_import(libexec_dir, fd, -1, -1, &limits, ret, err);
	if (r < 0)
		return r;
	if (strcmp(ret->id, id->text) != 0)
		return error_set(err, EBADMSG,
				 "the stored image %.*s holds other bytes: "
				 "remove it with \"rkt image rm\" and fetch it "
				 "again",
				 IMAGE_ID_FULL_LEN, id->text);
	seal_immutable(fd);
	return 0;
}

int image_check_stored(struct imagestore *store, const char *libexec_dir,
		       const struct image_id *id, struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	/* A damaged manifest does not say which it is. */
	int is_layer = stored_layer_is(store, id, NULL);
	int r = read_stored(store, libexec_dir, id, is_layer > 0, &image, err);

	if (r < 0 && is_layer < 0)
		r = read_stored(store, libexec_dir, id, true, &image, NULL);
	if (r < 0)
		return r;
	return imagestore_mend_manifest(store, id, image.manifest,
					image.manifest_len, err);
}

struct treestore image_trees(const struct image_fetcher *f)
{
	return (struct treestore){f->store, f->libexec_dir, f->image_driver};
}

int image_new_index(const struct image_fetcher *f, struct error *err)
{
	const struct treestore ts = image_trees(f);

	return treestore_new_index(&ts, err);
}

/* The index of the one tar is the image's if nothing is laid under it, and
 * nothing of it left out. */
static bool is_whole(const struct fetch_image *image)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;

	return image->index_size > 0 &&
	       image_manifest_parse(image->manifest, image->manifest_len, &im,
				    NULL) == 0 &&
	       im.n_dependencies == 0 && im.path_whitelist.n == 0;
}

/*
 * What an unsigned image's bytes made of their parser is not to be vouched
 * for by a signature that comes later: tar and tree are checked by processes
 * that never saw another image.
 */
static int check_unsigned(struct image_fetcher *f, const struct image_id *id,
			  struct error *err)
{
	const struct treestore ts = image_trees(f);
	cleanup_image_row struct image_row row = {0};
	struct error why = ERROR_INIT;
	int r;

	r = imagestore_get(f->store, id, &row, err);
	if ((r < 0 && r != -ENOENT) || (r >= 0 && row.signer[0]))
		return r;
	log_debug("checking image %s, stored without signature", id->text);
	r = image_check_stored(f->store, f->libexec_dir, id, err);
	if (r < 0 || geteuid() != 0)
		return r;
	r = treestore_check(&ts, id, &why);
	/* What is mounted may be of another tar: it outlives an image that is
	 * removed while a pod uses it. */
	if (r == -ENOENT || r >= 0)
		return image_mount_detach(imagestore_dirfd(f->store), id->text,
					  err);
	return error_set(err, -r,
			 "the rendered image %.*s is not what it was made of: "
			 "%s (mend it with \"rkt image verify\")",
			 IMAGE_ID_FULL_LEN, id->text, why.msg);
}

static int commit(struct image_fetcher *f, const struct image_files *files,
		  const struct fetch_image *image,
		  const struct image_origin *origin, const char *signer,
		  struct image_id *ret, struct error *err)
{
	struct image_import im = {
		.manifest = image->manifest,
		.manifest_len = image->manifest_len,
		.blob_fd = files->blob_fd,
		.index_fd = is_whole(image) ? files->index_fd : -EBADF,
		.size = image->tar_size,
		.unpacked = image->unpacked_size,
		.source = origin->source,
		.etag = origin->etag,
		.expiry = origin->expiry,
		.latest = origin->latest,
		.signer = signer,
	};
	int r;

	r = image_id_parse(image->id, &im.id, err);
	if (r >= 0)
		r = imagestore_commit(f->store, &im, err);
	if (r == -ESTALE) {
		r = check_unsigned(f, &im.id, err);
		im.is_checked = true;
		if (r >= 0)
			r = imagestore_commit(f->store, &im, err);
	}
	if (r < 0)
		return r;
	*ret = im.id;
	return 0;
}

/* --- what was asked for -------------------------------------------------- */

/* Labels have any value, and come from images. */
static int refuse_label(const char *name, const char *value, const char *wanted,
			struct error *err)
{
	cleanup_free char *has = value ? xstrdup(value) : NULL;
	cleanup_free char *want = xstrdup(wanted);

	make_printable(want);
	if (!has)
		return error_set(err, EBADMSG,
				 "the image has no label %s, %s was asked for",
				 name, want);
	make_printable(has);
	return error_set(err, EBADMSG,
			 "the image's label %s is %s, %s was asked for", name,
			 has, want);
}

static int check_labels(const struct image_manifest *im,
			const struct image_ref *want, struct error *err)
{
	for (size_t i = 0; i < want->labels.n; i++) {
		const struct name_value *label = &want->labels.v[i];
		const char *value = name_values_get(&im->labels, label->name);

		if (!value || strcmp(value, label->value) != 0)
			return refuse_label(label->name, value, label->value,
					    err);
	}
	return 0;
}

/* discovery.md, Validation: the name and the labels that were used. */
static int check_wanted(const struct fetch_image *image,
			const struct image_origin *origin, struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	int r;

	if (origin->want_id &&
	    strncmp(origin->want_id, image->id, strlen(origin->want_id)) != 0)
		return error_set(err, EBADMSG,
				 "%s: the image's ID is %s, %s was asked for",
				 origin->source, image->id, origin->want_id);
	if (!origin->want)
		return 0;
	if (strcmp(image->name, origin->want->name) != 0)
		return error_set(err, EBADMSG,
				 "%s: the image's name is %s, %s was asked for",
				 origin->source, image->name,
				 origin->want->name);
	r = image_manifest_parse(image->manifest, image->manifest_len, &im,
				 err);
	if (r < 0)
		return r;
	r = check_labels(&im, origin->want, err);
	return r < 0 ? error_prefix(err, r, "%s", origin->source) : 0;
}

int image_settle(struct image_fetcher *f, const struct fetch_image *image,
		 const struct image_files *files,
		 const struct image_origin *origin, struct image_id *ret,
		 struct error *err)
{
	struct fetch_signer signer = {0};
	int r = check_wanted(image, origin, err);

	if (r == 0 && !f->insecure)
		r = verify(f, files->verifying, image, &signer, err);
	if (r < 0)
		return r;
	return commit(f, files, image, origin,
		      f->insecure ? NULL : signer.fingerprint, ret, err);
}
