/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_push.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "aci/fetch_oci.h"
#include "aci/http.h"
#include "aci/image_fetcher.h"
#include "aci/imagestore.h"
#include "aci/index_plan.h"
#include "aci/layer_progress.h"
#include "aci/layer_seen.h"
#include "aci/oci_push_impl.h"
#include "aci/parallel.h"
#include "aci/registry.h"
#include "aci/render_load.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"

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

const struct image_manifest *push_image(const struct push *p)
{
	return &p->set.v[0].manifest;
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

int push_file(struct push *p, const char *what, const char *digest, int fd,
	      uint64_t size, struct error *err)
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

int push_text(struct push *p, const struct strbuf *text, const char *like,
	      struct oci_descriptor *ret, struct error *err)
{
	char digest[OCI_DIGEST_MAX];
	cleanup_fd int fd = fetch_oci_text(p->f->libexec_dir, text->buf,
					   text->len, like, digest, err);

	if (fd < 0)
		return fd;
	ret->digest = xstrdup(digest);
	ret->size = text->len;
	return push_file(p, "configuration", digest, fd, text->len, err);
}

int push_put_manifest(struct push *p, const char *type, const char *text,
		      size_t len, char ret[OCI_DIGEST_MAX], struct error *err)
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

int push_pack_stored(struct push *p, const struct image_id *id, bool is_sha512,
		     struct packed *ret, struct error *err)
{
	cleanup_fd int blob = imagestore_open_blob(p->f->store, id, err);

	return blob < 0 ? blob : pack(p, NULL, &blob, is_sha512, ret, err);
}

int push_packed(struct push *p, struct packed *packed, struct pushed *ret,
		struct error *err)
{
	int r = push_file(p, "layer", packed->digest, packed->fd,
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

int push_each_layer(struct push *p,
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

int push_begin_layers(struct push *p, size_t n, struct error *err)
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

int push_manifest(struct push *p, const struct strbuf *config, const char *like,
		  char ret[OCI_DIGEST_MAX], struct error *err)
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
	r = push_text(p, config, like, &m.config, err);
	if (r < 0)
		return r;
	oci_manifest_write(&m, &text);
	return push_put_manifest(p, OCI_TYPE_MANIFEST, text.buf, text.len, ret,
				 err);
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
		return push_pack_stored(p, &member->id, false, ret, err);
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
		return r < 0 ? r : push_packed(p, &packed, ret, err);
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
	return r < 0 ? r : push_packed(p, &packed, ret, err);
}

static int push_passes(struct push *p, struct error *err)
{
	bool all_empty = true;
	int r = push_begin_layers(p, p->plan.n, err);

	if (r == 0)
		r = push_each_layer(p, push_pass, err);
	for (size_t i = 0; r == 0 && i < p->n_pushed; i++) {
		p->pushed[i] = p->pushed[same_as(p, i)];
		all_empty = all_empty && p->pushed[i].is_empty;
	}
	return r == 0 && all_empty ? push_each_layer(p, push_one_at_least, err)
				   : r;
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
	return r < 0 ? r : push_packed(p, &packed, ret, err);
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
	int r = oci_config_make(push_image(p), &config, err);

	if (r == 0)
		r = render_set_plan(&p->set, &p->plan, err);
	if (r < 0)
		return r;
	if (!must_be_flat(&p->plan))
		r = push_passes(p, err);
	else if ((r = push_begin_layers(p, 1, err)) == 0)
		r = push_each_layer(p, push_flat, err);
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
		r = push_find_original(&p, err);
	if (r < 0)
		return r;
	return r > 0 ? push_original(&p, ret, err)
		     : push_rendered(&p, ret, err);
}
