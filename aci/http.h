/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_HTTP_H
#define ACI_HTTP_H

/*
 * HTTP for who has no network of its own: each request is one run of
 * LIBEXEC_DIR/rkt-http, a process without rights that gets descriptors and
 * writes what it receives into them.  It follows at most HTTP_REDIRECTS_MAX
 * redirects, never to anything but https (or http, if the request allows
 * that), retries what may be passing, and gives up on servers that stall.
 * Nothing that is received is interpreted here: a page, a signature or an
 * image goes to rkt-fetch.
 *
 * The environment counts as for curl: http_proxy, https_proxy, all_proxy and
 * no_proxy; CURL_CA_BUNDLE or else SSL_CERT_FILE names the file of trusted
 * certificate authorities; RKT_HTTP_TIMEOUT says for how many seconds a
 * connection may bring less than 512 bytes a second (60), any other value of it
 * than a number is an error.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct config_auth;
struct error;
struct http_job;

#define HTTP_REDIRECTS_MAX 10
#define HTTP_RETRIES 4

enum http_flags {
	HTTP_PLAIN_OK = 1 << 0, /* http:// and redirects to it */
	HTTP_TLS_UNCHECKED = 1 << 1,
	/* All of it within two minutes: for pages, keys, signatures. */
	HTTP_SMALL = 1 << 2,
	/* The body file may hold the beginning of the body already, and
	 * partial_fd what tells whether it still is one. */
	HTTP_RESUME = 1 << 3,
	/* The URL names its content, which therefore never changes: gone on
	 * with whatever version the server says it has. */
	HTTP_IMMUTABLE = 1 << 4,
	/* The credentials were given with the URL, whatever its scheme is;
	 * others go over https only. */
	HTTP_AUTH_IN_CLEAR = 1 << 5,
};

struct http_progress;

/* Strings and descriptors are borrowed until the request is started. */
struct http_request {
	const char *url;
	const char *method;	    /* NULL: GET, or PUT with an upload */
	const struct strv *headers; /* "Name: value"; may be NULL */
	/* For the host of the URL, not for those it redirects to; may be
	 * NULL. */
	const struct config_auth *auth;
	unsigned int flags; /* enum http_flags */
	unsigned int retries;
	uint64_t max_body; /* bytes; a longer body is -EFBIG */
	/* A regular file for the body of a 2xx answer, written from its
	 * start.  Negative: the body is dropped. */
	int body_fd;
	int partial_fd; /* HTTP_RESUME: a regular file of rkt-http's own */
	/* Rung (http_bell.h) when there is more in the body file, by a
	 * pipe's write end; negative: nobody reads along. */
	int bell_fd;
	int upload_fd;	      /* a regular file to send; negative: none */
	uint64_t upload_from; /* bytes of it that are left out */
	/* Of http_do(): called while the body comes, a negative answer ends
	 * the request with it.  May be NULL. */
	int (*on_progress)(void *arg, const struct http_progress *progress,
			   struct error *err);
	void *progress_arg;
};

#define HTTP_REQUEST_INIT                                                      \
	{                                                                      \
		.retries = HTTP_RETRIES, .body_fd = -1, .partial_fd = -1,      \
		.bell_fd = -1, .upload_fd = -1                                 \
	}

struct http_response {
	int status;	     /* of the last answer: 200, 304, 404, ... */
	uint64_t body_size;  /* bytes in the body file */
	char *url;	     /* of the last answer, after redirects */
	struct strv headers; /* of the last answer: "name: value", names in
			      * lower case, printable */
	char *text; /* what the body of a refusal begins with, unless a GET
		     * was refused; any text */
};

void http_response_release(struct http_response *response);
#define cleanup_http_response                                                  \
	__attribute__((__cleanup__(http_response_release)))

/* The value of the header NAME (lower case), NULL if there is none; of
 * several the first. */
const char *http_response_header(const struct http_response *response,
				 const char *name);

/* 0 for a 2xx answer; otherwise an error that names URL and status: -ENOENT
 * 404 and 410, -EACCES 401 and 403, -EIO others. */
int http_response_check(const struct http_response *response, const char *url,
			struct error *err);

/*
 * Does it.  A whole answer of any status is success; -ECONNREFUSED and the
 * like if there was none, -EFBIG the body is too long, -EPROTONOSUPPORT what
 * answers https is no TLS, -EPROTO what was received is no HTTP, ends early or
 * is not what was announced, -EPERM a redirect to where it may not lead.
 */
int http_do(const char *libexec_dir, const struct http_request *request,
	    struct http_response *ret, struct error *err);

/* --- the same in steps, for who has other things to do meanwhile ---------- */

struct http_progress {
	int status;	  /* 2xx once the body has begun, 0 before */
	uint64_t done;	  /* bytes in the body file, or sent */
	uint64_t total;	  /* 0 = unknown */
	uint64_t resumed; /* bytes that were there before */
	char note[256];	  /* why it is tried again; empty otherwise */
};

int http_start(const char *libexec_dir, const struct http_request *request,
	       struct http_job **ret, struct error *err);
/* Borrowed; readable when there is something for http_job_step(). */
int http_job_fd(const struct http_job *job);
/* 1: RET was filled in; 0: ended, http_job_finish() has the result. */
int http_job_step(struct http_job *job, struct http_progress *ret,
		  struct error *err);
/* Waits for the end, if that has not come. */
int http_job_finish(struct http_job *job, struct http_response *ret,
		    struct error *err);
/* Kills what still runs. */
void http_job_free(struct http_job *job);

#endif
