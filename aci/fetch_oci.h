/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_FETCH_OCI_H
#define ACI_FETCH_OCI_H

/* The trusted side of oci_job.h: each call is one run of rkt-fetch, and what
 * it answers is checked before anybody sees it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/oci_digest.h"

struct error;
struct oci_want;

struct oci_blob {
	char digest[OCI_DIGEST_MAX];
	uint64_t size; /* bytes */
};

/* A manifest, or what to go on with if it is an index. */
struct oci_plan {
	char digest[OCI_DIGEST_MAX]; /* of the manifest itself */
	bool is_index;
	bool is_docker;		/* not in OCI's terms, but in docker's */
	struct oci_blob config; /* an index: the manifest that was chosen */
	struct oci_blob *layers;
	size_t n_layers;
};

#define OCI_PLAN_INIT                                                          \
	{                                                                      \
		0                                                              \
	}

void oci_plan_release(struct oci_plan *plan);
#define cleanup_oci_plan __attribute__((__cleanup__(oci_plan_release)))

/* DIGEST: what the file must have, or NULL.  Errors as oci_manifest_parse()
 * has them; -EBADMSG another digest. */
int fetch_oci_manifest(const char *libexec_dir, int fd, const char *digest,
		       const struct oci_want *want, struct oci_plan *ret,
		       struct error *err);

/* Appends the digests of the uncompressed layers. */
int fetch_oci_config(const char *libexec_dir, int fd, const char *digest,
		     struct strv *ret, struct error *err);

/*
 * The image that WANT (docker_archive_parse(); may be NULL) names in the list
 * FD of a docker archive.  Appends, as OCI_ARCHIVED has it, its tag or "", the
 * digest its configuration must have or "", and the names of that and of its
 * layers in the archive: any text.
 */
int fetch_oci_archived(const char *libexec_dir, int fd, const char *want,
		       struct strv *ret, struct error *err);

/* ARGS: those of the step IMAGE.  Writes an App Container Image to OUT_FD, an
 * empty file. */
int fetch_oci_image(const char *libexec_dir, int config_fd, int manifest_fd,
		    const struct strv *args, int out_fd, struct error *err);

/* TEXT in a memory file, which is returned, and its digest: of the algorithm
 * that the digest LIKE is of, SHA-256 if that is NULL. */
int fetch_oci_text(const char *libexec_dir, const char *text, size_t len,
		   const char *like, char ret[OCI_DIGEST_MAX],
		   struct error *err);
/* oci_refusal_parse(); malloc'ed, any text. */
int fetch_oci_refusal(const char *libexec_dir, const char *text, char **ret,
		      struct error *err);
/*
 * Unpacks the archive FD into TAR_FD (an empty file) and appends name, offset
 * and size of each regular file in it, by threes: numbers within the tar, names
 * as they are.
 */
int fetch_oci_archive(const char *libexec_dir, int fd, int tar_fd,
		      struct strv *ret, struct error *err);

/* Four strings: "bearer" or "basic", realm, service, scope; printable. */
int fetch_oci_challenge(const char *libexec_dir, const char *header,
			struct strv *ret, struct error *err);
/* A token fit for an HTTP header; malloc'ed. */
int fetch_oci_token(const char *libexec_dir, int fd, char **ret,
		    struct error *err);

#endif
