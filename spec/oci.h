/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_OCI_H
#define SPEC_OCI_H

/*
 * Images as registries have them: OCI image specification 1.1 and docker's
 * manifest schema 2.  Bytes in, struct out, and what of that an appc image
 * manifest says.  Digests are those of
 * oci_digest.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/name_value.h"

struct docker_ref;
struct error;
struct image_manifest;
struct strbuf;

/* Annotations that say what an image was in its registry begin so. */
#define OCI_ANNOTATION "appc.io/docker/"
/* Of an image that was pushed by us: what it was as an appc image. */
#define OCI_LABEL_ORIGINAL "appc.io/image-manifest"
#define OCI_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_DOCKER "application/vnd.docker.distribution.manifest.v2+json"

/* One image: layers and what is laid over them together. */
#define OCI_LAYERS_MAX 200

/*
 * How layers are called in the store: this and the hex digits of the SHA-256
 * of the uncompressed tar.  No App Container Image may be called so, so a
 * name tells which of the two a stored tar is.
 */
#define OCI_LAYER_PREFIX "oci-layer/sha256-"
bool oci_is_layer_name(const char *name);
/* The name and the canonical manifest of the layer; both malloc'ed. */
void oci_layer_manifest_make(const uint8_t diff_id[32], char **ret_name,
			     char **ret_manifest);

struct oci_descriptor {
	char *digest;
	uint64_t size; /* bytes */
};

struct oci_manifest {
	bool is_index;	/* `config` is the manifest to go on with */
	bool is_docker; /* a manifest of OCI_TYPE_DOCKER */
	struct oci_descriptor config;
	struct oci_descriptor *layers; /* lowest first */
	size_t n_layers;
};

#define OCI_MANIFEST_INIT                                                      \
	{                                                                      \
		0                                                              \
	}

/* What to take of an index; in OCI's terms, which are Go's. */
struct oci_want {
	const char *tag; /* NULL = any: of a layout's index.json */
	const char *os;
	const char *arch;
	const char *variant; /* "" = none */
};

/* Ours for appc's OS and ARCH; false if there is none. */
bool oci_want_make(const char *os, const char *arch, struct oci_want *ret);

/*
 * A manifest, an index or a manifest list.  -EINVAL malformed, -ENOTSUP of a
 * kind that is not for us, -ENOENT nothing in the index is what is WANTed,
 * naming what there is.
 */
int oci_manifest_parse(const char *buf, size_t len, const struct oci_want *want,
		       struct oci_manifest *ret, struct error *err);
void oci_manifest_release(struct oci_manifest *m);
#define cleanup_oci_manifest __attribute__((__cleanup__(oci_manifest_release)))

/* The configuration of an image, as far as it says anything to us. */
struct oci_config {
	char *os, *arch, *variant;
	char *created, *author;
	char *user, *working_dir, *stop_signal;
	struct strv diff_ids; /* digests of uncompressed layers */
	struct strv entrypoint, cmd;
	struct strv env;	   /* NAME=VALUE */
	struct strv ports;	   /* "80/tcp" */
	struct strv volumes;	   /* paths */
	struct name_values labels; /* in the order written */
};

#define OCI_CONFIG_INIT                                                        \
	{                                                                      \
		0                                                              \
	}

int oci_config_parse(const char *buf, size_t len, struct oci_config *ret,
		     struct error *err);
void oci_config_release(struct oci_config *config);
#define cleanup_oci_config __attribute__((__cleanup__(oci_config_release)))

/* Where an image comes from, and what its layers are in the store. */
struct oci_origin {
	const char *registry, *repository; /* "" for a layout */
	const char *name;		   /* any text: sanitised */
	const char *tag;		   /* "" = none */
	const char *manifest_digest, *config_digest;
	const struct strv *layers; /* by threes: name, image ID, size */
	/* As the registry has them, to be kept; NULL = too long. */
	const char *config_text, *manifest_text;
};

/*
 * CONFIG as an image manifest that depends on its layers, lowest first, as
 * docker2aci made them.  What appc has no legal word for (a label's name, a
 * port range) is left out.  -EINVAL if there is no name.
 */
int oci_image_make(const struct oci_config *config,
		   const struct oci_origin *origin, struct image_manifest *ret,
		   struct error *err);

/*
 * What to ask a registry for to get the image that IM is one of now: its tag,
 * or its digest if it has none.  False if IM was not made by oci_image_make()
 * of a registry's.  RET must be DOCKER_REF_INIT; release it in any case.
 */
bool oci_image_ref(const struct image_manifest *im, struct docker_ref *ret);

/* --- the other way -------------------------------------------------------- */

/*
 * IM's app as a configuration without layers, with a label that has what OCI
 * cannot say.  -ENOTSUP: it is for machines OCI has no name for.
 */
int oci_config_make(const struct image_manifest *im, struct oci_config *ret,
		    struct error *err);
/* What CONFIG was made of, if its label says so and nobody has changed it
 * since: RET without dependencies. */
bool oci_config_original(const struct oci_config *config,
			 struct image_manifest *ret);
void oci_config_write(const struct oci_config *config, struct strbuf *out);
/* Of layers that are compressed with gzip. */
void oci_manifest_write(const struct oci_manifest *m, struct strbuf *out);

/* --- how a registry wants to be asked ------------------------------------- */

struct oci_challenge {
	bool is_bearer; /* else basic */
	char *realm, *service, *scope;
};

/*
 * TEXT is the value of WWW-Authenticate (RFC 7235; distribution's token
 * specification).  -ENOTSUP neither of the two; -EINVAL.
 */
int oci_challenge_parse(const char *text, struct oci_challenge *ret,
			struct error *err);
void oci_challenge_release(struct oci_challenge *c);
#define cleanup_oci_challenge                                                  \
	__attribute__((__cleanup__(oci_challenge_release)))

/* What a registry says of a request it refuses, as one line: "CODE: message;
 * ...".  -EINVAL if it says nothing. */
int oci_refusal_parse(const char *buf, size_t len, char **ret,
		      struct error *err);

/* The token of a token server's answer. */
int oci_token_parse(const char *buf, size_t len, char **ret, struct error *err);

#endif
