/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/discovery.h"
#include "aci/fetch_client.h"
#include "aci/image_deps.h"
#include "aci/image_download.h"
#include "aci/image_settle.h"
#include "aci/imagestore.h"
#include "aci/keystore.h"
#include "aci/oci_pull.h"
#include "aci/treestore.h"
#include "aci/url_login.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/cimd.h"
#include "spec/docker_ref.h"
#include "spec/image_manifest.h"
#include "spec/image_ref.h"
#include "spec/oci.h"

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
	cleanup_url_login struct url_login login = URL_LOGIN_INIT;

	url_login_make(arg, &login);
	return error_set(err, EINVAL, "invalid image string \"%s\": %s",
			 login.url, why);
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
	*ret = (struct image_arg){.kind = bare_kind(arg, is_file),
				  .value = arg};
	if (starts_with(arg, "docker:"))
		ret->kind = IMAGE_ARG_DOCKER;
	else if ((starts_with(arg, "oci:") ||
		  starts_with(arg, "oci-archive:")) &&
		 !is_file)
		ret->kind = IMAGE_ARG_LAYOUT;
	else if (starts_with(arg, "docker-archive:") && !is_file)
		ret->kind = IMAGE_ARG_ARCHIVE;
	else if (starts_with(arg, IMAGE_ID_PREFIX) && !is_file)
		ret->kind = IMAGE_ARG_ID;
	/* rkt asks for an image of the scheme's name. */
	else if (ret->kind == IMAGE_ARG_NAME && strstr(arg, "://"))
		return bad_image_string(arg,
					"its scheme is none of file, http, "
					"https, docker, oci",
					err);
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

/* Parsed, verified, committed. */
static int import(struct image_fetcher *f, const char *path, int fd,
		  const struct image_files *files, struct image_id *ret,
		  struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	cleanup_free char *source = realpath(path, NULL);
	const struct image_origin origin = {.source = f->file_source
							      ? f->file_source
						      : source ? source
							       : path};
	int r = fetch_import(f->libexec_dir, fd, files->blob_fd,
			     files->index_fd, NULL, &image, err);

	if (r < 0)
		return error_prefix(err, r, "%s", path);
	return image_settle(f, &image, files, &origin, ret, err);
}

static int fetch_file(struct image_fetcher *f, const char *path,
		      const char *signature, struct image_id *ret,
		      struct error *err)
{
	cleanup_fd int fd = -EBADF;
	cleanup_fd int sig_fd = -EBADF;
	cleanup_fd int blob_fd = -EBADF;
	cleanup_fd int index_fd = -EBADF;
	cleanup_fetch_verifying struct fetch_verifying verifying =
		FETCH_VERIFYING_INIT;
	int r = 0;

	log_debug("using image from file %s", path);
	fd = open_image(path, err);
	if (fd < 0)
		return fd;
	if (f->insecure)
		image_warn_insecure(f);
	else if ((sig_fd = open_signature(path, signature, err)) < 0)
		return sig_fd;
	else
		r = fetch_verify_start(f->libexec_dir, fd, sig_fd, &verifying,
				       err);
	if (r < 0)
		return r;
	blob_fd = imagestore_new_file(f->store, err);
	if (blob_fd < 0)
		return blob_fd;
	index_fd = image_new_index(f, err);
	r = import(f, path, fd,
		   &(struct image_files){blob_fd, index_fd,
					 sig_fd < 0 ? NULL : &verifying},
		   ret, err);
	if (r < 0)
		imagestore_drop_file(f->store, blob_fd);
	imagestore_drop_file(f->store, index_fd);
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
	int r = image_ref_parse(arg, ref, err);

	if (r < 0)
		return r;
	image_ref_add_host_labels(ref);
	return labels_check(&ref->labels, err);
}

/* --- discovery ----------------------------------------------------------- */

/* No image is downloaded that would be refused whatever it is. */
static int want_keys(struct image_fetcher *f, const char *name,
		     struct error *err)
{
	cleanup_trusted_keys struct trusted_keys keys = TRUSTED_KEYS_INIT;
	int r;

	if (f->insecure)
		return 0;
	r = keystore_find(f->keystore, name, &keys, err);
	if (r == 0 && keys.n == 0 && f->find_keys) {
		r = f->find_keys(f, name, err);
		if (r >= 0)
			r = keystore_find(f->keystore, name, &keys, err);
	}
	if (r < 0)
		return r;
	return keys.n > 0 ? 0 : image_refuse_unknown(name, err);
}

/* What this rkt can download from, and may. */
static bool is_usable(const struct image_fetcher *f, const char *url)
{
	return starts_with(url, "https://") ||
	       (f->http_discovery && starts_with(url, "http://"));
}

/* The first of the URLs that leads to the image; else the first reason. */
static int download_first(struct image_fetcher *f, const struct strv *urls,
			  struct image_remote *remote, struct image_id *ret,
			  struct error *err)
{
	struct error first = ERROR_INIT;
	int r = -ENOENT;

	for (size_t i = 0; i + 1 < urls->n && r < 0; i += 2) {
		struct error why = ERROR_INIT;

		remote->url = urls->v[i];
		remote->sig_url = urls->v[i + 1];
		if (is_usable(f, remote->url))
			r = image_download(f, remote, ret, &why);
		else
			(void)error_set(&why, EPERM,
					"%s: only https is allowed%s",
					remote->url,
					starts_with(remote->url, "http:")
						? " (see --insecure-options)"
						: "");
		if (!first.code)
			first = why;
	}
	if (r < 0) {
		r = -first.code;
		if (err)
			*err = first;
	}
	return r;
}

/* REF says what to look for, REMOTE what it then has to be. */
static int discover(struct image_fetcher *f, const struct image_ref *ref,
		    struct image_remote *remote, struct image_id *ret,
		    struct error *err)
{
	cleanup_strv struct strv urls = STRV_INIT;
	struct discovery d;
	int r;

	log_debug("searching for app image %s", ref->name);
	r = want_keys(f, ref->name, err);
	if (r == 0)
		r = image_load_config(f, err);
	if (r == 0) {
		discovery_make(f, f->http_discovery, &d);
		r = discovery_find_images(&d, ref, &urls, err);
	}
	remote->latest = !name_values_get(&ref->labels, "version");
	return r < 0 ? r : download_first(f, &urls, remote, ret, err);
}

static int fetch_name(struct image_fetcher *f, const char *arg,
		      const char *signature, struct image_id *ret,
		      struct error *err)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	struct image_remote remote = {.signature = signature, .want = &ref};
	int r = parse_name(arg, &ref, err);

	if (r < 0)
		return r;
	if (f->policy == PULL_UPDATE)
		return discover(f, &ref, &remote, ret, err);
	r = imagestore_find_name(f->store, &ref, ret, err);
	if (r == -ENOENT && f->policy == PULL_NEW)
		return discover(f, &ref, &remote, ret, err);
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

static int fetch_url(struct image_fetcher *f, const char *arg,
		     const char *signature, struct image_id *ret,
		     struct error *err)
{
	cleanup_url_login struct url_login login = URL_LOGIN_INIT;
	cleanup_image_row struct image_row row = {0};
	cleanup_free char *sig_url = NULL;
	struct image_remote remote;
	const char *url;
	int r = -ENOENT;

	url_login_make(arg, &login);
	url = login.url;
	sig_url = xasprintf("%s.asc", url);
	remote = (struct image_remote){
		.login = &login,
		.url = url,
		.sig_url = sig_url,
		.signature = signature,
	};
	if (f->policy != PULL_UPDATE)
		r = imagestore_find_source(f->store, url, &row, err);
	if (r == -ENOENT && f->policy == PULL_NEVER)
		return error_set(err, ENOENT,
				 "image \"%s\" is not in the store and the "
				 "pull policy is never",
				 url);
	if (r == -ENOENT)
		return image_download(f, &remote, ret, err);
	if (r < 0)
		return r;
	log_debug("using image from local store for url %s", url);
	return image_id_parse(row.id, ret, err);
}

/* --- dependencies -------------------------------------------------------- */

/* The stored image that DEP means; -ENOENT without message if none. */
static int find_dependency(struct image_fetcher *f,
			   const struct dependency *dep,
			   const struct image_ref *ref, struct image_id *ret,
			   struct error *err)
{
	struct error why = ERROR_INIT;
	int r;

	/* An ID means the same whatever happens: it is not asked for again. */
	if (dep->image_id)
		r = imagestore_find_id(f->store, dep->image_id, ret, &why);
	else if (f->policy == PULL_UPDATE)
		return -ENOENT;
	else
		r = imagestore_find_name(f->store, ref, ret, &why);
	if (r < 0 && r != -ENOENT && err)
		*err = why;
	return r;
}

static int fetch_dependency(struct image_fetcher *f,
			    const struct dependency *dep, bool ask_store_only,
			    struct image_id *ret, struct error *err)
{
	/* Without a label any image is right; URLs need some. */
	const struct image_ref want = {dep->image_name, dep->labels};
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	struct image_remote remote = {
		.want = &want,
		.want_id = dep->image_id,
		.size = dep->size,
	};
	int r = find_dependency(f, dep, &want, ret, err);

	if (r != -ENOENT)
		return r < 0 ? r : 1;
	if (f->policy == PULL_NEVER)
		return error_set(err, ENOKEY,
				 "dependency %s is not in the store and the "
				 "pull policy is never",
				 dep->image_name);
	if (oci_is_layer_name(dep->image_name))
		return error_set(
			err, ENOKEY,
			"layer %s is not in the store: fetch the image "
			"from its registry again",
			dep->image_name);
	if (ask_store_only)
		return -ENOENT;
	ref.name = xstrdup(dep->image_name);
	name_values_copy(&ref.labels, &dep->labels);
	image_ref_add_host_labels(&ref);
	return discover(f, &ref, &remote, ret, err);
}

/* --- what is not ours ---------------------------------------------------- */

/* There are none: rkt asks for this, too. */
static int want_insecure(const struct image_fetcher *f, const char *kind,
			 struct error *err)
{
	if (f->insecure)
		return 0;
	return error_set(err, EPERM,
			 "signature verification for %s images is not "
			 "supported (try --insecure-options=image)",
			 kind);
}

static int fetch_docker(struct image_fetcher *f, const char *arg,
			struct image_id *ret, struct error *err)
{
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
	int r = docker_ref_parse(arg, &ref, err);

	if (r == 0)
		r = want_insecure(f, "docker", err);
	return r < 0 ? r : oci_pull_docker(f, &ref, ret, err);
}

static int fetch_layout(struct image_fetcher *f, const char *arg,
			struct image_id *ret, struct error *err)
{
	cleanup_oci_layout_ref struct oci_layout_ref ref = OCI_LAYOUT_REF_INIT;
	int r = oci_layout_ref_parse(arg, &ref, err);

	if (r < 0)
		return r;
	r = want_insecure(f, "OCI", err);
	if (r == 0)
		r = oci_pull_layout(f, &ref, ret, err);
	return r < 0 ? error_prefix(err, r, "%s", arg) : 0;
}

static int fetch_archive(struct image_fetcher *f, const char *arg,
			 struct image_id *ret, struct error *err)
{
	cleanup_docker_archive_ref struct docker_archive_ref ref =
		DOCKER_ARCHIVE_REF_INIT;
	int r = docker_archive_ref_parse(arg, &ref, err);

	if (r < 0)
		return r;
	r = want_insecure(f, "docker", err);
	if (r == 0)
		r = oci_pull_archive(f, &ref, ret, err);
	return r < 0 ? error_prefix(err, r, "%s", arg) : 0;
}

/* rkt fetch takes a hash for a name, and so do we: it may be one. */
static int fetch_hash(struct image_fetcher *f, const char *arg,
		      const char *signature, struct image_id *ret,
		      struct error *err)
{
	int r;

	if (f->with_hash)
		return find_id(f, arg, ret, err);
	r = fetch_name(f, arg, signature, ret, NULL);
	if (r >= 0)
		return r;
	return error_set(err, -r,
			 "image \"%s\": a hash names what is stored already: "
			 "fetch it by its name, its URL or from a file",
			 arg);
}

static int fetch_arg(struct image_fetcher *f, const struct image_arg *arg,
		     const char *signature, struct image_id *ret,
		     struct error *err)
{
	switch (arg->kind) {
	case IMAGE_ARG_ID:
		return fetch_hash(f, arg->value, signature, ret, err);
	case IMAGE_ARG_FILE:
		return fetch_file(f, arg->value, signature, ret, err);
	case IMAGE_ARG_URL:
		return fetch_url(f, arg->value, signature, ret, err);
	case IMAGE_ARG_DOCKER:
		return fetch_docker(f, arg->value, ret, err);
	case IMAGE_ARG_LAYOUT:
		return fetch_layout(f, arg->value, ret, err);
	case IMAGE_ARG_ARCHIVE:
		return fetch_archive(f, arg->value, ret, err);
	case IMAGE_ARG_NAME:
		return fetch_name(f, arg->value, signature, ret, err);
	}
	return -EINVAL;
}

int image_fetch(struct image_fetcher *f, const char *arg, const char *signature,
		struct image_id *ret, struct error *err)
{
	cleanup_strbuf struct strbuf meant = STRBUF_INIT;
	const struct treestore ts = image_trees(f);
	struct image_arg parsed;
	struct stat st;
	int r = 0;

	if (starts_with(arg, CIMD_SCHEME)) {
		r = cimd_to_image_string(arg, &meant, err);
		arg = meant.buf;
	}
	if (r >= 0)
		r = image_arg_parse(arg,
				    stat(arg, &st) == 0 && S_ISREG(st.st_mode),
				    &parsed, err);
	if (r >= 0)
		r = fetch_arg(f, &parsed, signature, ret, err);
	if (r < 0)
		return r;
	/* What was rendered keeps the dependencies it was made of. */
	if (f->policy == PULL_UPDATE || !treestore_has(&ts, ret))
		r = image_deps_fetch(f, ret, fetch_dependency, err);
	if (r < 0)
		return r;
	imagestore_touch(f->store, ret);
	if (f->render && geteuid() == 0)
		return treestore_prepare(&ts, ret, err);
	return 0;
}

/* The image that was last fetched from the reference ARG. */
static int find_docker(struct imagestore *store, const char *arg,
		       struct image_id *ret, struct error *err)
{
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
	cleanup_strbuf struct strbuf source = STRBUF_INIT;
	cleanup_image_row struct image_row row = {0};
	int r = docker_ref_parse(arg, &ref, err);

	if (r < 0)
		return r;
	docker_ref_format(&ref, &source);
	r = imagestore_find_source(store, source.buf, &row, err);
	if (r == -ENOENT)
		return error_set(err, ENOENT,
				 "image \"%s\" not found in the store",
				 source.buf);
	return r < 0 ? r : image_id_parse(row.id, ret, err);
}

int image_find_stored(struct imagestore *store, const char *arg,
		      struct image_id *ret, struct error *err)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	int r;

	if (starts_with(arg, IMAGE_ID_PREFIX))
		return imagestore_find_id(store, arg, ret, err);
	if (starts_with(arg, "docker:"))
		return find_docker(store, arg, ret, err);
	r = image_ref_parse(arg, &ref, err);
	return r < 0 ? r : imagestore_find_name(store, &ref, ret, err);
}
