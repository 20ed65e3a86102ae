/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_DOCKER_ARCHIVE_H
#define SPEC_DOCKER_ARCHIVE_H

/*
 * manifest.json of the archives that `docker save` and `podman save` write
 * (docker's image specification 1.2, "Combined Image JSON + Filesystem
 * Changeset Format"): which images there are, and which files each is made of.
 */

#include <stddef.h>

#include "base/strv.h"

struct error;

#define DOCKER_ARCHIVE_LIST "manifest.json"

struct docker_archive {
	char *tag;	    /* NAME:TAG as it is written there; NULL = none */
	char *config;	    /* a file of the archive, any text */
	struct strv layers; /* such files, lowest first */
};

#define DOCKER_ARCHIVE_INIT                                                    \
	{                                                                      \
		0                                                              \
	}

void docker_archive_release(struct docker_archive *archive);
#define cleanup_docker_archive                                                 \
	__attribute__((__cleanup__(docker_archive_release)))

/*
 * The image that WANT names: NAME[:TAG], or "@N", the first being "@0"; NULL
 * if it is the only one.  -EINVAL malformed, -ENOENT there is no such image,
 * or there are several; the message has their names.
 */
int docker_archive_parse(const char *buf, size_t len, const char *want,
			 struct docker_archive *ret, struct error *err);

#endif
