/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_push.h"

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
#include "aci/layer_progress.h"
#include "aci/layer_seen.h"
#include "aci/oci_job.h"
#include "aci/oci_layers.h"
#include "aci/parallel.h"
#include "aci/registry.h"
#include "aci/render_load.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"

/* What became of a layer. */
struct pushed {
	char digest[OCI_DIGEST_MAX]; /* empty: of none that was sent */
	char diff_id[OCI_DIGEST_MAX];
	uint64_t size;
	bool is_kept;  /* the original blob, which the registry has */
	bool is_empty; /* it says nothing, and was not sent */
};

/* A layer in a file of the store's, to be sent. */
struct packed {
	int fd;
	struct fetch_layer layer;
	char digest[OCI_DIGEST_MAX];
	char diff_id[OCI_DIGEST_MAX];
};

struct original {
	struct strbuf config;
	const char *manifest; /* borrowed; NULL: there never was one */
	struct oci_plan plan;
};

struct push {
	struct image_fetcher *f;
	struct registry registry;
	struct render_set set; /* v[0] is the image */
	struct render_plan plan;
	struct original original;
	struct layer_progress progress;
	struct pushed *pushed; /* shared with the processes */
	size_t n_pushed;
	/* Of the step under way, in a process of its own. */
	int (*step)(struct push *p, size_t i, struct pushed *ret,
		    struct error *err);
};

static void pushed_drop(struct push *p)
{
	if (p->pushed)
		(void)munmap(p->pushed, (p->n_pushed + 1) * sizeof(*p->pushed));
	p->pushed = NULL;
}

static void push_release(struct push *p)
{
	pushed_drop(p);
	layer_progress_release(&p->progress);
	strbuf_release(&p->original.config);
	oci_plan_release(&p->original.plan);
	render_plan_release(&p->plan);
	render_set_release(&p->set);
	registry_release(&p->registry);
}
#define cleanup_push cleanup_with(push_release)

static const struct image_manifest *image_of(const struct push *p)
{
	return &p->set.v[0].manifest;
}

/* The stored layer that the image depends on as number I. */
static const struct image_id *layer_of(const struct push *p, size_t i)
{
	return &p->set.v[p->set.v[0].dependencies[i]].id;
}

/* --- sending ------------------------------------------------------------- */

static int on_progress(void *arg, const struct http_progress *progress,
		       struct error *err)
{
	const struct push *p = arg;

	(void)err;
	if (progress->note[0])
		image_notice(p->f, "%s; trying again", progress->note);
	else if (p->f->seen && progress->total)
		layer_seen_progress(p->f->seen, progress);
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
	if (p->f->seen) {
		(void)snprintf(p->f->seen->digest, OCI_DIGEST_MAX, "%s",
			       digest);
		p->f->seen->total = size;
	}
	r = registry_put_blob(&p->registry, digest, fd, err);
	if (r < 0)
		return error_prefix(err, r, "push %s %.*s", what,
				    OCI_DIGEST_SHOWN, digest);
	if (p->f->seen)
		layer_seen_end(p->f->seen);
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

/* PLAN NULL: the one blob as it is.  The file has no name, whatever happens. */
static int pack(struct push *p, const struct index_plan *plan,
		const int *blob_fds, bool is_sha512, struct packed *ret,
		struct error *err)
{
	int r;

	ret->fd = imagestore_new_file(p->f->store, err);
	if (ret->fd < 0)
		return ret->fd;
	imagestore_drop_file(p->f->store, ret->fd);
	r = fetch_make_layer(p->f->libexec_dir, plan, blob_fds, ret->fd,
			     is_sha512, &ret->layer, err);
	if (r < 0) {
		fd_close(&ret->fd);
		return r;
	}
	oci_digest_format(ret->layer.digest, is_sha512, ret->digest);
	oci_digest_format(ret->layer.diff_id, false, ret->diff_id);
	return 0;
}

static int pack_stored(struct push *p, const struct image_id *id,
		       bool is_sha512, struct packed *ret, struct error *err)
{
	cleanup_fd int blob = imagestore_open_blob(p->f->store, id, err);

	return blob < 0 ? blob : pack(p, NULL, &blob, is_sha512, ret, err);
}

/* Sends what was PACKED, and closes it. */
static int send_packed(struct push *p, struct packed *packed,
		       struct pushed *ret, struct error *err)
{
	int r = send_file(p, "layer", packed->digest, packed->fd,
			  packed->layer.size, err);

	fd_close(&packed->fd);
	memcpy(ret->digest, packed->digest, sizeof(ret->digest));
	memcpy(ret->diff_id, packed->diff_id, sizeof(ret->diff_id));
	ret->size = packed->layer.size;
	return r;
}

/* In a process of its own, with a store of its own, as databases want it. */
static int in_process(void *arg, size_t i, void *result, struct error *err)
{
	const struct push *shared = arg;
	struct image_fetcher f = *shared->f;
	struct push p = *shared;
	int r;

	(void)result;
	f.seen = &p.progress.seen[i];
	p.f = &f;
	p.registry.progress_arg = &p;
	r = imagestore_open(imagestore_data_dir(f.store), f.libexec_dir,
			    IMAGESTORE_CREATE, &f.store, err);
	if (r < 0)
		return r;
	r = p.step(&p, i, &p.pushed[i], err);
	imagestore_free(f.store);
	return r;
}

static void show(void *arg)
{
	struct push *p = arg;

	layer_progress_show(&p->progress);
}

/* STEP for each of the N layers that p->pushed is of, several at a time. */
static int each_layer(struct push *p,
		      int (*step)(struct push *p, size_t i, struct pushed *ret,
				  struct error *err),
		      struct error *err)
{
	int r;

	layer_progress_release(&p->progress);
	r = layer_progress_open(&p->progress, p->f, true, p->n_pushed, err);
	if (r < 0)
		return r;
	p->step = step;
	r = parallel_watch(p->n_pushed, in_process, show, p, err);
	layer_progress_end(&p->progress);
	return r;
}

static int pushed_make(struct push *p, size_t n, struct error *err)
{
	void *pushed =
		mmap(NULL, (n + 1) * sizeof(*p->pushed), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (pushed == MAP_FAILED)
		return error_sys(err, errno, "share memory");
	p->pushed = pushed;
	p->n_pushed = n;
	return 0;
}

/* A manifest of what was pushed and of CONFIG. */
static int push_manifest(struct push *p, const struct strbuf *config,
			 const char *like, char ret[OCI_DIGEST_MAX],
			 struct error *err)
{
	cleanup_oci_manifest struct oci_manifest m = OCI_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	m.layers = xcalloc(p->n_pushed + 1, sizeof(*m.layers));
	for (size_t i = 0; i < p->n_pushed; i++) {
		if (p->pushed[i].is_empty)
			continue;
		m.layers[m.n_layers].digest = xstrdup(p->pushed[i].digest);
		m.layers[m.n_layers++].size = p->pushed[i].size;
	}
	r = send_text(p, config, like, &m.config, err);
	if (r < 0)
		return r;
	oci_manifest_write(&m, &text);
	return send_manifest(p, OCI_TYPE_MANIFEST, text.buf, text.len, ret,
			     err);
}

/* --- an image that came from a registry ---------------------------------- */

static bool has_only_layers(const struct image_manifest *im)
{
	for (size_t i = 0; i < im->n_dependencies; i++)
		if (!oci_is_layer_name(im->dependencies[i].image_name))
			return false;
	return im->n_dependencies > 0 && im->path_whitelist.n == 0;
}

/* 1 if TEXT is a manifest of CONFIG and as many layers as there are. */
static int check_manifest(struct push *p, const char *text, const char *config,
			  struct error *err)
{
	static const struct oci_want want = {
		.os = "linux", .arch = "", .variant = ""};
	struct oci_plan *plan = &p->original.plan;
	char digest[OCI_DIGEST_MAX];
	cleanup_fd int fd = fetch_oci_text(p->f->libexec_dir, text,
					   strlen(text), NULL, digest, err);
	cleanup_fd int config_fd = -EBADF;

	if (fd < 0)
		return fd;
	if (fetch_oci_manifest(p->f->libexec_dir, fd, NULL, &want, plan, NULL) <
		    0 ||
	    plan->is_index || plan->n_layers != image_of(p)->n_dependencies)
		return 0;
	config_fd = fetch_oci_text(p->f->libexec_dir, config, strlen(config),
				   plan->config.digest, digest, err);
	if (config_fd < 0)
		return config_fd;
	return strcmp(digest, plan->config.digest) == 0;
}

/* The arguments of OCI_IMAGE that made the image, by what it says itself. */
static void image_args(const struct push *p, struct strv *ret)
{
	static const char *const names[] = {"registryurl", "repository", "tag",
					    "manifesthash"};
	const struct image_manifest *im = image_of(p);
	const char *id =
		name_values_get(&im->annotations, OCI_ANNOTATION "imageid");

	strv_push(ret, id ? id : "");
	strv_push(ret, im->name);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		cleanup_free char *name =
			xasprintf(OCI_ANNOTATION "%s", names[i]);
		const char *value = name_values_get(&im->annotations, name);

		strv_push(ret, value ? value : "");
	}
	for (size_t i = 0; i < im->n_dependencies; i++) {
		const struct dependency *dep = &im->dependencies[i];

		strv_push(ret, dep->image_name);
		strv_push(ret, dep->image_id ? dep->image_id : "");
		strv_pushf(ret, "%llu", (unsigned long long)dep->size);
	}
}

/* 1 if the files hold the same, and not much. */
static int is_same_file(int a, int b)
{
	cleanup_strbuf struct strbuf x = STRBUF_INIT;
	cleanup_strbuf struct strbuf y = STRBUF_INIT;

	return lseek(a, 0, SEEK_SET) == 0 && lseek(b, 0, SEEK_SET) == 0 &&
	       strbuf_read_fd(&x, a, OCI_TEXT_MAX) >= 0 &&
	       strbuf_read_fd(&y, b, OCI_TEXT_MAX) >= 0 && x.len == y.len &&
	       memcmp(x.buf, y.buf, x.len) == 0;
}

/* 1 if the layers are those of the configuration in FD. */
static int check_layers(struct push *p, int fd, const char *digest,
			struct error *err)
{
	cleanup_strv struct strv diff_ids = STRV_INIT;
	int r = fetch_oci_config(p->f->libexec_dir, fd, digest, &diff_ids, err);

	if (r < 0 || diff_ids.n != image_of(p)->n_dependencies)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < diff_ids.n; i++) {
		struct image_id id;

		r = oci_layer_find(p->f, diff_ids.v[i], &id, err);
		if (r < 0 || strcmp(id.text, layer_of(p, i)->text) != 0)
			return r == -ENOENT || r >= 0 ? 0 : r;
	}
	return 1;
}

/* 1 if CONFIG and MANIFEST (may be NULL) make the image again: else it was
 * changed since, and says something else than they do. */
static int check_made(struct push *p, const char *config, const char *manifest,
		      struct error *err)
{
	cleanup_strv struct strv args = STRV_INIT;
	cleanup_fd int blob =
		imagestore_open_blob(p->f->store, &p->set.v[0].id, err);
	cleanup_fd int made = memfd_create("image", MFD_CLOEXEC);
	cleanup_fd int config_fd = -EBADF;
	cleanup_fd int manifest_fd = -EBADF;
	char digest[OCI_DIGEST_MAX];

	if (blob < 0)
		return blob;
	if (made < 0)
		return error_sys(err, errno, "make a memory file");
	image_args(p, &args);
	config_fd = fetch_oci_text(p->f->libexec_dir, config, strlen(config),
				   args.v[0], digest, err);
	if (config_fd < 0)
		return config_fd;
	if (manifest)
		manifest_fd =
			fetch_oci_text(p->f->libexec_dir, manifest,
				       strlen(manifest), NULL, digest, err);
	if (manifest && manifest_fd < 0)
		return manifest_fd;
	if (fetch_oci_image(p->f->libexec_dir, config_fd, manifest_fd, &args,
			    made, NULL) < 0 ||
	    !is_same_file(blob, made))
		return 0;
	return check_layers(p, config_fd, args.v[0], err);
}

/* 1 if the image has what it was made of, and still is that. */
static int find_original(struct push *p, struct error *err)
{
	const struct image_manifest *im = image_of(p);
	const char *config =
		name_values_get(&im->annotations, OCI_ANNOTATION "config");
	const char *manifest =
		name_values_get(&im->annotations, OCI_ANNOTATION "manifest");
	int r = 1;

	if (!config || !has_only_layers(im))
		return 0;
	if (manifest)
		r = check_manifest(p, manifest, config, err);
	if (r > 0)
		r = check_made(p, config, manifest, err);
	if (r <= 0)
		return r;
	strbuf_addstr(&p->original.config, config);
	p->original.manifest = manifest;
	return 1;
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

/* 1 if the registry has the blob or can take it from where it is. */
static int is_there(struct push *p, const char *digest, struct error *err)
{
	const char *from = other_repository(p);
	int r = registry_has_blob(&p->registry, digest, err);

	if (r == 0 && from &&
	    registry_mount_blob(&p->registry, digest, from, NULL) == 1)
		r = 1;
	if (r > 0)
		image_notice(p->f, "already there: layer %.*s",
			     OCI_DIGEST_SHOWN, digest);
	return r;
}

/* The first of the layers that are stored, and packed, as number I is. */
static size_t same_layer(const struct push *p, size_t i)
{
	const struct oci_plan *plan = &p->original.plan;
	size_t same = 0;

	while (strcmp(layer_of(p, same)->text, layer_of(p, i)->text) != 0 ||
	       (plan->n_layers &&
		strcmp(plan->layers[same].digest, plan->layers[i].digest) != 0))
		same++;
	return same;
}

/* As the registry had it, if that can be had; else compressed anew. */
static int keep_layer(struct push *p, size_t i, struct pushed *ret,
		      struct error *err)
{
	const struct oci_blob *blob = &p->original.plan.layers[i];
	const struct image_id *id = layer_of(p, i);
	struct packed packed = {.fd = -EBADF};
	cleanup_fd int raw = -EBADF;
	int r;

	if (same_layer(p, i) < i)
		return 0;
	r = is_there(p, blob->digest, err);
	ret->is_kept = r > 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = pack_stored(p, id, oci_digest_is_sha512(blob->digest), &packed,
			err);
	if (r < 0)
		return r;
	if (!is_tar(&packed, id, blob->digest)) {
		ret->is_kept = strcmp(packed.digest, blob->digest) == 0;
		return send_packed(p, &packed, ret, err);
	}
	fd_close(&packed.fd);
	ret->is_kept = true;
	raw = imagestore_open_blob(p->f->store, id, err);
	return raw < 0 ? raw
		       : send_file(p, "layer", blob->digest, raw, blob->size,
				   err);
}

/* What was kept cannot be, as others could not: the manifest is a new one, and
 * says of all that gzip made them. */
static int pack_layer(struct push *p, size_t i, struct pushed *ret,
		      struct error *err)
{
	const struct oci_plan *plan = &p->original.plan;
	struct packed packed = {.fd = -EBADF};
	bool is_sha512 =
		plan->n_layers && oci_digest_is_sha512(plan->layers[i].digest);
	int r;

	if (*ret->digest || same_layer(p, i) < i)
		return 0;
	r = pack_stored(p, layer_of(p, i), is_sha512, &packed, err);
	return r < 0 ? r : send_packed(p, &packed, ret, err);
}

static int push_as_it_was(struct push *p, char ret[OCI_DIGEST_MAX],
			  struct error *err)
{
	const struct original *o = &p->original;
	struct oci_descriptor config = {0};
	int r = send_text(p, &o->config, o->plan.config.digest, &config, err);

	free(config.digest);
	return r < 0 ? r
		     : send_manifest(p,
				     o->plan.is_docker ? OCI_TYPE_DOCKER
						       : OCI_TYPE_MANIFEST,
				     o->manifest, strlen(o->manifest), ret,
				     err);
}

/* STEP for each layer once, and what came of it for all that are the same. */
static int each_stored(struct push *p,
		       int (*step)(struct push *p, size_t i, struct pushed *ret,
				   struct error *err),
		       struct error *err)
{
	int r = each_layer(p, step, err);

	for (size_t i = 0; r == 0 && i < p->n_pushed; i++)
		p->pushed[i] = p->pushed[same_layer(p, i)];
	return r;
}

static int push_original(struct push *p, char ret[OCI_DIGEST_MAX],
			 struct error *err)
{
	const struct original *o = &p->original;
	bool all_kept = o->manifest;
	int r = pushed_make(p, image_of(p)->n_dependencies, err);

	if (r == 0 && o->manifest)
		r = each_stored(p, keep_layer, err);
	for (size_t i = 0; r == 0 && i < p->n_pushed; i++)
		all_kept = all_kept && p->pushed[i].is_kept;
	if (r == 0 && all_kept)
		return push_as_it_was(p, ret, err);
	if (r == 0 && o->manifest)
		image_notice(p->f, "the layers are compressed anew: the "
				   "manifest gets another digest");
	if (r == 0)
		r = each_stored(p, pack_layer, err);
	return r < 0 ? r
		     : push_manifest(p, &o->config,
				     o->manifest ? o->plan.config.digest : NULL,
				     ret, err);
}

/* --- any other image ------------------------------------------------------ */

static int pack_pass(struct push *p, size_t i, struct packed *ret,
		     struct error *err)
{
	const struct render_member *member = &p->set.v[p->plan.v[i].image];
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

/* The first of the layers that are the same as number I. */
static size_t same_as(const struct push *p, size_t i)
{
	size_t same = 0;

	while (p->plan.v[same].image != p->plan.v[i].image)
		same++;
	return same;
}

static int push_pass(struct push *p, size_t i, struct pushed *ret,
		     struct error *err)
{
	struct packed packed = {.fd = -EBADF};
	int r;

	if (same_as(p, i) < i)
		return 0;
	r = pack_pass(p, i, &packed, err);
	ret->is_empty = r == 0 && packed.layer.is_empty;
	if (!ret->is_empty)
		return r < 0 ? r : send_packed(p, &packed, ret, err);
	fd_close(&packed.fd);
	return 0;
}

/* What says nothing is no layer; but one there must be. */
static int push_one_at_least(struct push *p, size_t i, struct pushed *ret,
			     struct error *err)
{
	struct packed packed = {.fd = -EBADF};
	int r;

	if (i + 1 < p->n_pushed)
		return 0;
	r = pack_pass(p, same_as(p, i), &packed, err);
	ret->is_empty = false;
	return r < 0 ? r : send_packed(p, &packed, ret, err);
}

static int push_passes(struct push *p, struct error *err)
{
	bool all_empty = true;
	int r = pushed_make(p, p->plan.n, err);

	if (r == 0)
		r = each_layer(p, push_pass, err);
	for (size_t i = 0; r == 0 && i < p->n_pushed; i++) {
		p->pushed[i] = p->pushed[same_as(p, i)];
		all_empty = all_empty && p->pushed[i].is_empty;
	}
	return r == 0 && all_empty ? each_layer(p, push_one_at_least, err) : r;
}

/* All in one, so that what is left out is in no layer. */
static int push_flat(struct push *p, size_t i, struct pushed *ret,
		     struct error *err)
{
	cleanup_free struct index_layer *layers =
		xcalloc(p->set.n, sizeof(*layers));
	cleanup_free int *blobs = xcalloc(p->set.n, sizeof(*blobs));
	const struct index_plan plan = {layers, p->set.n, p->plan};
	struct packed packed = {.fd = -EBADF};
	size_t n = 0;
	int r = 0;

	(void)i;
	for (; r == 0 && n < p->set.n; n++) {
		layers[n].format = p->set.v[n].is_layer ? INDEX_LAYER_OCI
							: INDEX_LAYER_ACI;
		blobs[n] =
			imagestore_open_blob(p->f->store, &p->set.v[n].id, err);
		if (blobs[n] < 0)
			r = blobs[n];
	}
	if (r == 0)
		r = pack(p, &plan, blobs, false, &packed, err);
	for (size_t k = 0; k < n; k++)
		fd_close(&blobs[k]);
	return r < 0 ? r : send_packed(p, &packed, ret, err);
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
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = oci_config_make(image_of(p), &config, err);

	if (r == 0)
		r = render_set_plan(&p->set, &p->plan, err);
	if (r < 0)
		return r;
	if (!must_be_flat(&p->plan))
		r = push_passes(p, err);
	else if ((r = pushed_make(p, 1, err)) == 0)
		r = each_layer(p, push_flat, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n_pushed; i++)
		if (!p->pushed[i].is_empty)
			strv_push(&config.diff_ids, p->pushed[i].diff_id);
	oci_config_write(&config, &text);
	return push_manifest(p, &text, NULL, ret, err);
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
		.plan = RENDER_PLAN_INIT,
		.original = {.config = STRBUF_INIT},
	};
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
		r = find_original(&p, err);
	if (r < 0)
		return r;
	return r > 0 ? push_original(&p, ret, err)
		     : push_rendered(&p, ret, err);
}
