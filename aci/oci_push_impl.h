/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_PUSH_IMPL_H
#define ACI_OCI_PUSH_IMPL_H

/*
 * What the parts of a push share: aci/oci_push.c, which sends an image as its
 * rendered tree says, and aci/oci_push_original.c for one that came from a
 * registry.  Nobody else includes this.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aci/fetch_client.h"
#include "aci/fetch_oci.h"
#include "aci/layer_progress.h"
#include "aci/registry.h"
#include "aci/render_load.h"
#include "base/strbuf.h"
#include "spec/oci.h"

struct error;
struct image_fetcher;
struct image_id;
struct image_manifest;

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

/* The manifest of the image. */
const struct image_manifest *push_image(const struct push *p);

/* --- aci/oci_push.c ------------------------------------------------------- */

/* WHAT is "layer" or "configuration". */
int push_file(struct push *p, const char *what, const char *digest, int fd,
	      uint64_t size, struct error *err);

/* LIKE: fetch_oci_text(). */
int push_text(struct push *p, const struct strbuf *text, const char *like,
	      struct oci_descriptor *ret, struct error *err);

/* TEXT, of type TYPE, at the tag; RET is its digest. */
int push_put_manifest(struct push *p, const char *type, const char *text,
		      size_t len, char ret[OCI_DIGEST_MAX], struct error *err);

/* The stored layer ID, compressed; IS_SHA512: its digest is to be one. */
int push_pack_stored(struct push *p, const struct image_id *id, bool is_sha512,
		     struct packed *ret, struct error *err);

/* Sends what was PACKED, and closes it. */
int push_packed(struct push *p, struct packed *packed, struct pushed *ret,
		struct error *err);

/* N layers are to come: p->pushed. */
int push_begin_layers(struct push *p, size_t n, struct error *err);

/* STEP for each of the N layers that p->pushed is of, several at a time. */
int push_each_layer(struct push *p,
		    int (*step)(struct push *p, size_t i, struct pushed *ret,
				struct error *err),
		    struct error *err);

/* A manifest of what was pushed and of CONFIG (LIKE as in push_text()). */
int push_manifest(struct push *p, const struct strbuf *config, const char *like,
		  char ret[OCI_DIGEST_MAX], struct error *err);

/* --- aci/oci_push_original.c ---------------------------------------------- */

/* 1 if the image has what it was made of, and still is that. */
int push_find_original(struct push *p, struct error *err);

/* The image that was found; RET is the digest of its manifest. */
int push_original(struct push *p, char ret[OCI_DIGEST_MAX], struct error *err);

#endif
