/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aci/http.h"
#include "aci/http_auth.h"
#include "aci/http_headers.h"
#include "aci/registry.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/oci.h"
#include "spec/oci_digest.h"

#define PAUSE_MS 500 /* before the second attempt; then doubled */
#define MANIFEST_MAX (4UL << 20)
#define ANSWER_MAX (1UL << 20) /* bytes, which nobody reads */
#define STREAM "Content-Type: application/octet-stream"

/* --- requests ------------------------------------------------------------ */

static struct http_request request_make(const struct registry *g,
					const char *method, const char *url)
{
	struct http_request req = HTTP_REQUEST_INIT;

	req.method = method;
	req.url = url;
	req.flags = g->http_flags | (g->plain_ok ? HTTP_PLAIN_OK : 0);
	req.max_body = ANSWER_MAX;
	return req;
}

int registry_begin_push(struct registry *g, const char *reference,
			struct error *err)
{
	cleanup_fd int fd = memfd_create("manifest", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return error_sys(err, errno, "make a memory file");
	g->for_push = true;
	r = registry_get_manifest(g, reference, fd, MANIFEST_MAX, err);
	return r == -ENOENT ? 0 : r;
}

int registry_has_blob(struct registry *g, const char *digest, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strbuf struct strbuf url = STRBUF_INIT;
	struct http_request req;
	int r;

	registry_url(g, "blobs", digest, &url);
	req = request_make(g, "HEAD", url.buf);
	req.flags |= HTTP_SMALL;
	r = registry_ask(g, &req, &response, err);
	if (r == 0 && response.status == 404)
		return 0;
	if (r == 0)
		r = registry_check(g, url.buf, &response, err);
	return r < 0 ? r : 1;
}

/* The answer that says it stored something must not say something else. */
static int check_stored(const struct registry *g, const char *url,
			const char *digest, struct http_response *response,
			struct error *err)
{
	const char *said =
		http_response_header(response, "docker-content-digest");
	int r = registry_check(g, url, response, err);

	if (r < 0)
		return r;
	if (response->status != 201 && response->status != 204)
		return error_set(err, EPROTO,
				 "%s: the registry answered %d to what it was "
				 "to store",
				 url, response->status);
	/* Most keep what they have by its SHA-256, whatever it came as. */
	if (said &&
	    oci_digest_is_sha512(said) == oci_digest_is_sha512(digest) &&
	    strcmp(said, digest) != 0)
		return error_set(err, EBADMSG,
				 "%s: the registry stored %s, not %s: it or "
				 "what lies before it is broken or lies",
				 url, said, digest);
	return 0;
}

int registry_put_manifest(struct registry *g, const char *reference,
			  const char *type, const char *digest, int fd,
			  struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strbuf struct strbuf url = STRBUF_INIT;
	cleanup_strv struct strv headers = STRV_INIT;
	struct http_request req;
	int r;

	registry_url(g, "manifests", reference, &url);
	strv_pushf(&headers, "Content-Type: %s", type);
	req = request_make(g, "PUT", url.buf);
	req.headers = &headers;
	req.flags |= HTTP_SMALL;
	req.upload_fd = fd;
	r = registry_ask(g, &req, &response, err);
	return r < 0 ? r : check_stored(g, url.buf, digest, &response, err);
}

/* --- where to send ------------------------------------------------------- */

/* One blob on its way. */
struct upload {
	struct registry *g;
	const char *digest;
	int fd;
	uint64_t size;
	struct strbuf location; /* empty: to be asked for */
	bool is_elsewhere;	/* on another host: without credentials */
	uint64_t done;		/* bytes the registry has */
	int status;		/* of the last answer, 0 = there was none */
};

static int bad_location(const char *url, const char *location,
			const char *reason, struct error *err)
{
	return error_set(
		err, EPROTO,
		"%s: the registry wants the upload sent to \"%.200s\", "
		"%s",
		url, location, reason);
}

/* Another host may get the bytes, but not our credentials. */
static int take_absolute(struct upload *u, const char *url,
			 const char *location, struct error *err)
{
	cleanup_strbuf struct strbuf from = STRBUF_INIT;
	cleanup_strbuf struct strbuf to = STRBUF_INIT;
	bool is_plain = strncasecmp(location, "http://", 7) == 0;

	if (!is_plain && strncasecmp(location, "https://", 8) != 0)
		return bad_location(url, location, "which is no URL of http",
				    err);
	if (is_plain && !u->g->is_plain)
		return bad_location(url, location, "which is not encrypted",
				    err);
	http_url_host(url, &from);
	http_url_host(location, &to);
	if (to.len == 0)
		return bad_location(url, location, "which has no host", err);
	u->is_elsewhere = strcmp(from.buf, to.buf) != 0;
	strbuf_reset(&u->location);
	strbuf_addstr(&u->location, location);
	return 0;
}

static int take_location(struct upload *u, const char *url,
			 const struct http_response *response,
			 struct error *err)
{
	const char *location = http_response_header(response, "location");

	if (!location || !*location)
		return error_set(err, EPROTO,
				 "%s: the registry does not say where to send "
				 "the upload",
				 url);
	if (strchr(location, ' ') || strchr(location, '#'))
		return bad_location(url, location, "which is no URL", err);
	if (location[0] != '/' || location[1] == '/')
		return take_absolute(u, url, location, err);
	strbuf_reset(&u->location);
	strbuf_addf(&u->location, "%s://%s%s",
		    u->g->is_plain ? "http" : "https", u->g->ref->registry,
		    location);
	u->is_elsewhere = false;
	return 0;
}

static int ask(struct upload *u, struct http_request *req,
	       struct http_response *ret, struct error *err)
{
	int r;

	u->status = 0;
	r = u->is_elsewhere ? http_do(u->g->libexec_dir, req, ret, err)
			    : registry_ask(u->g, req, ret, err);
	if (r == 0)
		u->status = ret->status;
	return r;
}

/* MORE: what follows "uploads/". */
static int begin(struct upload *u, const char *more, struct http_response *ret,
		 struct error *err)
{
	cleanup_strbuf struct strbuf url = STRBUF_INIT;
	cleanup_strv struct strv headers = STRV_INIT;
	struct http_request req;
	int r;

	registry_url(u->g, "blobs/uploads", more, &url);
	strv_push(&headers, STREAM);
	req = request_make(u->g, "POST", url.buf);
	req.headers = &headers;
	req.flags |= HTTP_SMALL;
	req.retries = 0;
	u->done = 0;
	u->is_elsewhere = false;
	r = ask(u, &req, ret, err);
	if (r == 0)
		r = registry_check(u->g, url.buf, ret, err);
	if (r < 0 || ret->status == 201)
		return r;
	return take_location(u, url.buf, ret, err);
}

int registry_mount_blob(struct registry *g, const char *digest,
			const char *from, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strbuf struct strbuf more = STRBUF_INIT;
	struct upload u = {.g = g, .location = STRBUF_INIT};
	int r;

	strbuf_addf(&more, "?mount=%s&from=", digest);
	registry_add_escaped(&more, from);
	r = begin(&u, more.buf, &response, err);
	if (r == 0 && response.status == 201)
		r = 1;
	if (r == 0) {
		/* It began an upload instead, which nobody wants. */
		cleanup_http_response struct http_response end = {0};
		struct http_request req =
			request_make(g, "DELETE", u.location.buf);

		req.flags |= HTTP_SMALL;
		req.retries = 0;
		(void)ask(&u, &req, &end, NULL);
	}
	strbuf_release(&u.location);
	return r;
}

/* --- sending ------------------------------------------------------------- */

/* "0-99": 100 bytes are there; "0-0" may also mean that none is. */
static uint64_t range_end(const struct http_response *response)
{
	const char *range = http_response_header(response, "range");
	uint64_t first, last;

	if (!range ||
	    sscanf(range, "%" SCNu64 "-%" SCNu64, &first, &last) != 2 ||
	    first != 0 || last == 0 || last >= INT64_MAX)
		return 0;
	return last + 1;
}

/* How much the registry has of what broke off. */
static int ask_status(struct upload *u, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_free char *url = xstrdup(u->location.buf);
	struct http_request req = request_make(u->g, NULL, url);
	uint64_t done;
	int r;

	req.flags |= HTTP_SMALL;
	req.retries = 0;
	r = ask(u, &req, &response, err);
	if (r < 0)
		return r;
	done = range_end(&response);
	if (response.status != 204 || done > u->size) {
		/* It knows nothing of it: from the beginning. */
		strbuf_reset(&u->location);
		u->done = 0;
		return 0;
	}
	u->done = done;
	log_debug("%s: the registry has %" PRIu64 " of %" PRIu64 " bytes", url,
		  u->done, u->size);
	return http_response_header(&response, "location")
		       ? take_location(u, url, &response, err)
		       : 0;
}

static void set_upload(const struct upload *u, struct http_request *req)
{
	req->upload_fd = u->fd;
	req->upload_from = u->done;
	req->on_progress = u->g->on_progress;
	req->progress_arg = u->g->progress_arg;
}

/* What is missing, as another part of what is there. */
static int send_rest(struct upload *u, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_free char *url = xstrdup(u->location.buf);
	cleanup_strv struct strv headers = STRV_INIT;
	struct http_request req = request_make(u->g, "PATCH", url);
	int r;

	strv_push(&headers, STREAM);
	strv_pushf(&headers, "Content-Range: %" PRIu64 "-%" PRIu64, u->done,
		   u->size - 1);
	req.headers = &headers;
	req.retries = 0;
	set_upload(u, &req);
	r = ask(u, &req, &response, err);
	if (r == 0)
		r = registry_check(u->g, url, &response, err);
	if (r < 0)
		return r;
	u->done = u->size;
	return take_location(u, url, &response, err);
}

/* The end of an upload, with all of it if nothing is there yet. */
static int send_end(struct upload *u, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_strv struct strv headers = STRV_INIT;
	cleanup_strbuf struct strbuf url = STRBUF_INIT;
	struct http_request req;
	int r;

	strbuf_addf(&url, "%s%cdigest=%s", u->location.buf,
		    strchr(u->location.buf, '?') ? '&' : '?', u->digest);
	strv_push(&headers, STREAM);
	req = request_make(u->g, "PUT", url.buf);
	req.headers = &headers;
	req.retries = 0;
	if (u->done == 0)
		set_upload(u, &req);
	r = ask(u, &req, &response, err);
	return r < 0 ? r
		     : check_stored(u->g, url.buf, u->digest, &response, err);
}

static int try_upload(struct upload *u, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	int r = 0;

	if (u->location.len)
		r = ask_status(u, err);
	if (r == 0 && u->location.len == 0)
		r = begin(u, "", &response, err);
	if (r == 0 && u->done > 0 && u->done < u->size)
		r = send_rest(u, err);
	return r < 0 ? r : send_end(u, err);
}

/* Whether another attempt may do better. */
static bool is_passing(const struct upload *u, int r)
{
	if (u->status == 0)
		return r == -ECONNRESET || r == -ECONNREFUSED ||
		       r == -ETIMEDOUT;
	return u->status >= 500 || u->status == 429 || u->status == 416 ||
	       (u->status == 404 && u->location.len > 0);
}

static void pause_before(struct upload *u, unsigned int n,
			 const struct error *why)
{
	int64_t ms = (int64_t)PAUSE_MS << n;
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
	struct http_progress note = {0};

	(void)snprintf(note.note, sizeof(note.note), "%s", why->msg);
	if (u->g->on_progress)
		(void)u->g->on_progress(u->g->progress_arg, &note, NULL);
	(void)nanosleep(&time, NULL);
}

int registry_put_blob(struct registry *g, const char *digest, int fd,
		      struct error *err)
{
	struct upload u = {
		.g = g, .digest = digest, .fd = fd, .location = STRBUF_INIT};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "look at what to send");
	u.size = (uint64_t)st.st_size;
	for (unsigned int n = 0;; n++) {
		struct error why = ERROR_INIT;

		r = try_upload(&u, &why);
		if (r < 0 && is_passing(&u, r) && n < HTTP_RETRIES) {
			pause_before(&u, n, &why);
			continue;
		}
		if (r < 0 && err)
			*err = why;
		break;
	}
	strbuf_release(&u.location);
	return r;
}
