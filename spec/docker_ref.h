/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_DOCKER_REF_H
#define SPEC_DOCKER_REF_H

/*
 * References to images of registries, of OCI image layouts and of the archives
 * that docker makes:
 *
 *	docker:[//][HOST[:PORT]/]NAME[:TAG|@DIGEST][,os=OS][,arch=ARCH]
 *	oci:DIR[:TAG][,os=OS][,arch=ARCH]
 *	oci-archive:FILE[:TAG][,os=OS][,arch=ARCH]
 *	docker-archive:FILE[:NAME[:TAG]|:@N]
 *
 * Grammar of the distribution project (reference/reference.go).  Without a
 * host the registry is registry-1.docker.io, where a name of one part lies
 * below "library/"; the default tag is "latest".  The labels, in appc's
 * terms, choose among the platforms of a multi-platform image.  DIGEST is one
 * of oci_digest.h.
 */

#include "spec/name_value.h"

struct error;
struct strbuf;

#define DOCKER_REGISTRY "registry-1.docker.io"

struct docker_ref {
	char *registry;	  /* HOST[:PORT] */
	char *repository; /* "library/nginx" */
	char *tag;	  /* NULL if there is a digest */
	char *digest;	  /* NULL = by tag */
	struct name_values labels;
};

#define DOCKER_REF_INIT                                                        \
	{                                                                      \
		0                                                              \
	}

void docker_ref_release(struct docker_ref *ref);
#define cleanup_docker_ref __attribute__((__cleanup__(docker_ref_release)))

int docker_ref_parse(const char *s, struct docker_ref *ret, struct error *err);
/* docker://REGISTRY/REPOSITORY:TAG,LABEL=VALUE: one text for one image. */
void docker_ref_format(const struct docker_ref *ref, struct strbuf *out);

struct oci_layout_ref {
	char *dir; /* or a tar of one */
	char *tag; /* NULL = the only one */
	struct name_values labels;
};

#define OCI_LAYOUT_REF_INIT                                                    \
	{                                                                      \
		0                                                              \
	}

void oci_layout_ref_release(struct oci_layout_ref *ref);
#define cleanup_oci_layout_ref                                                 \
	__attribute__((__cleanup__(oci_layout_ref_release)))

int oci_layout_ref_parse(const char *s, struct oci_layout_ref *ret,
			 struct error *err);

struct docker_archive_ref {
	char *file;  /* without colons */
	char *image; /* as docker_archive_parse() wants it; may be NULL */
};

#define DOCKER_ARCHIVE_REF_INIT                                                \
	{                                                                      \
		0                                                              \
	}

void docker_archive_ref_release(struct docker_archive_ref *ref);
#define cleanup_docker_archive_ref                                             \
	__attribute__((__cleanup__(docker_archive_ref_release)))

int docker_archive_ref_parse(const char *s, struct docker_archive_ref *ret,
			     struct error *err);

#endif
