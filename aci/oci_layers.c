/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/download.h"
#include "aci/fetch_client.h"
#include "aci/fetch_oci.h"
#include "aci/http.h"
#include "aci/image_fetcher.h"
#include "aci/image_settle.h"
#include "aci/imagestore.h"
#include "aci/layer_progress.h"
#include "aci/layer_seen.h"
#include "aci/oci_layout.h"
#include "aci/parallel.h"
#include "aci/registry.h"
#include "aci/stored_layer.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/image_ref.h"
#include "spec/oci.h"
#include "spec/oci_digest.h"

/* One that is to be fetched. */
struct layer {
	const struct oci_blob *blob;
	const char *file; /* in a layout; NULL: the blob's digest says */
	const char *diff_id;
};

struct missing {
	const struct oci_layers *l;
	struct layer *v;
	size_t n;
	struct layer_progress progress;
};

static void missing_release(struct missing *m)
{
	layer_progress_release(&m->progress);
	free(m->v);
}
#define cleanup_missing cleanup_with(missing_release)

/* One on its way, in a process of its own. */
struct getting {
	const struct oci_layers *l;
	const struct layer *layer;
	struct image_fetcher *f;
	struct download file;
	int bell_fd; /* read end; negative once the import has it */
	int blob_fd; /* the tar */
	bool is_importing;
	struct fetch_importing import;
};

/* A SHA-512 is the ID of the tar; but that may be an image. */
static int find_by_id(struct imagestore *store, const char *hex,
		      struct image_id *ret, struct error *err)
{
	cleanup_free char *id = xasprintf(IMAGE_ID_PREFIX "%s", hex);
	int r = imagestore_find_id(store, id, ret, err);

	if (r >= 0)
		r = stored_layer_is(store, ret, err);
	return r < 0 ? r : r > 0 ? 0 : -ENOENT;
}

static int find_by_name(struct imagestore *store, const char *hex,
			struct image_id *ret, struct error *err)
{
	cleanup_free char *name = xasprintf(OCI_LAYER_PREFIX "%s", hex);
	const struct image_ref ref = {.name = name};

	return imagestore_find_name(store, &ref, ret, err);
}

/* What people are told. */
static const char *layer_name(const struct layer *layer)
{
	return layer->file ? layer->diff_id : layer->blob->digest;
}

int oci_layer_find(const struct image_fetcher *f, const char *diff_id,
		   struct image_id *ret, struct error *err)
{
	const char *hex = diff_id + OCI_DIGEST_HEX_AT;
	struct error why = ERROR_INIT;
	int r = oci_digest_is_sha512(diff_id)
			? find_by_id(f->store, hex, ret, &why)
			: find_by_name(f->store, hex, ret, &why);

	if (r < 0 && r != -ENOENT && err)
		*err = why;
	return r;
}

/* --- reading it ---------------------------------------------------------- */

static void import_release(struct getting *g)
{
	if (g->is_importing)
		fetch_import_release(&g->import);
	g->is_importing = false;
	fd_close(&g->bell_fd);
	if (g->blob_fd >= 0)
		imagestore_drop_file(g->f->store, g->blob_fd);
	fd_close(&g->blob_fd);
}

static int import_start(struct getting *g, int fd, struct error *err)
{
	const struct fetch_limits limits = {
		.is_layer = true,
		.is_sha512 = oci_digest_is_sha512(g->layer->blob->digest),
	};
	const struct fetch_source source = {
		.fd = fd,
		.bell_fd = g->bell_fd,
		.size = g->bell_fd < 0 ? 0 : g->layer->blob->size,
	};
	int r;

	g->blob_fd = imagestore_new_file(g->f->store, err);
	if (g->blob_fd < 0)
		return g->blob_fd;
	r = fetch_import_start(g->f->libexec_dir, &source, g->blob_fd, -1,
			       &limits, &g->import, err);
	g->is_importing = r == 0;
	fd_close(&g->bell_fd);
	return r;
}

/* What IMAGE unpacked to, of the algorithm that LIKE is of. */
static void diff_id_make(const struct fetch_image *image, const char *like,
			 char ret[OCI_DIGEST_MAX])
{
	if (!oci_digest_is_sha512(like))
		oci_digest_format(image->diff_id, false, ret);
	else /* the ID says the same with a dash */
		(void)snprintf(ret, OCI_DIGEST_MAX, "sha512:%s",
			       image->id + strlen(IMAGE_ID_PREFIX));
}

static int check_blob(const struct oci_blob *blob,
		      const struct fetch_image *image, struct error *err)
{
	char digest[OCI_DIGEST_MAX];

	oci_digest_format(image->image_digest,
			  oci_digest_is_sha512(blob->digest), digest);
	if (image->image_size != blob->size)
		return error_set(err, EBADMSG,
				 "it has %llu bytes, the manifest says %llu",
				 (unsigned long long)image->image_size,
				 (unsigned long long)blob->size);
	if (strcmp(digest, blob->digest) != 0)
		return error_set(err, EBADMSG,
				 "it has the digest %s: the registry or what "
				 "lies before it is broken or lies",
				 digest);
	return 0;
}

static int check_layer(const struct layer *layer,
		       const struct fetch_image *image, struct error *err)
{
	char digest[OCI_DIGEST_MAX];
	int r = 0;

	if (!layer->file)
		r = check_blob(layer->blob, image, err);
	if (r < 0)
		return r;
	diff_id_make(image, layer->diff_id, digest);
	if (strcmp(digest, layer->diff_id) != 0)
		return error_set(err, EBADMSG,
				 "unpacked it has the digest %s, the "
				 "configuration says %s",
				 digest, layer->diff_id);
	return 0;
}

static int store_layer(const struct getting *g, struct fetch_image *image,
		       struct error *err)
{
	cleanup_free char *source =
		xasprintf("%s@%s", g->l->name, layer_name(g->layer));
	const struct image_origin origin = {.source = source};
	const struct image_files files = {
		.blob_fd = g->blob_fd,
		.index_fd = -EBADF,
	};
	struct image_id id;

	oci_layer_manifest_make(image->diff_id, &image->name, &image->manifest);
	image->manifest_len = strlen(image->manifest);
	return image_settle(g->f, image, &files, &origin, &id, err);
}

/* An error is one of the bytes, or of the disk: -EINVAL or -ENOSPC. */
static int import_finish(struct getting *g, struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	int r = fetch_import_finish(&g->import, &image, err);

	if (r == 0)
		r = check_layer(g->layer, &image, err);
	if (r < 0)
		return r == -ENOSPC || (r == -EFBIG && g->import.is_space)
			       ? -ENOSPC
			       : -EINVAL;
	return store_layer(g, &image, err);
}

/* --- from a registry ----------------------------------------------------- */

/* An import that ends now found bytes that are no layer: nobody wants more of
 * them. */
static bool import_has_ended(const struct getting *g)
{
	struct pollfd p = {.fd = g->import.child.sock, .events = POLLIN};

	return g->is_importing && poll(&p, 1, 0) > 0;
}

static int on_progress(void *arg, const struct http_progress *progress,
		       struct error *err)
{
	struct getting *g = arg;

	if (progress->note[0])
		image_notice(g->f, "%s; trying again", progress->note);
	if (progress->status)
		layer_seen_progress(g->f->seen, progress);
	if (import_has_ended(g))
		return -ECANCELED;
	if (progress->status && !g->is_importing)
		return import_start(g, g->file.fd, err);
	return 0;
}

static int request(struct getting *g, struct error *err)
{
	struct registry registry = *g->l->registry;
	struct http_request req = HTTP_REQUEST_INIT;
	cleanup_fd int write_fd = -EBADF;
	int bell[2], r;

	if (pipe2(bell, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	g->bell_fd = bell[0];
	write_fd = bell[1];
	r = set_nonblock(write_fd);
	if (r < 0)
		return error_sys(err, -r, "make a pipe");
	req.flags = HTTP_RESUME | HTTP_IMMUTABLE;
	req.max_body = g->layer->blob->size;
	req.body_fd = g->file.fd;
	req.partial_fd = g->file.version_fd;
	req.bell_fd = write_fd;
	req.on_progress = on_progress;
	req.progress_arg = g;
	/* The token may be renewed: it is this process's, until it ends. */
	return registry_get_blob(&registry, g->layer->blob->digest, &req, err);
}

/* HAVE bytes are there; where that is all of it the digest tells. */
static int download_once(struct getting *g, uint64_t have, struct error *err)
{
	int r = have == g->layer->blob->size ? 0 : request(g, err);

	if (r == 0)
		layer_seen_end(g->f->seen);
	if (r == 0 && !g->is_importing)
		r = import_start(g, g->file.fd, err);
	if (r == 0 || (r == -ECANCELED && g->is_importing))
		r = import_finish(g, err);
	import_release(g);
	return r;
}

/* Bytes of an earlier try are believed once: what is wrong with the whole may
 * be them, or a server that has no notion of parts. */
static int download(struct getting *g, struct error *err)
{
	struct error why = ERROR_INIT;
	struct stat st;
	int r;

	if (fstat(g->file.fd, &st) < 0)
		return error_sys(err, errno, "look at the partial download");
	if (st.st_size == 0)
		return download_once(g, 0, err);
	if ((uint64_t)st.st_size <= g->layer->blob->size) {
		r = download_once(g, (uint64_t)st.st_size, &why);
		if (r == 0 || download_is_resumable(r)) {
			if (r < 0 && err)
				*err = why;
			return r;
		}
		log_debug("layer %s: %s", g->layer->blob->digest, why.msg);
	}
	image_notice(g->f,
		     "layer %.*s cannot be gone on with: fetching it anew",
		     OCI_DIGEST_SHOWN, g->layer->blob->digest);
	r = download_restart(&g->file, err);
	return r < 0 ? r : download_once(g, 0, err);
}

static int download_layer(struct getting *g, struct error *err)
{
	cleanup_free char *key = xasprintf("blob %s", g->layer->blob->digest);
	struct image_id id;
	int r = download_try(g->f->store, key, &g->file, err);

	if (r == -EBUSY) {
		image_notice(g->f,
			     "another rkt instance is downloading layer %.*s, "
			     "waiting...",
			     OCI_DIGEST_SHOWN, g->layer->blob->digest);
		r = download_wait(g->f->store, key, &g->file, err);
	}
	/* It may have come since we looked. */
	if (r == 0)
		r = oci_layer_find(g->f, g->layer->diff_id, &id, err);
	if (r == -ENOENT) {
		r = download(g, err);
		if (!download_is_resumable(r))
			download_remove(&g->file);
	}
	download_release(&g->file);
	return r;
}

/* --- from a layout ------------------------------------------------------- */

static int copy_layer(struct getting *g, struct error *err)
{
	const struct layer *layer = g->layer;
	cleanup_fd int fd =
		layer->file ? oci_layout_open_file(g->l->layout, g->f->store,
						   layer->file, UINT64_MAX, err)
			    : oci_layout_open_blob(g->l->layout, g->f->store,
						   layer->blob->digest,
						   UINT64_MAX, err);
	int r = fd < 0 ? fd : import_start(g, fd, err);

	if (r == 0)
		r = import_finish(g, err);
	import_release(g);
	return r;
}

/* --- one of them --------------------------------------------------------- */

/* In a process of its own, with a store of its own, as databases want it. */
static int fetch_layer(void *arg, size_t i, void *result, struct error *err)
{
	const struct missing *m = arg;
	struct image_fetcher f = *m->l->f;
	struct getting g = {
		.l = m->l,
		.layer = &m->v[i],
		.f = &f,
		.file = DOWNLOAD_INIT,
		.bell_fd = -EBADF,
		.blob_fd = -EBADF,
	};
	int r;

	(void)result;
	f.seen = &m->progress.seen[i];
	r = imagestore_open(imagestore_data_dir(f.store), f.libexec_dir,
			    IMAGESTORE_CREATE, &f.store, err);
	if (r < 0)
		return r;
	r = m->l->registry ? download_layer(&g, err) : copy_layer(&g, err);
	imagestore_free(f.store);
	return r < 0 ? error_prefix(err, r, "layer %s", layer_name(g.layer))
		     : 0;
}

static bool is_listed(const struct missing *m, const char *diff_id)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].diff_id, diff_id) == 0)
			return true;
	return false;
}

static void add_layer(struct missing *m, size_t i)
{
	const struct oci_blob *blob = &m->l->plan->layers[i];
	cleanup_strbuf struct strbuf size = STRBUF_INIT;

	m->v[m->n++] = (struct layer){
		.blob = blob,
		.file = m->l->files ? m->l->files[i] : NULL,
		.diff_id = m->l->diff_ids->v[i],
	};
	if (!m->l->registry)
		return;
	format_size(&size, blob->size);
	image_notice(m->l->f, "fetching layer %.*s (%s)", OCI_DIGEST_SHOWN,
		     blob->digest, size.buf);
}

static int find_missing(struct missing *m, struct error *err)
{
	const struct oci_layers *l = m->l;

	m->v = xcalloc(l->plan->n_layers + 1, sizeof(*m->v));
	for (size_t i = 0; i < l->plan->n_layers; i++) {
		const char *diff_id = l->diff_ids->v[i];
		struct image_id id;
		int r = oci_layer_find(l->f, diff_id, &id, err);

		if (r == -ENOENT && !is_listed(m, diff_id))
			add_layer(m, i);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/* --- all of them --------------------------------------------------------- */

/* Those of a layout are not looked at. */
static int watch_begin(struct missing *m, struct error *err)
{
	int r = layer_progress_open(&m->progress, m->l->f, false, m->n, err);

	for (size_t i = 0; r == 0 && i < m->n; i++) {
		struct layer_seen *seen = &m->progress.seen[i];

		(void)snprintf(seen->digest, sizeof(seen->digest), "%s",
			       m->v[i].blob->digest);
		seen->total = m->v[i].blob->size;
	}
	return r;
}

static void show(void *arg)
{
	struct missing *m = arg;

	layer_progress_show(&m->progress);
}

/* Stored they take as much at least, wherever they come from and however much
 * of them is here already. */
static int check_space(const struct missing *m, struct error *err)
{
	uint64_t room = free_bytes(imagestore_dirfd(m->l->f->store));
	uint64_t need = 0;

	for (size_t i = 0; i < m->n && need <= room; i++)
		need += m->v[i].blob->size;
	return need <= room
		       ? 0
		       : error_set(err, ENOSPC,
				   "image %s needs at least %" PRIu64
				   " bytes for its layers, and the image store "
				   "has %" PRIu64 " bytes free: free some with "
				   "\"rkt image gc\"",
				   m->l->name, need, room);
}

int oci_layers_fetch(const struct oci_layers *l, struct error *err)
{
	cleanup_missing struct missing m = {.l = l};
	int r = find_missing(&m, err);

	if (r < 0 || m.n == 0)
		return r;
	r = check_space(&m, err);
	if (r < 0)
		return r;
	r = watch_begin(&m, err);
	if (r < 0)
		return r;
	r = parallel_watch(m.n, fetch_layer, show, &m, err);
	layer_progress_end(&m.progress);
	return r;
}
