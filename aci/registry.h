/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_REGISTRY_H
#define ACI_REGISTRY_H

/*
 * One repository of a registry (distribution specification 1.1, "Pull"):
 * asks for manifests and blobs, and gets itself the token the registry wants
 * (distribution's token specification), with the credentials dockerAuth has
 * for it.  Those go over https only, and so does the token.
 */

#include <stdbool.h>
#include <stdint.h>

#include "spec/docker_ref.h"

struct config;
struct error;
struct http_request;
struct http_response;

struct registry {
	const char *libexec_dir;
	const struct config *config; /* may be NULL */
	const struct docker_ref *ref;
	unsigned int http_flags; /* of what is https */
	bool plain_ok;		 /* http, where https does not answer */
	bool is_plain;		 /* found to be so */
	char *token;		 /* NULL = none yet */
	bool send_password;	 /* the registry asked for it */
};

void registry_release(struct registry *registry);
#define cleanup_registry __attribute__((__cleanup__(registry_release)))

/*
 * The manifest called REFERENCE (tag or digest), at most MAX bytes, into the
 * empty file FD.  The first thing to be asked for.  -ENOENT, -EACCES.
 */
int registry_get_manifest(struct registry *registry, const char *reference,
			  int fd, uint64_t max, struct error *err);
/* The blob DIGEST, unchecked, to where REQ says, which lacks only who is asked
 * and the credentials. */
int registry_get_blob(struct registry *registry, const char *digest,
		      const struct http_request *req, struct error *err);

#endif
