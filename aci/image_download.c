/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_download.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "aci/download.h"
#include "aci/fetch_client.h"
#include "aci/http.h"
#include "aci/http_headers.h"
#include "aci/image_fetcher.h"
#include "aci/image_labels.h"
#include "aci/image_settle.h"
#include "aci/imagestore.h"
#include "aci/url_login.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/image_ref.h"

#define SIGNATURE_MAX (256UL * 1024) /* bytes */
#define HTTP_ACCEPTED 202	     /* of a signature: ask again later */
#define HTTP_NOT_MODIFIED 304

/* One download under way. */
struct getting {
	struct image_fetcher *f;
	const struct image_remote *remote;
	const struct image_row *stored; /* NULL: nothing came from this URL */
	struct download file;
	int blob_fd, index_fd;
	int sig_fd; /* negative: not asked for, or not had yet */
	struct http_job *http;
	int bell_fd; /* read end; negative once the import has it */
	bool is_importing;
	struct fetch_importing import;
	struct fetch_verifying verifying; /* once file and signature are here */
	struct http_progress seen;	  /* last */
};

static int64_t now_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

static unsigned int flags_for(const struct image_fetcher *f, const char *url)
{
	bool is_plain = strncasecmp(url, "http:", strlen("http:")) == 0;

	/* Who gives an http:// URL knows it; a signature is checked anyway. */
	return f->http_flags | (is_plain ? HTTP_PLAIN_OK : 0);
}

static void show(const struct getting *g, const char *what, const char *url,
		 const struct http_progress *p, bool ended)
{
	const struct image_progress progress = {
		.what = what,
		.url = url,
		.done = p->done,
		.total = p->total,
		.resumed = p->resumed,
		.ended = ended,
		.is_one_of_many = g->f->is_one_of_many,
	};

	if (p->note[0])
		image_notice(g->f, "%s; trying again", p->note);
	if (g->f->progress && (p->status || ended))
		g->f->progress(g->f->progress_arg, &progress);
}

/* --- the signature ------------------------------------------------------- */

static int not_signed(const struct getting *g, struct error *err)
{
	return error_set(err, EPERM,
			 "image %s is not signed: there is no %s (name a "
			 "signature with --signature, or use "
			 "--insecure-options=image)",
			 g->remote->url, g->remote->sig_url);
}

static int open_local_signature(struct getting *g, struct error *err)
{
	const char *path = g->remote->signature;

	g->sig_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (g->sig_fd < 0)
		return error_sys(err, errno, "open signature %s", path);
	return 0;
}

/* 0 had it, 1 the server wants to be asked after the image. */
static int get_signature(struct getting *g, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_fd int fd = memfd_create("signature", MFD_CLOEXEC);
	struct http_request req = HTTP_REQUEST_INIT;
	const char *url = g->remote->sig_url;
	struct http_progress done = {0};
	int r;

	if (fd < 0)
		return error_sys(err, errno, "make a memory file");
	log_debug("downloading signature from %s", url);
	req.url = url;
	req.flags = flags_for(g->f, url) | HTTP_SMALL;
	url_login_apply(g->remote->login, g->f->config, &req);
	req.max_body = SIGNATURE_MAX;
	req.body_fd = fd;
	r = http_do(g->f->libexec_dir, &req, &response, err);
	if (r < 0)
		return r;
	if (response.status == HTTP_ACCEPTED)
		return 1;
	if (response.status == 404 || response.status == 410)
		return not_signed(g, err);
	r = http_response_check(&response, url, err);
	if (r < 0)
		return r;
	done.done = done.total = response.body_size;
	show(g, "signature", url, &done, true);
	g->sig_fd = TAKE_FD(fd);
	return 0;
}

static int signature_before(struct getting *g, struct error *err)
{
	int r;

	if (g->f->insecure)
		return 0;
	if (g->remote->signature)
		return open_local_signature(g, err);
	r = get_signature(g, err);
	if (r <= 0)
		return r;
	image_notice(g->f, "server requested deferring the signature download, "
			   "downloading the ACI first");
	return 0;
}

static int signature_after(struct getting *g, struct error *err)
{
	int r;

	if (g->f->insecure || g->sig_fd >= 0)
		return 0;
	r = get_signature(g, err);
	if (r == 1)
		return error_set(err, EAGAIN,
				 "%s: the server defers the signature for "
				 "ever (it answered 202 twice)",
				 g->remote->sig_url);
	return r;
}

/* --- the image ----------------------------------------------------------- */

/* Bytes that may be downloaded: what is promised, or what there is room
 * for. */
static uint64_t body_limit(const struct getting *g)
{
	uint64_t room;

	if (g->remote->size)
		return g->remote->size;
	room = free_bytes(g->file.fd);
	return room < FETCH_TAR_SIZE_MAX ? room : FETCH_TAR_SIZE_MAX;
}

/* What was stored without a check does not save the download that brings the
 * signature. */
static bool is_worth_asking(const struct getting *g)
{
	return g->stored && g->stored->etag[0] &&
	       (g->f->insecure || g->stored->signer[0]);
}

static int start_http(struct getting *g, struct error *err)
{
	cleanup_strv struct strv headers = STRV_INIT;
	struct http_request req = HTTP_REQUEST_INIT;
	const char *url = g->remote->url;
	cleanup_fd int write_fd = -EBADF;
	int bell[2];
	int r;

	if (pipe2(bell, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	fd_close(&g->bell_fd);
	g->bell_fd = bell[0];
	write_fd = bell[1];
	r = set_nonblock(write_fd);
	if (r < 0)
		return error_sys(err, -r, "make a pipe");
	if (is_worth_asking(g))
		strv_pushf(&headers, "If-None-Match: %s", g->stored->etag);
	log_debug("fetching image from %s", url);
	req.url = url;
	req.headers = &headers;
	req.flags = flags_for(g->f, url) | HTTP_RESUME;
	url_login_apply(g->remote->login, g->f->config, &req);
	req.max_body = body_limit(g);
	req.body_fd = g->file.fd;
	req.partial_fd = g->file.version_fd;
	req.bell_fd = write_fd;
	return http_start(g->f->libexec_dir, &req, &g->http, err);
}

static int start_import(struct getting *g, struct error *err)
{
	struct fetch_source source = {
		.fd = g->file.fd,
		.bell_fd = g->bell_fd,
		.size = g->seen.total,
	};
	int r;

	g->blob_fd = imagestore_new_file(g->f->store, err);
	if (g->blob_fd < 0)
		return g->blob_fd;
	g->index_fd = image_new_index(g->f, err);
	r = fetch_import_start(g->f->libexec_dir, &source, g->blob_fd,
			       g->index_fd, NULL, &g->import, err);
	g->is_importing = r == 0;
	fd_close(&g->bell_fd);
	return r;
}

/*
 * Until rkt-http ends (0) or the import does before it (1): then the image is
 * bad, and nobody wants the rest.
 */
static int follow(struct getting *g, struct error *err)
{
	for (;;) {
		struct pollfd p[] = {
			{.fd = http_job_fd(g->http), .events = POLLIN},
			{.fd = g->is_importing ? g->import.child.sock : -1,
			 .events = POLLIN},
		};
		int r;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return error_sys(err, errno, "wait for the download");
		if (p[1].revents && !p[0].revents)
			return 1;
		if (!p[0].revents)
			continue;
		r = http_job_step(g->http, &g->seen, err);
		if (r <= 0)
			return r;
		show(g, "ACI", g->remote->url, &g->seen, false);
		if (g->seen.status && !g->is_importing)
			r = start_import(g, err);
		if (r < 0)
			return r;
	}
}

static int check_size(const struct getting *g,
		      const struct http_response *response, struct error *err)
{
	uint64_t size = g->remote->size;

	if (!size || response->body_size == size)
		return 0;
	return error_set(err, EBADMSG,
			 "%s: the image file has %" PRIu64 " bytes, %" PRIu64
			 " were asked for",
			 g->remote->url, response->body_size, size);
}

/* Ends the download; an import that did not see its beginning starts now. */
static int finish_http(struct getting *g, struct http_response *ret,
		       struct error *err)
{
	int r = http_job_finish(g->http, ret, err);

	if (r < 0 || ret->status == HTTP_NOT_MODIFIED)
		return r;
	r = http_response_check(ret, g->remote->url, err);
	if (r == 0)
		r = check_size(g, ret, err);
	if (r == 0 && !g->is_importing)
		r = start_import(g, err);
	if (r < 0)
		return r;
	g->seen.done = g->seen.total = ret->body_size;
	g->seen.note[0] = '\0';
	show(g, "ACI", g->remote->url, &g->seen, true);
	return 0;
}

/* --- what becomes of it -------------------------------------------------- */

static int64_t expiry_of(const struct http_response *response)
{
	int64_t age =
		http_max_age(http_response_header(response, "cache-control"));

	return age > 0 ? now_seconds() + age : 0;
}

static int take_stored(const struct getting *g,
		       const struct http_response *response,
		       struct image_id *ret, struct error *err)
{
	int r;

	if (!g->stored)
		return error_set(err, EPROTO,
				 "%s: the server says that nothing changed, "
				 "and was not asked that",
				 g->remote->url);
	log_debug("%s has not changed", g->remote->url);
	r = imagestore_refresh(g->f->store, g->stored, expiry_of(response),
			       err);
	return r < 0 ? r : image_id_parse(g->stored->id, ret, err);
}

/* As soon as both are whole, beside the import. */
static int start_verify(struct getting *g, struct error *err)
{
	if (g->sig_fd < 0 || g->verifying.keys_fd >= 0)
		return 0;
	return fetch_verify_start(g->f->libexec_dir, g->file.fd, g->sig_fd,
				  &g->verifying, err);
}

static int settle(struct getting *g, const struct fetch_image *image,
		  const struct http_response *response, struct image_id *ret,
		  struct error *err)
{
	const struct image_files files = {g->blob_fd, g->index_fd,
					  g->sig_fd < 0 ? NULL : &g->verifying};
	const struct image_origin origin = {
		.source = g->remote->url,
		.want = g->remote->want,
		.want_id = g->remote->want_id,
		.etag = http_response_header(response, "etag"),
		.expiry = expiry_of(response),
		.latest = g->remote->latest,
	};

	return image_settle(g->f, image, &files, &origin, ret, err);
}

static int download_and_import(struct getting *g, struct image_id *ret,
			       struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_fetch_image struct fetch_image image = {0};
	bool is_bad;
	int r = start_http(g, err);

	if (r == 0)
		r = follow(g, err);
	is_bad = r == 1;
	if (r == 0)
		r = finish_http(g, &response, err);
	if (r < 0)
		return r;
	if (response.status == HTTP_NOT_MODIFIED)
		return take_stored(g, &response, ret, err);
	r = is_bad ? 0 : start_verify(g, err);
	if (r < 0)
		return r;
	r = fetch_import_finish(&g->import, &image, err);
	if (r == 0 && is_bad)
		r = finish_http(g, &response, err);
	if (r < 0) {
		(void)error_prefix(err, r, "%s", g->remote->url);
		/* The bytes are what they are: not to be resumed. */
		return download_is_resumable(r) ? -EINVAL : r;
	}
	r = signature_after(g, err);
	if (r == 0)
		r = start_verify(g, err);
	return r < 0 ? r : settle(g, &image, &response, ret, err);
}

static void getting_release(struct getting *g)
{
	http_job_free(g->http);
	g->http = NULL;
	if (g->is_importing)
		fetch_import_release(&g->import);
	g->is_importing = false;
	fetch_verify_release(&g->verifying);
	fd_close(&g->bell_fd);
	fd_close(&g->sig_fd);
	if (g->blob_fd >= 0)
		imagestore_drop_file(g->f->store, g->blob_fd);
	fd_close(&g->blob_fd);
	imagestore_drop_file(g->f->store, g->index_fd);
	fd_close(&g->index_fd);
}
#define cleanup_getting cleanup_with(getting_release)

static int get(struct image_fetcher *f, const struct image_remote *remote,
	       struct download *file, const struct image_row *stored,
	       struct image_id *ret, struct error *err)
{
	cleanup_getting struct getting g = {
		.f = f,
		.remote = remote,
		.stored = stored,
		.file = *file,
		.blob_fd = -EBADF,
		.index_fd = -EBADF,
		.sig_fd = -EBADF,
		.bell_fd = -EBADF,
		.verifying = FETCH_VERIFYING_INIT,
	};
	int r = signature_before(&g, err);

	return r < 0 ? r : download_and_import(&g, ret, err);
}

/* --- one at a time ------------------------------------------------------- */

/* Leaves RET alone if there is none that came from the URL. */
static int find_stored(struct image_fetcher *f,
		       const struct image_remote *remote, struct image_row *row,
		       const struct image_row **ret, struct error *err)
{
	const struct image_ref *want = remote->want;
	int r = imagestore_find_source(f->store, remote->url, row, err);

	/* One URL may stand for any version. */
	if (r == 0 &&
	    (!want || (strcmp(row->name, want->name) == 0 &&
		       image_labels_match(row->labels, &want->labels))))
		*ret = row;
	return r == -ENOENT ? 0 : r;
}

static bool is_fresh(const struct image_fetcher *f, const struct image_row *row,
		     int64_t since)
{
	if (!f->insecure && !row->signer[0])
		return false;
	return row->expiry > now_seconds() || row->imported > since;
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int image_download(struct image_fetcher *f, const struct image_remote *remote,
		   struct image_id *ret, struct error *err)
{
	cleanup_download struct download file = DOWNLOAD_INIT;
	cleanup_image_row struct image_row row = {0};
	const struct image_row *stored = NULL;
	int64_t since = INT64_MAX;
	int r = image_load_config(f, err);

	if (r < 0)
		return r;
	if (f->insecure)
		image_warn_insecure(f);
	log_debug("remote fetching from URL \"%s\"", remote->url);
	r = download_try(f->store, remote->url, &file, err);
	if (r == -EBUSY) {
		image_notice(f, "another rkt instance is downloading this "
				"file, waiting...");
		since = now_ns();
		r = download_wait(f->store, remote->url, &file, err);
	}
	if (r == 0)
		r = find_stored(f, remote, &row, &stored, err);
	if (r < 0)
		return r;
	if (stored && is_fresh(f, stored, since)) {
		log_debug("image for %s isn't expired, not fetching.",
			  remote->url);
		return image_id_parse(stored->id, ret, err);
	}
	r = get(f, remote, &file, stored, ret, err);
	if (r == -ESTALE)
		r = get(f, remote, &file, stored, ret, err);
	if (!download_is_resumable(r))
		download_remove(&file);
	return r;
}
