/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_METADATA_H
#define STAGE1_METADATA_H

/*
 * The pod at the host's metadata service (spec/metadata.h), with
 * --mds-register.  POD_METADATA_FILE has its URL for as long as it is
 * registered, so that whatever is left is undone by gc.
 */

#include "spec/stage1_abi.h"

struct error;
struct pod;

/*
 * Registers the pod under a new token and sets what its apps find in
 * AC_METADATA_URL; nothing without --mds-register.  Tries for three seconds.
 * The pod's network is up.
 */
int metadata_register(struct pod *pod, struct error *err);

/* After an update: manifests as they are now.  A service that is not there, or
 * slow, is not waited for; it is told no more, and says what it knew. */
void metadata_update(struct pod *pod);

/* Forgets the pod UUID, whose directory is DIRFD; without a service there is
 * nothing to forget. */
void metadata_unregister(int dirfd, const char *uuid);

/* malloc'ed URL of the pod at DIRFD; NULL if it is not registered. */
char *metadata_url(int dirfd);

/*
 * URL of a service that listens on PORT of HOST (an address; IPv6 too), for who
 * has TOKEN: malloc'ed.  Pure.
 */
char *metadata_url_make(const char *host, unsigned int port, const char *token);

/* Status of the answer that begins with TEXT, -EINVAL if it is none; *ret_body
 * is behind its headers, or its end.  Pure. */
int metadata_answer_parse(const char *text, const char **ret_body);

#endif
