/* SPDX-License-Identifier: Apache-2.0 */

/* Pushing what came from a registry: as it was there, where that can be. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/fetch_oci.h"
#include "aci/image_fetcher.h"
#include "aci/imagestore.h"
#include "aci/oci_job.h"
#include "aci/oci_layers.h"
#include "aci/oci_push_impl.h"
#include "aci/registry.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"

/* The stored layer that the image depends on as number I. */
static const struct image_id *layer_of(const struct push *p, size_t i)
{
	return &p->set.v[p->set.v[0].dependencies[i]].id;
}

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
	    plan->is_index || plan->n_layers != push_image(p)->n_dependencies)
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
	const struct image_manifest *im = push_image(p);
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

	if (r < 0 || diff_ids.n != push_image(p)->n_dependencies)
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

int push_find_original(struct push *p, struct error *err)
{
	const struct image_manifest *im = push_image(p);
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
	const struct name_values *a = &push_image(p)->annotations;
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
	r = push_pack_stored(p, id, oci_digest_is_sha512(blob->digest), &packed,
			     err);
	if (r < 0)
		return r;
	if (!is_tar(&packed, id, blob->digest)) {
		ret->is_kept = strcmp(packed.digest, blob->digest) == 0;
		return push_packed(p, &packed, ret, err);
	}
	fd_close(&packed.fd);
	ret->is_kept = true;
	raw = imagestore_open_blob(p->f->store, id, err);
	return raw < 0 ? raw
		       : push_file(p, "layer", blob->digest, raw, blob->size,
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
	r = push_pack_stored(p, layer_of(p, i), is_sha512, &packed, err);
	return r < 0 ? r : push_packed(p, &packed, ret, err);
}

static int push_as_it_was(struct push *p, char ret[OCI_DIGEST_MAX],
			  struct error *err)
{
	const struct original *o = &p->original;
	struct oci_descriptor config = {0};
	int r = push_text(p, &o->config, o->plan.config.digest, &config, err);

	free(config.digest);
	return r < 0 ? r
		     : push_put_manifest(p,
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
	int r = push_each_layer(p, step, err);

	for (size_t i = 0; r == 0 && i < p->n_pushed; i++)
		p->pushed[i] = p->pushed[same_layer(p, i)];
	return r;
}

int push_original(struct push *p, char ret[OCI_DIGEST_MAX], struct error *err)
{
	const struct original *o = &p->original;
	bool all_kept = o->manifest;
	int r = push_begin_layers(p, push_image(p)->n_dependencies, err);

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
