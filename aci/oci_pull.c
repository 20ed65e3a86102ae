/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/fetch_oci.h"
#include "aci/http.h"
#include "aci/image_fetcher.h"
#include "aci/image_settle.h"
#include "aci/imagestore.h"
#include "aci/oci_job.h"
#include "aci/oci_layers.h"
#include "aci/oci_layout.h"
#include "aci/registry.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/docker_archive.h"
#include "spec/image_manifest.h"
#include "spec/image_ref.h"
#include "spec/oci.h"

#define INDEX_DEPTH_MAX 4

/* One image on its way. */
struct pull {
	struct image_fetcher *f;
	struct registry registry; /* of a registry, or */
	struct oci_layout layout;
	bool is_layout;
	struct oci_want want;
	const char *reference; /* tag or digest; NULL: index.json */
	const char *digest;    /* that was asked for, or NULL */
	const char *name;      /* before it is made an identifier */
	const char *repository, *tag;
	const char *source; /* as in the table */
	struct oci_plan plan;
	/* What the reference means now: of a registry the digest of its index,
	 * if that is what it names. */
	char etag[OCI_DIGEST_MAX];
	int manifest_fd, config_fd;
	struct strv diff_ids;
	struct strv archived; /* of a docker archive: OCI_ARCHIVED's answer */
};

static void pull_release(struct pull *p)
{
	registry_release(&p->registry);
	oci_plan_release(&p->plan);
	strv_release(&p->diff_ids);
	strv_release(&p->archived);
	fd_close(&p->manifest_fd);
	fd_close(&p->config_fd);
	oci_layout_release(&p->layout);
}
#define cleanup_pull cleanup_with(pull_release)

/* --- texts --------------------------------------------------------------- */

static int on_progress(void *arg, const struct http_progress *progress,
		       struct error *err)
{
	const struct image_fetcher *f = arg;

	(void)err;
	if (progress->note[0])
		image_notice(f, "%s; trying again", progress->note);
	return 0;
}

/* A manifest by its REFERENCE (a layout: NULL for its index), or a blob. */
static int get_text(struct pull *p, bool is_manifest, const char *reference,
		    struct error *err)
{
	struct http_request req = HTTP_REQUEST_INIT;
	cleanup_fd int fd = -EBADF;
	int r;

	if (p->is_layout && !reference)
		return oci_layout_open_file(&p->layout, p->f->store,
					    "index.json", OCI_TEXT_MAX, err);
	if (p->is_layout)
		return oci_layout_open_blob(&p->layout, p->f->store, reference,
					    OCI_TEXT_MAX, err);
	fd = memfd_create("text", MFD_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "make a memory file");
	req.body_fd = fd;
	req.max_body = OCI_TEXT_MAX;
	if (is_manifest)
		r = registry_get_manifest(&p->registry, reference, fd,
					  OCI_TEXT_MAX, err);
	else
		r = registry_get_blob(&p->registry, reference, &req, err);
	return r < 0 ? r : TAKE_FD(fd);
}

/* From the reference through indexes to the manifest. */
static int get_manifest(struct pull *p, struct error *err)
{
	struct oci_want want = p->want;
	char digest[OCI_DIGEST_MAX];
	const char *reference = p->reference, *expected = p->digest;

	for (int depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
		cleanup_fd int fd = get_text(p, true, reference, err);
		int r;

		if (fd < 0)
			return fd;
		oci_plan_release(&p->plan);
		r = fetch_oci_manifest(p->f->libexec_dir, fd, expected, &want,
				       &p->plan, err);
		if (r < 0)
			return r;
		if (depth == 0 || p->is_layout)
			memcpy(p->etag, p->plan.digest, sizeof(p->etag));
		if (!p->plan.is_index) {
			p->manifest_fd = TAKE_FD(fd);
			return 0;
		}
		log_debug("index %s: going on with %s", p->plan.digest,
			  p->plan.config.digest);
		memcpy(digest, p->plan.config.digest, sizeof(digest));
		reference = expected = digest;
		/* A tag names an entry of a layout's index, and no more. */
		want.tag = NULL;
	}
	return error_set(err, ELOOP, "indexes are nested more than %d deep",
			 INDEX_DEPTH_MAX);
}

static int get_config(struct pull *p, struct error *err)
{
	int r;

	p->config_fd = p->archived.n
			       ? oci_layout_open_file(
					 &p->layout, p->f->store,
					 p->archived.v[OCI_ARCHIVED_FILES],
					 OCI_TEXT_MAX, err)
			       : get_text(p, false, p->plan.config.digest, err);
	if (p->config_fd < 0)
		return p->config_fd;
	r = fetch_oci_config(p->f->libexec_dir, p->config_fd,
			     p->plan.config.digest, &p->diff_ids, err);
	if (r < 0)
		return r;
	if (p->diff_ids.n == p->plan.n_layers)
		return 0;
	return error_set(err, EINVAL,
			 "the %s has %zu layers, the configuration %zu",
			 p->archived.n ? "archive" : "manifest",
			 p->plan.n_layers, p->diff_ids.n);
}

static int get_layers(const struct pull *p, struct error *err)
{
	const struct oci_layers layers = {
		.f = p->f,
		.registry = !p->is_layout ? &p->registry : NULL,
		.layout = &p->layout,
		.name = p->name,
		.plan = &p->plan,
		.diff_ids = &p->diff_ids,
		.files = p->archived.n ? p->archived.v + OCI_ARCHIVED_FILES + 1
				       : NULL,
	};

	return oci_layers_fetch(&layers, err);
}

/* --- the image ----------------------------------------------------------- */

/* The arguments of OCI_IMAGE. */
static int image_args(struct pull *p, struct strv *ret, struct error *err)
{
	strv_push(ret, p->plan.config.digest);
	strv_push(ret, p->name);
	strv_push(ret, !p->is_layout ? p->registry.ref->registry : "");
	strv_push(ret, p->repository);
	strv_push(ret, p->tag ? p->tag : "");
	strv_push(ret, p->plan.digest);
	for (size_t i = 0; i < p->diff_ids.n; i++) {
		cleanup_image_row struct image_row row = {0};
		struct image_id id;
		int r = oci_layer_find(p->f, p->diff_ids.v[i], &id, err);

		if (r == 0)
			r = imagestore_get(p->f->store, &id, &row, err);
		if (r == -ENOENT)
			return error_set(err, ESTALE,
					 "layer %s was removed meanwhile: "
					 "fetch the image again",
					 p->diff_ids.v[i]);
		if (r < 0)
			return r;
		strv_push(ret, row.name);
		strv_push(ret, id.text);
		strv_pushf(ret, "%llu", (unsigned long long)row.size);
	}
	return 0;
}

static int store_image(struct pull *p, int image_fd, struct image_id *ret,
		       struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	cleanup_fd int blob_fd = imagestore_new_file(p->f->store, err);
	const struct image_files files = {blob_fd, -EBADF, NULL};
	const struct image_origin origin = {
		.source = p->source,
		.etag = p->etag,
		.latest = p->tag && strcmp(p->tag, "latest") == 0,
	};
	int r;

	if (blob_fd < 0)
		return blob_fd;
	r = fetch_import(p->f->libexec_dir, image_fd, blob_fd, -1, NULL, &image,
			 err);
	if (r == 0)
		r = image_settle(p->f, &image, &files, &origin, ret, err);
	if (r < 0)
		imagestore_drop_file(p->f->store, blob_fd);
	return r;
}

static int make_image(struct pull *p, struct image_id *ret, struct error *err)
{
	cleanup_fd int fd = memfd_create("image", MFD_CLOEXEC);
	cleanup_strv struct strv args = STRV_INIT;
	int r;

	if (fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = image_args(p, &args, err);
	if (r == 0)
		r = fetch_oci_image(p->f->libexec_dir, p->config_fd,
				    p->manifest_fd, &args, fd, err);
	return r < 0 ? r : store_image(p, fd, ret, err);
}

/* --- what is there already ----------------------------------------------- */

/* 0 if ID's layers are all stored, -ENOENT without message if not. */
static int check_layers(const struct pull *p, const struct image_id *id,
			struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = imagestore_read_manifest(p->f->store, id, &text, err);

	if (r >= 0)
		r = image_manifest_parse(text.buf, text.len, &im, err);
	for (size_t i = 0; r >= 0 && i < im.n_dependencies; i++) {
		struct image_id layer;

		if (imagestore_find_id(p->f->store, im.dependencies[i].image_id,
				       &layer, NULL) < 0)
			r = -ENOENT;
	}
	return r < 0 ? r : 0;
}

/* The image that came from the same source, when that was ETAG if it is not
 * NULL; -ENOENT, without message, if it is not stored with all layers. */
static int find_stored(const struct pull *p, const char *etag,
		       struct image_id *ret, struct error *err)
{
	cleanup_image_row struct image_row row = {0};
	int r = imagestore_find_source(p->f->store, p->source, &row, err);

	if (r == 0 && etag && strcmp(row.etag, etag) != 0)
		return -ENOENT;
	if (r == 0)
		r = image_id_parse(row.id, ret, err);
	return r < 0 ? r : check_layers(p, ret, err);
}

static int pull_parts(struct pull *p, struct image_id *ret, struct error *err)
{
	int r = get_config(p, err);

	if (r == 0)
		r = get_layers(p, err);
	return r < 0 ? r : make_image(p, ret, err);
}

static int pull(struct pull *p, struct image_id *ret, struct error *err)
{
	int r = get_manifest(p, err);

	if (r < 0)
		return r;
	r = find_stored(p, p->etag, ret, err);
	if (r == 0)
		log_debug("%s has not changed", p->source);
	if (r != -ENOENT)
		return r;
	return pull_parts(p, ret, err);
}

/* --- from a registry ----------------------------------------------------- */

/* Whose image is wanted: what the reference says, else this host's. */
static int want_make(const struct name_values *labels, struct oci_want *ret,
		     struct error *err)
{
	const char *os = name_values_get(labels, "os");
	const char *arch = name_values_get(labels, "arch");

	if (oci_want_make(os ? os : labels_host_os(),
			  arch ? arch : labels_host_arch(), ret))
		return 0;
	return error_set(err, EINVAL,
			 "there are no images for the architecture %s",
			 arch ? arch : "of this machine");
}

static int never(const char *source, struct error *err)
{
	return error_set(err, ENOENT,
			 "image \"%s\" is not in the store and the pull policy "
			 "is never",
			 source);
}

/* A stored image whose tag still means what it did costs one small request:
 * 0; else -ENOENT without message. */
static int find_unchanged(struct pull *p, struct image_id *ret,
			  struct error *err)
{
	cleanup_strbuf struct strbuf digest = STRBUF_INIT;
	int r = p->digest ? -ENOENT : find_stored(p, NULL, ret, err);

	if (r == 0)
		r = registry_get_digest(&p->registry, p->reference, &digest,
					err);
	if (r < 0)
		return r;
	r = digest.len ? find_stored(p, digest.buf, ret, err) : -ENOENT;
	if (r == 0)
		log_debug("%s has not changed", p->source);
	return r;
}

int oci_pull_docker(struct image_fetcher *f, const struct docker_ref *ref,
		    struct image_id *ret, struct error *err)
{
	cleanup_strbuf struct strbuf source = STRBUF_INIT;
	cleanup_free char *name =
		xasprintf("%s/%s", ref->registry, ref->repository);
	cleanup_pull struct pull p = {
		.f = f,
		.registry = {.libexec_dir = f->libexec_dir,
			     .ref = ref,
			     .http_flags = f->http_flags,
			     .plain_ok = f->http_discovery,
			     .on_progress = on_progress,
			     .progress_arg = f},
		.manifest_fd = -EBADF,
		.layout = OCI_LAYOUT_INIT,
		.config_fd = -EBADF,
		.reference = ref->digest ? ref->digest : ref->tag,
		.digest = ref->digest,
		.name = name,
		.repository = ref->repository,
		.tag = ref->tag,
	};
	int r = want_make(&ref->labels, &p.want, err);

	docker_ref_format(ref, &source);
	p.source = source.buf;
	if (r == 0 && f->policy != PULL_UPDATE) {
		r = find_stored(&p, NULL, ret, err);
		if (r == 0)
			log_debug("using image from local store for %s",
				  p.source);
		if (r != -ENOENT)
			return r;
		r = f->policy == PULL_NEVER ? never(p.source, err) : 0;
	}
	if (r == 0)
		r = image_load_config(f, err);
	if (r < 0)
		return r;
	p.registry.config = f->config;
	image_warn_insecure(f);
	log_debug("fetching image from %s", p.source);
	r = f->policy == PULL_UPDATE ? find_unchanged(&p, ret, err) : -ENOENT;
	return r == -ENOENT ? pull(&p, ret, err) : r;
}

/* --- from a layout ---------------------------------------------------- */

/* The last part of PATH, without what says that it is an archive. */
static char *layout_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash && slash[1] ? slash + 1 : "oci";
	const char *end = strstr(name, ".tar");

	return end && end > name ? xstrndup(name, (size_t)(end - name))
				 : xstrdup(name);
}

int oci_pull_layout(struct image_fetcher *f, const struct oci_layout_ref *ref,
		    struct image_id *ret, struct error *err)
{
	cleanup_free char *dir = realpath(ref->dir, NULL);
	cleanup_free char *source =
		xasprintf("oci:%s%s%s", dir ? dir : ref->dir,
			  ref->tag ? ":" : "", ref->tag ? ref->tag : "");
	cleanup_free char *name = layout_name(dir);
	cleanup_pull struct pull p = {
		.f = f,
		.manifest_fd = -EBADF,
		.layout = OCI_LAYOUT_INIT,
		.is_layout = true,
		.config_fd = -EBADF,
		.name = name,
		.repository = "",
		.tag = ref->tag,
		.source = source,
	};
	int r = oci_layout_open(f, ref->dir, &p.layout, err);

	if (r == 0)
		r = want_make(&ref->labels, &p.want, err);
	if (r < 0)
		return r;
	p.want.tag = ref->tag;
	image_warn_insecure(f);
	return pull(&p, ret, err);
}

/* --- from an archive of docker's ------------------------------------------ */

/* What it is made of; the blobs have no digests. */
static int find_archived(struct pull *p, const char *image, struct error *err)
{
	cleanup_fd int fd =
		oci_layout_open_file(&p->layout, p->f->store,
				     DOCKER_ARCHIVE_LIST, OCI_TEXT_MAX, err);
	int r;

	if (fd < 0)
		return fd;
	r = fetch_oci_archived(p->f->libexec_dir, fd, image, &p->archived, err);
	if (r < 0)
		return r;
	(void)snprintf(p->plan.config.digest, sizeof(p->plan.config.digest),
		       "%s", p->archived.v[OCI_ARCHIVED_DIGEST]);
	p->plan.n_layers = p->archived.n - OCI_ARCHIVED_FILES - 1;
	p->plan.layers = xcalloc(p->plan.n_layers + 1, sizeof(*p->plan.layers));
	return 0;
}

/* The name that `docker pull` would have given it, or the file's. */
static char *archived_name(const char *path, const struct docker_ref *tag)
{
	return tag->registry
		       ? xasprintf("%s/%s", tag->registry, tag->repository)
		       : layout_name(path);
}

int oci_pull_archive(struct image_fetcher *f,
		     const struct docker_archive_ref *ref, struct image_id *ret,
		     struct error *err)
{
	cleanup_docker_ref struct docker_ref tag = DOCKER_REF_INIT;
	cleanup_free char *file = realpath(ref->file, NULL);
	cleanup_free char *source =
		xasprintf("docker-archive:%s%s%s", file ? file : ref->file,
			  ref->image ? ":" : "", ref->image ? ref->image : "");
	cleanup_free char *name = NULL;
	cleanup_pull struct pull p = {
		.f = f,
		.manifest_fd = -EBADF,
		.layout = OCI_LAYOUT_INIT,
		.is_layout = true,
		.config_fd = -EBADF,
		.repository = "",
		.source = source,
	};
	int r = oci_layout_open_docker(f, ref->file, &p.layout, err);

	if (r == 0)
		r = find_archived(&p, ref->image, err);
	if (r == 0 && *p.archived.v[OCI_ARCHIVED_TAG])
		r = docker_ref_parse(p.archived.v[OCI_ARCHIVED_TAG], &tag, err);
	if (r < 0)
		return r;
	name = archived_name(file, &tag);
	p.name = name;
	p.tag = tag.tag;
	image_warn_insecure(f);
	return pull_parts(&p, ret, err);
}
