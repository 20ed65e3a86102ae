/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_REGISTRY_H
#define ACI_REGISTRY_H

/*
 * One repository of a registry (distribution specification 1.1, "Pull" and
 * "Push"): asks for manifests and blobs, puts them there, and gets itself the
 * token the registry wants (distribution's token specification), with the
 * credentials dockerAuth has for it.  Those go over https only, and so does the
 * token.
 */

#include <stdbool.h>
#include <stdint.h>

#include "spec/docker_ref.h"

struct config;
struct error;
struct http_progress;
struct http_request;
struct http_response;
struct strbuf;

struct registry {
	const char *libexec_dir;
	const struct config *config; /* may be NULL */
	const struct docker_ref *ref;
	unsigned int http_flags; /* of what is https */
	bool plain_ok;		 /* http, where https does not answer */
	bool is_plain;		 /* found to be so */
	char *token;		 /* NULL = none yet */
	bool send_password;	 /* the registry asked for it */
	bool for_push;		 /* tokens are asked for that, too */
	/* Told of what is sent, and of what is tried again; may be NULL. */
	int (*on_progress)(void *arg, const struct http_progress *progress,
			   struct error *err);
	void *progress_arg;
};

void registry_release(struct registry *registry);
#define cleanup_registry __attribute__((__cleanup__(registry_release)))

/*
 * The manifest called REFERENCE (tag or digest), at most MAX bytes, into the
 * empty file FD.  The first thing to be asked for.  -ENOENT, -EACCES.
 */
int registry_get_manifest(struct registry *registry, const char *reference,
			  int fd, uint64_t max, struct error *err);
/*
 * The digest that the registry says REFERENCE has now, without its manifest;
 * nothing is appended if it does not say.  May be the first thing to be asked
 * for.
 */
int registry_get_digest(struct registry *registry, const char *reference,
			struct strbuf *ret, struct error *err);
/* The blob DIGEST, unchecked, to where REQ says, which lacks only who is asked
 * and the credentials. */
int registry_get_blob(struct registry *registry, const char *digest,
		      const struct http_request *req, struct error *err);

/* --- push ----------------------------------------------------------------- */

/* Finds out how the registry is asked; the first thing to be done. */
int registry_begin_push(struct registry *registry, const char *reference,
			struct error *err);
/* 1 the blob DIGEST is there, 0 it is not. */
int registry_has_blob(struct registry *registry, const char *digest,
		      struct error *err);
/* Has the registry take the blob from another repository: 1, or 0 if it does
 * not. */
int registry_mount_blob(struct registry *registry, const char *digest,
			const char *from, struct error *err);
/*
 * Sends the file FD, which has the digest DIGEST.  What breaks off is gone on
 * with where the registry says.  -EBADMSG: it has stored something else.
 */
int registry_put_blob(struct registry *registry, const char *digest, int fd,
		      struct error *err);
/* Calls the manifest FD, which has the digest DIGEST, REFERENCE. */
int registry_put_manifest(struct registry *registry, const char *reference,
			  const char *type, const char *digest, int fd,
			  struct error *err);

/* --- for registry_push.c -------------------------------------------------- */

/* Any request to the registry itself, with credentials once it asks for them;
 * a whole answer of any status is success. */
int registry_ask(struct registry *registry, struct http_request *req,
		 struct http_response *ret, struct error *err);
/* What an answer's status means; RESPONSE's text is made shorter. */
int registry_check(const struct registry *registry, const char *url,
		   struct http_response *response, struct error *err);
/* S as a value of a query. */
void registry_add_escaped(struct strbuf *sb, const char *s);
/* https://REGISTRY/v2/REPOSITORY/KIND/WHAT */
void registry_url(const struct registry *registry, const char *kind,
		  const char *what, struct strbuf *sb);

#endif
