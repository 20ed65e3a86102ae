/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/imagestore.h"
#include "aci/keystore.h"
#include "aci/treestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/image_ref.h"

/* --- the argument -------------------------------------------------------- */

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

static int bad_image_string(const char *arg, const char *why, struct error *err)
{
	return error_set(err, EINVAL, "invalid image string \"%s\": %s", arg,
			 why);
}

/* rkt takes archives by URL only under the name of one. */
static int parse_url(const char *arg, enum image_arg_kind kind,
		     const char *value, struct image_arg *ret,
		     struct error *err)
{
	if (!ends_with(arg, ".aci"))
		return bad_image_string(arg, "the URL must end in .aci", err);
	if (kind == IMAGE_ARG_FILE && value[0] != '/')
		return bad_image_string(arg, "the path must be absolute", err);
	*ret = (struct image_arg){.kind = kind, .value = value};
	return 0;
}

/* No scheme: NAME:VERSION is told from a path before the looks of a path. */
static enum image_arg_kind bare_kind(const char *arg, bool is_file)
{
	if (arg[0] == '/' || is_file)
		return IMAGE_ARG_FILE;
	if (strchr(arg, ':'))
		return IMAGE_ARG_NAME;
	if (strstr(arg, "./") || ends_with(arg, ".aci"))
		return IMAGE_ARG_FILE;
	return IMAGE_ARG_NAME;
}

int image_arg_parse(const char *arg, bool is_file, struct image_arg *ret,
		    struct error *err)
{
	if (!*arg)
		return bad_image_string(arg, "it is empty", err);
	if (starts_with(arg, "file://"))
		return parse_url(arg, IMAGE_ARG_FILE, arg + strlen("file://"),
				 ret, err);
	if (starts_with(arg, "http://") || starts_with(arg, "https://"))
		return parse_url(arg, IMAGE_ARG_URL, arg, ret, err);
	if (starts_with(arg, "cimd:"))
		return error_set(err, ENOTSUP,
				 "image \"%s\": distribution URIs are not "
				 "supported yet by this build",
				 arg);
	*ret = (struct image_arg){.kind = bare_kind(arg, is_file),
				  .value = arg};
	if (starts_with(arg, "docker:"))
		ret->kind = IMAGE_ARG_DOCKER;
	else if (starts_with(arg, IMAGE_ID_PREFIX) && !is_file)
		ret->kind = IMAGE_ARG_ID;
	return 0;
}

int pull_policy_parse(const char *s, enum pull_policy *ret, struct error *err)
{
	static const char *const names[] = {
		[PULL_NEW] = "new",
		[PULL_NEVER] = "never",
		[PULL_UPDATE] = "update",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(s, names[i]) != 0)
			continue;
		*ret = (enum pull_policy)i;
		return 0;
	}
	return error_set(err, EINVAL,
			 "pull policy \"%s\" is none of new, never, update", s);
}

/* --- signatures ---------------------------------------------------------- */

static void notice(const struct image_fetcher *f, const char *text)
{
	if (f->notice)
		f->notice(text);
}

static void warn_insecure(struct image_fetcher *f)
{
	if (!f->warned)
		notice(f, "warning: image signature verification has been "
			  "disabled");
	f->warned = true;
}

static int open_signature(const char *path, const char *signature,
			  struct error *err)
{
	cleanup_free char *beside = xasprintf("%s.asc", path);
	const char *file = signature ? signature : beside;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT && !signature)
		return error_set(err, EPERM,
				 "image %s is not signed: there is no %s (sign "
				 "it, name the signature with --signature, or "
				 "use --insecure-options=image)",
				 path, beside);
	if (fd < 0)
		return error_sys(err, errno, "open signature %s", file);
	return fd;
}

static int verify_with(const struct image_fetcher *f, int fd,
		       const struct fetch_image *image, int sig_fd,
		       const struct trusted_keys *keys,
		       struct fetch_signer *ret, struct error *err)
{
	cleanup_free int *fds = xreallocarray(NULL, keys->n, sizeof(*fds));

	for (size_t i = 0; i < keys->n; i++)
		fds[i] = keys->v[i].fd;
	return fetch_verify(f->libexec_dir, fd, image, sig_fd, fds, keys->n,
			    ret, err);
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
	notice(f, text.buf);
}

/*
 * The reason and the way out stand in one level: without --debug the
 * innermost is all that is shown.  Trusting a key helps where none that
 * signed is trusted, and nowhere else.
 */
static int refuse(const struct fetch_image *image, int code, const char *reason,
		  struct error *err)
{
	if (code != ENOKEY)
		return error_set(err, code, "image %s is refused: %s",
				 image->name, reason);
	return error_set(err, EPERM,
			 "image %s is refused: %s (trust its signer with "
			 "\"rkt trust --prefix=%s KEYFILE\", or use "
			 "--insecure-options=image)",
			 image->name, reason, image->name);
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
	return refuse(image, EINVAL,
		      reason.len ? reason.buf : "a trusted key is unreadable",
		      err);
}

static int verify(const struct image_fetcher *f, int fd,
		  const struct fetch_image *image, int sig_fd,
		  struct fetch_signer *ret, struct error *err)
{
	cleanup_trusted_keys struct trusted_keys keys = TRUSTED_KEYS_INIT;
	struct error why = ERROR_INIT;
	int r;

	r = keystore_find(f->keystore, image->name, &keys, err);
	if (r < 0)
		return r;
	if (keys.n == 0)
		return refuse(image, ENOKEY, "no key is trusted for its name",
			      err);
	r = verify_with(f, fd, image, sig_fd, &keys, ret, &why);
	if (r == -EKEYREJECTED)
		return refuse_key(f, image, &keys, err);
	if (r < 0)
		return refuse(image, -r, why.msg, err);
	if (!is_named(&keys, ret->fingerprint))
		return refuse(image, EPERM,
			      "the key that signed it is kept in the key "
			      "store under another key's fingerprint",
			      err);
	notice_signer(f, ret);
	return 0;
}

/* --- local files --------------------------------------------------------- */

static int open_image(const char *path, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open image %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL,
				 "open image %s: it is not a regular file",
				 path);
	return TAKE_FD(fd);
}

int image_check_stored(struct imagestore *store, const char *libexec_dir,
		       const struct image_id *id, struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	cleanup_fd int fd = imagestore_open_blob(store, id, err);
	int r;

	if (fd < 0)
		return fd;
	r = fetch_import(libexec_dir, fd, -1, -1, NULL, &image, err);
	if (r < 0)
		return r;
	if (strcmp(image.id, id->text) != 0)
		return error_set(err, EBADMSG,
				 "the stored image %.*s holds other bytes: "
				 "remove it with \"rkt image rm\" and fetch it "
				 "again",
				 IMAGE_ID_FULL_LEN, id->text);
	return 0;
}

/*
 * What an unsigned image's bytes made of their parser is not to be vouched
 * for by a signature that comes later: tar and tree are checked by processes
 * that never saw another image.
 */
static int check_unsigned(struct image_fetcher *f, const struct image_id *id,
			  struct error *err)
{
	const struct treestore ts = {f->store, f->libexec_dir};
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
	if (r == -ENOENT || r >= 0)
		return 0;
	return error_set(err, -r,
			 "the rendered image %.*s is not what it was made of: "
			 "%s (mend it with \"rkt image verify\")",
			 IMAGE_ID_FULL_LEN, id->text, why.msg);
}

static int commit(struct image_fetcher *f, const char *path, int blob_fd,
		  const struct fetch_image *image, const char *signer,
		  struct image_id *ret, struct error *err)
{
	cleanup_free char *source = realpath(path, NULL);
	struct image_import im = {
		.manifest = image->manifest,
		.manifest_len = image->manifest_len,
		.blob_fd = blob_fd,
		.size = image->tar_size,
		.unpacked = image->unpacked_size,
		.source = source ? source : path,
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

/* Parsed, verified, committed; SIG_FD is negative if nobody asks for it. */
static int import(struct image_fetcher *f, const char *path, int fd, int sig_fd,
		  int blob_fd, struct image_id *ret, struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	struct fetch_signer signer = {0};
	int r;

	r = fetch_import(f->libexec_dir, fd, blob_fd, -1, NULL, &image, err);
	if (r < 0)
		return error_prefix(err, r, "%s", path);
	if (!f->insecure)
		r = verify(f, fd, &image, sig_fd, &signer, err);
	if (r < 0)
		return r;
	return commit(f, path, blob_fd, &image,
		      f->insecure ? NULL : signer.fingerprint, ret, err);
}

static int fetch_file(struct image_fetcher *f, const char *path,
		      const char *signature, struct image_id *ret,
		      struct error *err)
{
	cleanup_fd int fd = -EBADF;
	cleanup_fd int sig_fd = -EBADF;
	cleanup_fd int blob_fd = -EBADF;
	int r;

	log_debug("using image from file %s", path);
	fd = open_image(path, err);
	if (fd < 0)
		return fd;
	if (f->insecure)
		warn_insecure(f);
	else if ((sig_fd = open_signature(path, signature, err)) < 0)
		return sig_fd;
	blob_fd = imagestore_new_file(f->store, err);
	if (blob_fd < 0)
		return blob_fd;
	r = import(f, path, fd, sig_fd, blob_fd, ret, err);
	if (r < 0)
		imagestore_drop_file(f->store, blob_fd);
	return r;
}

/* --- the store and what is not a file ------------------------------------ */

static int find_id(struct image_fetcher *f, const char *arg,
		   struct image_id *ret, struct error *err)
{
	int r = imagestore_find_id(f->store, arg, ret, err);

	if (r >= 0)
		log_debug("using image from the store with hash %s", ret->text);
	return r;
}

/* os and arch default to the host's; what no host has is refused. */
static int parse_name(const char *arg, struct image_ref *ref, struct error *err)
{
	const char *arch = labels_host_arch();
	int r = image_ref_parse(arg, ref, err);

	if (r < 0)
		return r;
	if (!name_values_get(&ref->labels, "os"))
		name_values_set(&ref->labels, "os", labels_host_os());
	if (arch && !name_values_get(&ref->labels, "arch"))
		name_values_set(&ref->labels, "arch", arch);
	return labels_check(&ref->labels, err);
}

static int fetch_name(struct image_fetcher *f, const char *arg,
		      struct image_id *ret, struct error *err)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	int r = parse_name(arg, &ref, err);

	if (r < 0)
		return r;
	if (f->policy == PULL_UPDATE)
		return error_set(err, ENOTSUP,
				 "image \"%s\": discovery is not supported yet "
				 "by this build (give a file, or take the "
				 "stored image with --pull-policy=new)",
				 arg);
	log_debug("searching for app image %s", ref.name);
	r = imagestore_find_name(f->store, &ref, ret, err);
	if (r == -ENOENT && f->policy == PULL_NEW)
		return error_set(err, ENOENT,
				 "image \"%s\" is not in the store, and "
				 "discovery is not supported yet by this build "
				 "(give a file, or fetch one first)",
				 arg);
	if (r == -ENOENT)
		return error_set(err, ENOENT,
				 "unable to fetch image from image name "
				 "\"%s\": it is not in the store and the pull "
				 "policy is never",
				 arg);
	if (r >= 0)
		log_debug("using image from local store for image name %s",
			  arg);
	return r;
}

static int fetch_url(struct image_fetcher *f, const char *url,
		     struct image_id *ret, struct error *err)
{
	cleanup_image_row struct image_row row = {0};
	int r = -ENOENT;

	if (f->policy != PULL_UPDATE)
		r = imagestore_find_source(f->store, url, &row, err);
	if (r == -ENOENT)
		return error_set(err, ENOTSUP,
				 "image \"%s\": downloads are not supported "
				 "yet by this build (download it and give the "
				 "file)",
				 url);
	if (r < 0)
		return r;
	log_debug("using image from local store for url %s", url);
	return image_id_parse(row.id, ret, err);
}

static int fetch_docker(const struct image_fetcher *f, const char *arg,
			struct error *err)
{
	if (!f->insecure)
		return error_set(err, EPERM,
				 "signature verification for docker images is "
				 "not supported (try "
				 "--insecure-options=image)");
	return error_set(err, ENOTSUP,
			 "image \"%s\": registries are not supported yet by "
			 "this build",
			 arg);
}

static int fetch_arg(struct image_fetcher *f, const struct image_arg *arg,
		     const char *signature, struct image_id *ret,
		     struct error *err)
{
	switch (arg->kind) {
	case IMAGE_ARG_ID:
		if (f->with_hash)
			return find_id(f, arg->value, ret, err);
		return fetch_name(f, arg->value, ret, err);
	case IMAGE_ARG_FILE:
		return fetch_file(f, arg->value, signature, ret, err);
	case IMAGE_ARG_URL:
		return fetch_url(f, arg->value, ret, err);
	case IMAGE_ARG_DOCKER:
		return fetch_docker(f, arg->value, err);
	case IMAGE_ARG_NAME:
		return fetch_name(f, arg->value, ret, err);
	}
	return -EINVAL;
}

int image_fetch(struct image_fetcher *f, const char *arg, const char *signature,
		struct image_id *ret, struct error *err)
{
	const struct treestore ts = {f->store, f->libexec_dir};
	struct image_arg parsed;
	struct stat st;
	int r;

	r = image_arg_parse(arg, stat(arg, &st) == 0 && S_ISREG(st.st_mode),
			    &parsed, err);
	if (r >= 0)
		r = fetch_arg(f, &parsed, signature, ret, err);
	if (r < 0)
		return r;
	imagestore_touch(f->store, ret);
	if (f->render && geteuid() == 0)
		return treestore_prepare(&ts, ret, err);
	return 0;
}

int image_find_stored(struct imagestore *store, const char *arg,
		      struct image_id *ret, struct error *err)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	int r;

	if (starts_with(arg, IMAGE_ID_PREFIX))
		return imagestore_find_id(store, arg, ret, err);
	r = image_ref_parse(arg, &ref, err);
	return r < 0 ? r : imagestore_find_name(store, &ref, ret, err);
}
