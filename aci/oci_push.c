/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_push.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/fetch_oci.h"
#include "aci/http.h"
#include "aci/image_fetcher.h"
#include "aci/imagestore.h"
#include "aci/index_plan.h"
#include "aci/registry.h"
#include "aci/render_load.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"

/* A layer in a file of the store's, to be sent. */
struct packed {
	int fd; /* negative: not made, or the same as another */
	struct fetch_layer layer;
	char digest[OCI_DIGEST_MAX];
	char diff_id[OCI_DIGEST_MAX];
};

struct push {
	struct image_fetcher *f;
	struct registry registry;
	struct render_set set; /* v[0] is the image */
	struct packed *packed;
	size_t n_packed;
	struct image_progress seen; /* of the layer under way */
	char url[OCI_DIGEST_MAX + 32];
};

static void packed_drop(struct push *p, struct packed *packed)
{
	if (packed->fd >= 0)
		imagestore_drop_file(p->f->store, packed->fd);
	fd_close(&packed->fd);
}

static void push_release(struct push *p)
{
	for (size_t i = 0; i < p->n_packed; i++)
		packed_drop(p, &p->packed[i]);
	free(p->packed);
	render_set_release(&p->set);
	registry_release(&p->registry);
}
#define cleanup_push cleanup_with(push_release)

static const struct image_manifest *image_of(const struct push *p)
{
	return &p->set.v[0].manifest;
}

/* --- sending ------------------------------------------------------------- */

static int on_progress(void *arg, const struct http_progress *seen,
		       struct error *err)
{
	struct push *p = arg;

	(void)err;
	if (seen->note[0])
		image_notice(p->f, "%s; trying again", seen->note);
	p->seen.done = seen->done;
	p->seen.total = seen->total;
	if (p->f->progress && !seen->note[0] && seen->total)
		p->f->progress(p->f->progress_arg, &p->seen);
	return 0;
}

/* WHAT is "layer" or "configuration". */
static int send_file(struct push *p, const char *what, const char *digest,
		     int fd, uint64_t size, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = registry_has_blob(&p->registry, digest, err);

	if (r < 0)
		return r;
	format_size(&text, size);
	image_notice(p->f, "%s %s %.*s (%s)", r ? "already there:" : "pushing",
		     what, OCI_DIGEST_SHOWN, digest, text.buf);
	if (r)
		return 0;
	(void)snprintf(p->url, sizeof(p->url), "%s %.*s", what,
		       OCI_DIGEST_SHOWN, digest);
	p->seen = (struct image_progress){
		.what = what, .url = p->url, .is_upload = true};
	r = registry_put_blob(&p->registry, digest, fd, err);
	if (r < 0)
		return error_prefix(err, r, "push %s %.*s", what,
				    OCI_DIGEST_SHOWN, digest);
	p->seen.done = p->seen.total = size;
	p->seen.ended = true;
	if (p->f->progress)
		p->f->progress(p->f->progress_arg, &p->seen);
	return 0;
}

/* LIKE: fetch_oci_text(). */
static int send_text(struct push *p, const struct strbuf *text,
		     const char *like, struct oci_descriptor *ret,
		     struct error *err)
{
	char digest[OCI_DIGEST_MAX];
	cleanup_fd int fd = fetch_oci_text(p->f->libexec_dir, text->buf,
					   text->len, like, digest, err);

	if (fd < 0)
		return fd;
	ret->digest = xstrdup(digest);
	ret->size = text->len;
	return send_file(p, "configuration", digest, fd, text->len, err);
}

static int send_manifest(struct push *p, const char *type, const char *text,
			 size_t len, char ret[OCI_DIGEST_MAX],
			 struct error *err)
{
	const char *tag = p->registry.ref->tag;
	cleanup_fd int fd =
		fetch_oci_text(p->f->libexec_dir, text, len, NULL, ret, err);

	if (fd < 0)
		return fd;
	return registry_put_manifest(&p->registry, tag, type, ret, fd, err);
}

/* --- layers -------------------------------------------------------------- */

/* PLAN NULL: the one blob as it is. */
static int pack(struct push *p, const struct index_plan *plan,
		const int *blob_fds, bool is_sha512, struct packed *ret,
		struct error *err)
{
	int r;

	ret->fd = imagestore_new_file(p->f->store, err);
	if (ret->fd < 0)
		return ret->fd;
	r = fetch_make_layer(p->f->libexec_dir, plan, blob_fds, ret->fd,
			     is_sha512, &ret->layer, err);
	if (r < 0)
		return r;
	oci_digest_format(ret->layer.digest, is_sha512, ret->digest);
	oci_digest_format(ret->layer.diff_id, false, ret->diff_id);
	return 0;
}

static void packed_make(struct push *p, size_t n)
{
	p->packed = xcalloc(n + 1, sizeof(*p->packed));
	p->n_packed = n;
	for (size_t i = 0; i < n; i++)
		p->packed[i].fd = -EBADF;
}

static int pack_stored(struct push *p, const struct image_id *id,
		       bool is_sha512, struct packed *ret, struct error *err)
{
	cleanup_fd int blob = imagestore_open_blob(p->f->store, id, err);

	return blob < 0 ? blob : pack(p, NULL, &blob, is_sha512, ret, err);
}

/* The packed layers as they are now, and a manifest of them and CONFIG. */
static int push_packed(struct push *p, const struct strbuf *config,
		       const char *like, char ret[OCI_DIGEST_MAX],
		       struct error *err)
{
	cleanup_oci_manifest struct oci_manifest m = OCI_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = 0;

	m.layers = xcalloc(p->n_packed + 1, sizeof(*m.layers));
	for (size_t i = 0; r == 0 && i < p->n_packed; i++) {
		struct packed *packed = &p->packed[i];

		m.layers[m.n_layers].digest = xstrdup(packed->digest);
		m.layers[m.n_layers++].size = packed->layer.size;
		if (packed->fd >= 0)
			r = send_file(p, "layer", packed->digest, packed->fd,
				      packed->layer.size, err);
		packed_drop(p, packed);
	}
	if (r == 0)
		r = send_text(p, config, like, &m.config, err);
	if (r < 0)
		return r;
	oci_manifest_write(&m, &text);
	return send_manifest(p, OCI_TYPE_MANIFEST, text.buf, text.len, ret,
			     err);
}

/* --- an image that came from a registry ---------------------------------- */

struct original {
	struct strbuf config;
	const char *manifest; /* borrowed */
	struct oci_plan plan;
};

static void original_release(struct original *o)
{
	strbuf_release(&o->config);
	oci_plan_release(&o->plan);
}
#define cleanup_original cleanup_with(original_release)

/* 1 if the image has what it was made of, and still is that. */
static int find_original(const struct push *p, struct original *ret,
			 struct error *err)
{
	static const struct oci_want want = {
		.os = "linux", .arch = "", .variant = ""};
	const struct image_manifest *im = image_of(p);
	const char *config =
		name_values_get(&im->annotations, OCI_ANNOTATION "config");
	const char *manifest =
		name_values_get(&im->annotations, OCI_ANNOTATION "manifest");
	char digest[OCI_DIGEST_MAX];
	cleanup_fd int fd = -EBADF;
	cleanup_fd int config_fd = -EBADF;

	if (!config || !manifest || im->path_whitelist.n)
		return 0;
	for (size_t i = 0; i < im->n_dependencies; i++)
		if (!oci_is_layer_name(im->dependencies[i].image_name))
			return 0;
	fd = fetch_oci_text(p->f->libexec_dir, manifest, strlen(manifest), NULL,
			    digest, err);
	if (fd < 0)
		return fd;
	if (fetch_oci_manifest(p->f->libexec_dir, fd, NULL, &want, &ret->plan,
			       NULL) < 0 ||
	    ret->plan.is_index || ret->plan.n_layers != im->n_dependencies)
		return 0;
	config_fd = fetch_oci_text(p->f->libexec_dir, config, strlen(config),
				   ret->plan.config.digest, digest, err);
	if (config_fd < 0)
		return config_fd;
	strbuf_addstr(&ret->config, config);
	ret->manifest = manifest;
	return strcmp(digest, ret->plan.config.digest) == 0;
}

/* Where the registry has it from, if that is this one. */
static const char *other_repository(const struct push *p)
{
	const struct name_values *a = &image_of(p)->annotations;
	const char *registry = name_values_get(a, OCI_ANNOTATION "registryurl");
	const char *repository =
		name_values_get(a, OCI_ANNOTATION "repository");

	if (!registry || !repository ||
	    strcmp(registry, p->registry.ref->registry) != 0 ||
	    strcmp(repository, p->registry.ref->repository) == 0)
		return NULL;
	return repository;
}

/* The blob is the layer as it is stored, uncompressed. */
static bool is_tar(const struct packed *packed, const struct image_id *id,
		   const char *digest)
{
	if (!oci_digest_is_sha512(digest))
		return strcmp(packed->diff_id, digest) == 0;
	return strcmp(id->text + IMAGE_ID_PREFIX_LEN,
		      digest + OCI_DIGEST_HEX_AT) == 0;
}

/* 1 if the registry now has the blob itself, 0 if it cannot be had. */
static int keep_layer(struct push *p, const struct oci_blob *blob, size_t i,
		      struct error *err)
{
	struct packed *packed = &p->packed[i];
	const struct image_id *id = &p->set.v[p->set.v[0].dependencies[i]].id;
	const char *from = other_repository(p);
	cleanup_fd int raw = -EBADF;
	int r = registry_has_blob(&p->registry, blob->digest, err);

	if (r == 0 && from &&
	    registry_mount_blob(&p->registry, blob->digest, from, NULL) == 1)
		r = 1;
	if (r > 0)
		image_notice(p->f, "already there: layer %.*s",
			     OCI_DIGEST_SHOWN, blob->digest);
	if (r != 0)
		return r;
	r = pack_stored(p, id, oci_digest_is_sha512(blob->digest), packed, err);
	if (r < 0)
		return r;
	if (strcmp(packed->digest, blob->digest) == 0)
		r = send_file(p, "layer", blob->digest, packed->fd, blob->size,
			      err);
	else if (!is_tar(packed, id, blob->digest))
		return 0;
	else if ((raw = imagestore_open_blob(p->f->store, id, err)) < 0)
		return raw;
	else
		r = send_file(p, "layer", blob->digest, raw, blob->size, err);
	return r < 0 ? r : 1;
}

static int push_original(struct push *p, const struct original *o,
			 char ret[OCI_DIGEST_MAX], struct error *err)
{
	const char *like = o->plan.config.digest;
	struct oci_descriptor config = {0};
	size_t n = o->plan.n_layers;
	int r = 1;

	packed_make(p, n);
	for (size_t i = 0; r > 0 && i < n; i++)
		r = keep_layer(p, &o->plan.layers[i], i, err);
	if (r > 0) {
		r = send_text(p, &o->config, like, &config, err);
		free(config.digest);
		assert(o->manifest); /* what was kept of it has it */
		return r < 0 ? r
			     : send_manifest(p,
					     o->plan.is_docker
						     ? OCI_TYPE_DOCKER
						     : OCI_TYPE_MANIFEST,
					     o->manifest, strlen(o->manifest),
					     ret, err);
	}
	if (r == 0)
		image_notice(p->f, "the layers are compressed anew: the "
				   "manifest gets another digest");
	for (size_t i = 0; r == 0 && i < n; i++)
		if (p->packed[i].fd < 0)
			r = pack_stored(
				p, &p->set.v[p->set.v[0].dependencies[i]].id,
				oci_digest_is_sha512(o->plan.layers[i].digest),
				&p->packed[i], err);
	return r < 0 ? r : push_packed(p, &o->config, like, ret, err);
}

/* --- any other image ------------------------------------------------------ */

static int pack_pass(struct push *p, const struct render_pass *pass,
		     struct packed *ret, struct error *err)
{
	const struct render_member *member = &p->set.v[pass->image];
	struct index_layer layer = {.format = INDEX_LAYER_ACI};
	struct render_pass alone = {.image = 0};
	const struct index_plan plan = {
		.layers = &layer,
		.n_layers = 1,
		.passes = {.v = &alone, .n = 1},
	};
	cleanup_fd int blob = -EBADF;

	if (member->is_layer)
		return pack_stored(p, &member->id, false, ret, err);
	blob = imagestore_open_blob(p->f->store, &member->id, err);
	return blob < 0 ? blob : pack(p, &plan, &blob, false, ret, err);
}

static int pack_passes(struct push *p, const struct render_plan *plan,
		       struct error *err)
{
	int r = 0;

	packed_make(p, plan->n);
	for (size_t i = 0; r == 0 && i < plan->n; i++) {
		size_t same = 0;

		while (plan->v[same].image != plan->v[i].image)
			same++;
		if (same == i)
			r = pack_pass(p, &plan->v[i], &p->packed[i], err);
		else
			p->packed[i] = p->packed[same];
		if (same < i)
			p->packed[i].fd = -EBADF; /* it is sent already */
	}
	return r;
}

/* All in one, so that what is left out is in no layer. */
static int pack_flat(struct push *p, const struct render_plan *passes,
		     struct error *err)
{
	cleanup_free struct index_layer *layers =
		xcalloc(p->set.n, sizeof(*layers));
	cleanup_free int *blobs = xcalloc(p->set.n, sizeof(*blobs));
	const struct index_plan plan = {layers, p->set.n, *passes};
	size_t n = 0;
	int r = 0;

	packed_make(p, 1);
	for (; r == 0 && n < p->set.n; n++) {
		layers[n].format = p->set.v[n].is_layer ? INDEX_LAYER_OCI
							: INDEX_LAYER_ACI;
		blobs[n] =
			imagestore_open_blob(p->f->store, &p->set.v[n].id, err);
		if (blobs[n] < 0)
			r = blobs[n];
	}
	if (r == 0)
		r = pack(p, &plan, blobs, false, &p->packed[0], err);
	for (size_t i = 0; i < n; i++)
		fd_close(&blobs[i]);
	return r;
}

/* What says nothing is no layer; but one there must be. */
static void drop_empty(struct push *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_packed; i++) {
		bool is_last = i + 1 == p->n_packed && n == 0;

		if (!p->packed[i].layer.is_empty || is_last)
			p->packed[n++] = p->packed[i];
		else
			packed_drop(p, &p->packed[i]);
	}
	p->n_packed = n;
}

static bool must_be_flat(const struct render_plan *plan)
{
	if (plan->n > OCI_LAYERS_MAX)
		return true;
	for (size_t i = 0; i < plan->n; i++)
		if (plan->v[i].is_filtered)
			return true;
	return false;
}

static int push_rendered(struct push *p, char ret[OCI_DIGEST_MAX],
			 struct error *err)
{
	cleanup_oci_config struct oci_config config = OCI_CONFIG_INIT;
	cleanup_render_plan struct render_plan plan = RENDER_PLAN_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = oci_config_make(image_of(p), &config, err);

	if (r == 0)
		r = render_set_plan(&p->set, &plan, err);
	if (r < 0)
		return r;
	if (must_be_flat(&plan))
		r = pack_flat(p, &plan, err);
	else
		r = pack_passes(p, &plan, err);
	if (r < 0)
		return r;
	drop_empty(p);
	for (size_t i = 0; i < p->n_packed; i++)
		strv_push(&config.diff_ids, p->packed[i].diff_id);
	oci_config_write(&config, &text);
	return push_packed(p, &text, NULL, ret, err);
}

/* --- all of it ----------------------------------------------------------- */

static int check_ref(const struct docker_ref *ref, struct error *err)
{
	if (ref->digest)
		return error_set(err, EINVAL,
				 "an image is pushed to a tag, not to a "
				 "digest: %s/%s@%s",
				 ref->registry, ref->repository, ref->digest);
	if (ref->labels.n)
		return error_set(err, EINVAL,
				 "an image is pushed to a tag, without labels: "
				 "%s/%s:%s",
				 ref->registry, ref->repository, ref->tag);
	return 0;
}

int oci_push(struct image_fetcher *f, const struct image_id *id,
	     const struct docker_ref *ref, char ret[OCI_DIGEST_MAX],
	     struct error *err)
{
	cleanup_push struct push p = {
		.f = f,
		.registry = {.libexec_dir = f->libexec_dir,
			     .ref = ref,
			     .http_flags = f->http_flags,
			     .plain_ok = f->http_discovery,
			     .on_progress = on_progress},
	};
	cleanup_original struct original original = {.config = STRBUF_INIT};
	int r = check_ref(ref, err);

	p.registry.progress_arg = &p;
	if (r == 0)
		r = render_set_load(f->store, id, &p.set, err);
	if (r == 0)
		r = image_load_config(f, err);
	if (r < 0)
		return r;
	p.registry.config = f->config;
	r = registry_begin_push(&p.registry, ref->tag, err);
	if (r == 0)
		r = find_original(&p, &original, err);
	if (r < 0)
		return r;
	return r > 0 ? push_original(&p, &original, ret, err)
		     : push_rendered(&p, ret, err);
}
