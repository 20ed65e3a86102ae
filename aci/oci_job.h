/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_JOB_H
#define ACI_OCI_JOB_H

/*
 * What registries and layouts say, made into lists of strings (http_wire.h)
 * and images.  Parses hostile bytes: only inside the sandbox.
 *
 *	step		arguments			answer
 *	CHALLENGE	-				"bearer"|"basic", realm,
 *							service, scope
 *	TOKEN		-				token
 *	MANIFEST	digest|"", tag|"", os, arch,	digest, "index"|
 *			variant				"manifest", then digest
 *							and size of each blob
 *	CONFIG		digest				diff_id...
 *	ARCHIVED	"", image|""			tag|"", digest|"" and
 *							file of the
 *configuration, then file of each layer DIGEST		algorithm
 *digest REFUSAL		-				one line IMAGE
 *digest, name, registry,		(an App Container Image) repository,
 *tag, manifest digest, then name, image ID and size of each layer
 *
 * The manifest, for IMAGE, comes in a file of its own, and is kept with the
 * configuration if they are not too long.  A digest as the first argument is
 * what the input must have.
 */

#include <stddef.h>

struct error;
struct strv;

enum oci_step {
	OCI_CHALLENGE,
	OCI_TOKEN,
	OCI_MANIFEST,
	OCI_CONFIG,
	OCI_DIGEST,
	OCI_REFUSAL,
	OCI_IMAGE,
	OCI_ARCHIVED,
};

enum {
	OCI_ARG_DIGEST,
	OCI_ARG_TAG,
	OCI_ARG_OS,
	OCI_ARG_ARCH,
	OCI_ARG_VARIANT,
	OCI_MANIFEST_ARGS
};

enum {
	OCI_ARG_NAME = 1,
	OCI_ARG_REGISTRY,
	OCI_ARG_REPOSITORY,
	OCI_ARG_IMAGE_TAG,
	OCI_ARG_MANIFEST,
	OCI_IMAGE_ARGS
};

enum { OCI_ARCHIVED_TAG, OCI_ARCHIVED_DIGEST, OCI_ARCHIVED_FILES };

/* Longest input. */
#define OCI_TEXT_MAX (4UL << 20)

/* A manifest and a configuration longer than this are not kept. */
#define OCI_KEPT_MAX (256UL << 10)

/* MANIFEST_FD negative: none.  -EBADMSG: IN_FD has not the digest. */
int oci_job_run(enum oci_step step, int in_fd, const struct strv *args,
		int manifest_fd, int out_fd, size_t *ret_len,
		struct error *err);

#endif
