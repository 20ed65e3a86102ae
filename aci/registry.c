/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/fetch_oci.h"
#include "aci/http.h"
#include "aci/http_auth.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/config.h"

#define TOKEN_ANSWER_MAX (1UL << 20)

enum challenge { SCHEME, REALM, SERVICE, SCOPE };

void registry_release(struct registry *registry)
{
	free(registry->token);
	registry->token = NULL;
}

/* --- who we are ---------------------------------------------------------- */

/* dockerAuth for the registry; docker's own goes by several names. */
static const struct config_auth *find_password(const struct registry *g)
{
	static const char *const hub[] = {DOCKER_REGISTRY, "index.docker.io",
					  "docker.io"};
	const struct config_auth *auth = NULL;

	if (!g->config)
		return NULL;
	if (strcmp(g->ref->registry, DOCKER_REGISTRY) != 0)
		return config_auth_for_registry(g->config, g->ref->registry);
	for (size_t i = 0; !auth && i < sizeof(hub) / sizeof(*hub); i++)
		auth = config_auth_for_registry(g->config, hub[i]);
	return auth;
}

static bool is_https(const char *url)
{
	return strncasecmp(url, "https://", strlen("https://")) == 0;
}

void registry_add_escaped(struct strbuf *sb, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~:/,";

	for (; *s; s++) {
		if (strchr(plain, *s))
			strbuf_addch(sb, *s);
		else
			strbuf_addf(sb, "%%%02X", (unsigned char)*s);
	}
}

static void token_url(const struct registry *g, char *const *challenge,
		      struct strbuf *url)
{
	strbuf_addstr(url, challenge[REALM]);
	strbuf_addch(url, strchr(url->buf, '?') ? '&' : '?');
	if (*challenge[SERVICE]) {
		strbuf_addstr(url, "service=");
		registry_add_escaped(url, challenge[SERVICE]);
		strbuf_addch(url, '&');
	}
	/* No more than what we need, whatever is asked for. */
	strbuf_addstr(url, "scope=repository:");
	registry_add_escaped(url, g->ref->repository);
	strbuf_addstr(url, g->for_push ? ":pull,push" : ":pull");
}

static int ask_for_token(struct registry *g, char *const *challenge,
			 struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strbuf struct strbuf url = STRBUF_INIT;
	cleanup_fd int fd = memfd_create("token", MFD_CLOEXEC);
	struct http_request req = HTTP_REQUEST_INIT;
	int r;

	if (fd < 0)
		return error_sys(err, errno, "make a memory file");
	if (!is_https(challenge[REALM]) && !g->plain_ok)
		return error_set(err, EPERM,
				 "the registry's token server %s is none of "
				 "https",
				 challenge[REALM]);
	token_url(g, challenge, &url);
	log_debug("asking for a token: %s", url.buf);
	req.url = url.buf;
	req.auth = find_password(g);
	req.flags =
		g->http_flags | HTTP_SMALL | (g->plain_ok ? HTTP_PLAIN_OK : 0);
	req.max_body = TOKEN_ANSWER_MAX;
	req.body_fd = fd;
	r = http_do(g->libexec_dir, &req, &response, err);
	if (r == 0)
		r = http_response_check(&response, url.buf, err);
	if (r < 0)
		return error_wrap(err, r, "get a token for %s",
				  g->ref->registry);
	free(g->token);
	g->token = NULL;
	return fetch_oci_token(g->libexec_dir, fd, &g->token, err);
}

static int no_password(const struct registry *g, struct error *err)
{
	return error_set(err, EACCES,
			 "%s asks for a user and a password: put them into a "
			 "file of kind dockerAuth below auth.d",
			 g->ref->registry);
}

/* A challenge says who gets the password: whom a redirection leads to must
 * not give one, nor who lies on the way to what is not encrypted. */
static int check_challenger(const char *asked, const char *answered,
			    struct error *err)
{
	cleanup_strbuf struct strbuf from = STRBUF_INIT;
	cleanup_strbuf struct strbuf to = STRBUF_INIT;

	http_url_host(asked, &from);
	http_url_host(answered, &to);
	if (strcmp(from.buf, to.buf) == 0 &&
	    (is_https(answered) || !is_https(asked)))
		return 0;
	return error_set(err, EACCES,
			 "%s redirects to %s, which refuses access (401): it "
			 "is not told the credentials of %s",
			 asked, answered, from.buf);
}

/* After a 401 to URL: 0 if it is worth another try. */
static int log_in(struct registry *g, const char *url,
		  const struct http_response *response, struct error *err)
{
	cleanup_strv struct strv challenge = STRV_INIT;
	const char *header = http_response_header(response, "www-authenticate");
	int r = check_challenger(url, response->url, err);

	if (r < 0)
		return r;
	if (!header)
		return error_set(err, EACCES,
				 "%s refuses access (401) without saying what "
				 "it wants",
				 g->ref->registry);
	r = fetch_oci_challenge(g->libexec_dir, header, &challenge, err);
	if (r < 0)
		return r;
	if (strcmp(challenge.v[SCHEME], "bearer") == 0)
		return ask_for_token(g, challenge.v, err);
	if (!find_password(g))
		return no_password(g, err);
	g->send_password = true;
	return 0;
}

/* --- requests ------------------------------------------------------------ */

void registry_url(const struct registry *g, const char *kind, const char *what,
		  struct strbuf *sb)
{
	strbuf_reset(sb);
	strbuf_addf(sb, "%s://%s/v2/%s/%s/%s", g->is_plain ? "http" : "https",
		    g->ref->registry, g->ref->repository, kind, what);
}

static int ask_once(const struct registry *g, const struct http_request *req,
		    struct http_response *ret, struct error *err)
{
	const struct config_auth bearer = {
		.host = g->ref->registry,
		.type = CONFIG_AUTH_OAUTH,
		.secret = g->token,
	};
	struct http_request with = *req;

	with.auth = NULL;
	if (g->token)
		with.auth = &bearer;
	else if (g->send_password)
		with.auth = find_password(g);
	http_response_release(ret);
	*ret = (struct http_response){0};
	return http_do(g->libexec_dir, &with, ret, err);
}

int registry_ask(struct registry *g, struct http_request *req,
		 struct http_response *ret, struct error *err)
{
	bool had_token = g->token || g->send_password;
	int r = ask_once(g, req, ret, err);

	if (r < 0 || ret->status != 401)
		return r;
	/* A password that is refused will be again, a token may be old. */
	if (had_token && !g->token)
		return 0;
	r = log_in(g, req->url, ret, err);
	return r < 0 ? r : ask_once(g, req, ret, err);
}

int registry_check(const struct registry *g, const char *url,
		   struct http_response *response, struct error *err)
{
	cleanup_free char *line = NULL;

	bool says_why = response->text && *response->text;

	if ((response->status == 401 ||
	     (response->status == 403 && !says_why)) &&
	    !find_password(g))
		return no_password(g, err);
	/* Registries say what is wrong in JSON; what does not is shown as it
	 * is. */
	if (response->text && response->text[0] == '{' &&
	    fetch_oci_refusal(g->libexec_dir, response->text, &line, NULL) ==
		    0) {
		free(response->text);
		response->text = TAKE_PTR(line);
	}
	return http_response_check(response, url, err);
}

/* Any status is success: it is in RET. */
static int ask(struct registry *g, const char *kind, const char *what,
	       struct http_request *req, struct http_response *ret,
	       struct strbuf *url, struct error *err)
{
	registry_url(g, kind, what, url);
	req->url = url->buf;
	req->flags |= g->http_flags | (g->plain_ok ? HTTP_PLAIN_OK : 0);
	if (!req->on_progress) {
		req->on_progress = g->on_progress;
		req->progress_arg = g->progress_arg;
	}
	return registry_ask(g, req, ret, err);
}

/* Nobody is there, or who is speaks no TLS.  Whatever was said over TLS is an
 * answer, and so is a connection that breaks off: who could break it would have
 * the password sent in the clear. */
static bool is_no_https(int r)
{
	return r == -ECONNREFUSED || r == -EPROTONOSUPPORT;
}

/* The first to be asked for finds out how the registry is asked. */
static int ask_manifest(struct registry *g, const char *reference,
			struct http_request *req, struct http_response *ret,
			struct strbuf *url, struct error *err)
{
	cleanup_strv struct strv headers = STRV_INIT;
	struct error why = ERROR_INIT;
	int r;

	strv_push(&headers,
		  "Accept: application/vnd.oci.image.index.v1+json, "
		  "application/vnd.oci.image.manifest.v1+json, "
		  "application/vnd.docker.distribution.manifest.list.v2+json, "
		  "application/vnd.docker.distribution.manifest.v2+json");
	req->headers = &headers;
	req->flags = HTTP_SMALL;
	if (g->plain_ok && !g->is_plain)
		req->retries = 0;
	r = ask(g, "manifests", reference, req, ret, url, &why);
	if (g->plain_ok && !g->is_plain && is_no_https(r)) {
		log_debug("%s: %s; trying http", g->ref->registry, why.msg);
		g->is_plain = true;
		req->retries = HTTP_RETRIES;
		r = ask(g, "manifests", reference, req, ret, url, err);
	} else if (r < 0 && err) {
		*err = why;
	}
	req->headers = NULL;
	return r;
}

int registry_get_manifest(struct registry *g, const char *reference, int fd,
			  uint64_t max, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strbuf struct strbuf url = STRBUF_INIT;
	struct http_request req = HTTP_REQUEST_INIT;
	int r;

	req.max_body = max;
	req.body_fd = fd;
	r = ask_manifest(g, reference, &req, &response, &url, err);
	return r < 0 ? r : registry_check(g, url.buf, &response, err);
}

int registry_get_digest(struct registry *g, const char *reference,
			struct strbuf *ret, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strbuf struct strbuf url = STRBUF_INIT;
	struct http_request req = HTTP_REQUEST_INIT;
	const char *digest;
	int r;

	req.method = "HEAD";
	r = ask_manifest(g, reference, &req, &response, &url, err);
	if (r < 0)
		return r;
	digest = http_response_header(&response, "docker-content-digest");
	if (response.status / 100 == 2 && digest)
		strbuf_addstr(ret, digest);
	return 0;
}

int registry_get_blob(struct registry *g, const char *digest,
		      const struct http_request *req, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strbuf struct strbuf url = STRBUF_INIT;
	struct http_request with = *req;
	int r = ask(g, "blobs", digest, &with, &response, &url, err);

	return r < 0 ? r : registry_check(g, url.buf, &response, err);
}
