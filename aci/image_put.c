/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_put.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/http.h"
#include "aci/image_fetcher.h"
#include "aci/keystore.h"
#include "aci/url_login.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define ANSWER_MAX (1UL << 20) /* bytes, which nobody reads */

/* --- the signature ------------------------------------------------------- */

static int verify(struct image_fetcher *f, int fd, int sig_fd,
		  const struct trusted_keys *keys, struct error *err)
{
	cleanup_fetch_verifying struct fetch_verifying job =
		FETCH_VERIFYING_INIT;
	cleanup_free int *fds = xcalloc(keys->n + 1, sizeof(*fds));
	struct fetch_signer signer;
	int r = fetch_verify_start(f->libexec_dir, fd, sig_fd, &job, err);

	for (size_t i = 0; i < keys->n; i++)
		fds[i] = keys->v[i].fd;
	return r < 0 ? r
		     : fetch_verify_finish(&job, NULL, fds, keys->n, &signer,
					   err);
}

/*
 * Against the keys that are trusted here.  That none is, or another signed,
 * does not forbid a push: who publishes need not trust himself.
 */
static int check_signature(struct image_fetcher *f, const struct image_put *put,
			   int sig_fd, struct error *err)
{
	cleanup_trusted_keys struct trusted_keys keys = TRUSTED_KEYS_INIT;
	struct error why = ERROR_INIT;
	int r = keystore_find(f->keystore, put->name, &keys, err);

	if (r < 0)
		return r;
	r = keys.n ? verify(f, put->fd, sig_fd, &keys, &why) : -ENOKEY;
	if (r == -ENOKEY) {
		image_notice(f,
			     "the signature is sent unchecked: no key of who "
			     "signed is trusted for %s here",
			     put->name);
		return 0;
	}
	if (r < 0 && err)
		*err = why;
	return r < 0 ? error_prefix(err, r, "signature %s", put->signature) : 0;
}

static int open_signature(struct image_fetcher *f, const struct image_put *put,
			  struct error *err)
{
	cleanup_fd int fd = -EBADF;
	struct stat st;
	int r;

	fd = open(put->signature, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open signature %s",
				 put->signature);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL,
				 "open signature %s: it is not a regular file",
				 put->signature);
	r = f->insecure ? 0 : check_signature(f, put, fd, err);
	return r < 0 ? r : TAKE_FD(fd);
}

/* --- one file ------------------------------------------------------------ */

struct sending {
	struct image_fetcher *f;
	const char *what; /* "ACI" or "signature" */
	const char *url, *type;
	const struct url_login *login;
	int fd;
	uint64_t size;
};

static struct http_request request_make(const struct sending *s,
					const char *method)
{
	struct http_request req = HTTP_REQUEST_INIT;

	req.method = method;
	req.url = s->url;
	req.flags = s->f->http_flags;
	req.max_body = ANSWER_MAX;
	/* Who gives an http:// URL knows it. */
	if (strncasecmp(s->url, "http:", 5) == 0)
		req.flags |= HTTP_PLAIN_OK;
	url_login_apply(s->login, s->f->config, &req);
	return req;
}

static void show(const struct sending *s, const struct http_progress *seen,
		 bool ended)
{
	const struct image_progress progress = {
		.what = s->what,
		.url = s->url,
		.done = ended ? s->size : seen->done,
		.total = s->size,
		.ended = ended,
		.is_upload = true,
	};

	if (seen->note[0])
		image_notice(s->f, "%s; sending it again", seen->note);
	else if (s->f->progress)
		s->f->progress(s->f->progress_arg, &progress);
}

static int on_progress(void *arg, const struct http_progress *seen,
		       struct error *err)
{
	(void)err;
	show(arg, seen, false);
	return 0;
}

static int put_file(struct sending *s, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strv struct strv headers = STRV_INIT;
	struct http_request req = request_make(s, NULL);
	static const struct http_progress all = {0};
	int r;

	strv_pushf(&headers, "Content-Type: %s", s->type);
	req.headers = &headers;
	req.upload_fd = s->fd;
	req.on_progress = on_progress;
	req.progress_arg = s;
	r = http_do(s->f->libexec_dir, &req, &response, err);
	if (r < 0)
		return error_wrap(err, r, "the %s was not sent", s->what);
	r = http_response_check(&response, s->url, err);
	if (r < 0)
		return error_prefix(err, r, "PUT");
	show(s, &all, true);
	return 0;
}

/* A server that does not say is believed. */
static int check_there(const struct sending *s, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	struct http_request req = request_make(s, "HEAD");
	const char *length;
	uint64_t size;
	int r;

	req.flags |= HTTP_SMALL;
	r = http_do(s->f->libexec_dir, &req, &response, err);
	if (r < 0)
		return error_wrap(err, r, "ask for what was sent");
	if (response.status == 404 || response.status == 410)
		return error_set(err, EBADMSG,
				 "%s: the server took the %s, but has it not "
				 "(%d)",
				 s->url, s->what, response.status);
	length = http_response_header(&response, "content-length");
	if (response.status != 200 || !length ||
	    parse_uint(length, INT64_MAX, &size) < 0) {
		log_debug("%s: the server does not say what it has (%d)",
			  s->url, response.status);
		return 0;
	}
	if (size == s->size)
		return 0;
	return error_set(err, EBADMSG,
			 "%s: the server has %" PRIu64 " bytes, %" PRIu64
			 " were sent",
			 s->url, size, s->size);
}

static int send_one(struct sending *s, struct error *err)
{
	struct stat st;
	int r;

	if (fstat(s->fd, &st) < 0)
		return error_sys(err, errno, "look at what to send");
	s->size = (uint64_t)st.st_size;
	r = put_file(s, err);
	return r < 0 ? r : check_there(s, err);
}

int image_put(struct image_fetcher *f, const struct image_put *put,
	      struct error *err)
{
	cleanup_url_login struct url_login login = URL_LOGIN_INIT;
	cleanup_free char *sig_url = NULL;
	cleanup_fd int sig_fd = -EBADF;
	struct sending s = {
		.f = f,
		.what = "ACI",
		.login = &login,
		.type = "application/octet-stream",
		.fd = put->fd,
	};
	int r = image_load_config(f, err);

	url_login_make(put->url, &login);
	s.url = login.url;
	sig_url = xasprintf("%s.asc", s.url);
	if (r == 0 && put->signature) {
		sig_fd = open_signature(f, put, err);
		r = sig_fd < 0 ? sig_fd : 0;
	}
	if (r == 0)
		r = send_one(&s, err);
	if (r < 0 || sig_fd < 0)
		return r;
	s.what = "signature";
	s.url = sig_url;
	s.type = "application/pgp-signature";
	s.fd = sig_fd;
	return send_one(&s, err);
}
