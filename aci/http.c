/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/http.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "aci/fetch_child.h"
#include "aci/fetch_protocol.h"
#include "aci/http_wire.h"
#include "aci/printable.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/config.h"

#define PROGRAM "rkt-http"
#define TIMEOUT_DEFAULT 60 /* seconds of almost nothing */
#define TIMEOUT_MAX 86400
#define WORDS_MAX 200 /* bytes of what a server says to a refusal */

struct http_job {
	struct fetch_child child;
	int answer_fd;
	uint64_t max_body;
	char *url;
	bool has_reply; /* or the end came without one */
	ssize_t reply_len;
	struct fetch_reply reply;
};

void http_job_free(struct http_job *job)
{
	if (!job)
		return;
	fetch_child_release(&job->child);
	fd_close(&job->answer_fd);
	free(job->url);
	free(job);
}
DEFINE_CLEANUP(struct http_job *, http_job_free);
#define cleanup_http_job cleanup_with(http_job_free_cleanup)

/* --- starting ------------------------------------------------------------ */

/* What curl and the resolver ask the environment for. */
static void environment_make(struct strv *ret)
{
	static const char *const names[] = {
		"http_proxy",  "https_proxy",	 "HTTPS_PROXY",	  "all_proxy",
		"ALL_PROXY",   "no_proxy",	 "NO_PROXY",	  "LOCALDOMAIN",
		"RES_OPTIONS", "CURL_CA_BUNDLE", "SSL_CERT_FILE",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = getenv(names[i]);

		if (value)
			strv_pushf(ret, "%s=%s", names[i], value);
	}
}

static int timeout_seconds(uint32_t *ret, struct error *err)
{
	const char *text = getenv("RKT_HTTP_TIMEOUT");
	uint64_t seconds = TIMEOUT_DEFAULT;

	if (text &&
	    (parse_uint(text, TIMEOUT_MAX, &seconds) < 0 || seconds == 0))
		return error_set(err, EINVAL,
				 "RKT_HTTP_TIMEOUT=%s: it is a number of "
				 "seconds from 1 to %d",
				 text, TIMEOUT_MAX);
	*ret = (uint32_t)seconds;
	return 0;
}

static void wire_make(const struct http_request *req, struct strv *ret)
{
	static const char *const kinds[] = {
		[CONFIG_AUTH_BASIC] = "basic",
		[CONFIG_AUTH_OAUTH] = "oauth",
		[CONFIG_AUTH_AWS] = "aws",
	};
	const struct config_auth *auth = req->auth;

	strv_push(ret, req->url);
	strv_push(ret, req->method ? req->method : "");
	strv_push(ret, auth ? kinds[auth->type] : "");
	strv_push(ret, auth && auth->user ? auth->user : "");
	strv_push(ret, auth && auth->secret ? auth->secret : "");
	strv_push(ret, auth && auth->region ? auth->region : "");
	if (req->headers)
		strv_append(ret, req->headers);
}

static uint8_t add_fd(int fd, int *fds, uint32_t *n)
{
	if (fd < 0)
		return 0;
	fds[(*n)++] = fd;
	return 1;
}

static int send_request(struct http_job *job, const struct http_request *req,
			int wire_fd, struct error *err)
{
	int fds[FETCH_FDS_MAX] = {wire_fd, job->answer_fd};
	uint32_t n = 2;
	struct fetch_request request = {
		.job = FETCH_JOB_HTTP,
		.max_tar_size = req->max_body,
		.upload_from = req->upload_from,
		.http_flags = req->flags,
		.http_retries = req->retries,
	};
	int r = timeout_seconds(&request.http_timeout, err);

	if (r < 0)
		return r;
	request.has_body = add_fd(req->body_fd, fds, &n);
	request.has_partial = add_fd(req->partial_fd, fds, &n);
	request.has_http_bell = add_fd(req->bell_fd, fds, &n);
	request.has_upload = add_fd(req->upload_fd, fds, &n);
	request.n_fds = n;
	return fetch_child_send(&job->child, &request, fds, err);
}

int http_start(const char *libexec_dir, const struct http_request *req,
	       struct http_job **ret, struct error *err)
{
	cleanup_http_job struct http_job *job = xcalloc(1, sizeof(*job));
	cleanup_fd int wire_fd = memfd_create("request", MFD_CLOEXEC);
	cleanup_strv struct strv wire = STRV_INIT;
	cleanup_strv struct strv env = STRV_INIT;
	char *no_env[] = {NULL};
	size_t len = 0;
	int r;

	job->child = (struct fetch_child)FETCH_CHILD_INIT;
	job->answer_fd = memfd_create("answer", MFD_CLOEXEC);
	job->max_body = req->max_body;
	job->url = xstrdup(req->url);
	if (job->answer_fd < 0 || wire_fd < 0)
		return error_sys(err, errno, "make a memory file");
	wire_make(req, &wire);
	environment_make(&env);
	r = http_wire_write(wire_fd, &wire, &len, err);
	if (r == 0)
		r = fetch_child_start(libexec_dir, PROGRAM, FETCH_MODE_HTTP,
				      env.n ? env.v : no_env, &job->child, err);
	if (r == 0)
		r = send_request(job, req, wire_fd, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(job);
	return 0;
}

/* --- hearing ------------------------------------------------------------- */

int http_job_fd(const struct http_job *job)
{
	return job->child.sock;
}

static void take_event(const struct fetch_http_event *event,
		       struct http_progress *ret)
{
	*ret = (struct http_progress){
		.status = event->status < 1000 ? (int)event->status : 0,
		.done = event->done,
		.total = event->total,
		.resumed = event->resumed,
	};
	memcpy(ret->note, event->note, sizeof(ret->note));
	ret->note[sizeof(ret->note) - 1] = '\0';
	make_printable(ret->note);
}

int http_job_step(struct http_job *job, struct http_progress *ret,
		  struct error *err)
{
	struct fetch_http_event event;
	ssize_t n;
	int r;

	assert(job);
	if (job->has_reply)
		return 0;
	r = fetch_child_wait(&job->child, -1, err);
	if (r < 0)
		return r;
	n = fetch_child_receive(&job->child, &job->reply, sizeof(job->reply));
	if (n == (ssize_t)sizeof(event)) {
		memcpy(&event, &job->reply, sizeof(event));
		take_event(&event, ret);
		return 1;
	}
	job->reply_len = n;
	job->has_reply = true;
	return 0;
}

/* Header lines come from a server: what is not a name and a printable value
 * does not get further. */
static bool header_is_plain(char *line)
{
	char *colon = strchr(line, ':');

	if (!colon || colon == line || colon[1] != ' ')
		return false;
	for (char *p = line; p < colon; p++) {
		if (!isalnum((unsigned char)*p) &&
		    !strchr("!#$%&'*+-.^_`|~", *p))
			return false;
		*p = (char)tolower((unsigned char)*p);
	}
	make_printable(colon);
	return true;
}

static int take_answer(const struct http_job *job, struct http_response *ret,
		       struct error *err)
{
	const struct fetch_http_reply *reply = &job->reply.http;
	cleanup_strv struct strv lines = STRV_INIT;
	int r;

	if (reply->status < 100 || reply->status > 999 ||
	    reply->body_size > job->max_body)
		return error_set(err, EPROTO,
				 "%s gave a false answer: numbers are out of "
				 "range",
				 PROGRAM);
	r = http_wire_read(job->answer_fd, reply->answer_len, &lines, err);
	if (r < 0)
		return r;
	*ret = (struct http_response){
		.status = (int)reply->status,
		.body_size = reply->body_size,
		.url = xstrdup(lines.n ? lines.v[0] : job->url),
		.text = xstrdup(lines.n > 1 ? lines.v[1] : ""),
	};
	make_printable(ret->url);
	for (size_t i = 2; i < lines.n; i++)
		if (header_is_plain(lines.v[i]))
			strv_push(&ret->headers, lines.v[i]);
	return 0;
}

int http_job_finish(struct http_job *job, struct http_response *ret,
		    struct error *err)
{
	struct http_progress ignored;
	int r;

	do {
		r = http_job_step(job, &ignored, err);
	} while (r > 0);
	if (r == 0)
		r = fetch_child_finish(&job->child, FETCH_JOB_HTTP, &job->reply,
				       job->reply_len, err);
	if (r < 0)
		return r;
	return take_answer(job, ret, err);
}

int http_do(const char *libexec_dir, const struct http_request *req,
	    struct http_response *ret, struct error *err)
{
	cleanup_http_job struct http_job *job = NULL;
	struct http_progress progress;
	int r = http_start(libexec_dir, req, &job, err);

	if (r < 0 || !req->on_progress)
		return r < 0 ? r : http_job_finish(job, ret, err);
	while ((r = http_job_step(job, &progress, err)) > 0) {
		r = req->on_progress(req->progress_arg, &progress, err);
		if (r < 0)
			break;
	}
	return r < 0 ? r : http_job_finish(job, ret, err);
}

/* --- the response -------------------------------------------------------- */

void http_response_release(struct http_response *response)
{
	free(response->url);
	free(response->text);
	strv_release(&response->headers);
	*response = (struct http_response){0};
}

const char *http_response_header(const struct http_response *response,
				 const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < response->headers.n; i++) {
		const char *line = response->headers.v[i];

		if (strncmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 2;
	}
	return NULL;
}

/* ": what the server says", short and printable. */
static void add_words(const struct http_response *response, struct strbuf *sb)
{
	const char *text = response->text ? response->text : "";

	text += strspn(text, " \t\r\n");
	if (!*text)
		return;
	strbuf_addf(sb, ": %.*s", WORDS_MAX, text);
	while (strchr(" \t\r\n", sb->buf[sb->len - 1]))
		strbuf_setlen(sb, sb->len - 1);
	if (strlen(text) > WORDS_MAX)
		strbuf_addstr(sb, "...");
	make_printable(sb->buf);
}

int http_response_check(const struct http_response *response, const char *url,
			struct error *err)
{
	static const struct {
		int status, code;
		const char *text;
	} known[] = {
		{400, EIO, " Bad Request"},
		{401, EACCES,
		 " Unauthorized (credentials for a host come "
		 "from auth.d, see \"rkt config\")"},
		{403, EACCES, " Forbidden"},
		{404, ENOENT, " Not Found"},
		{410, ENOENT, " Gone"},
		{429, EIO, " Too Many Requests"},
		{500, EIO, " Internal Server Error"},
		{502, EIO, " Bad Gateway"},
		{503, EIO, " Service Unavailable"},
		{504, EIO, " Gateway Timeout"},
	};

	cleanup_strbuf struct strbuf words = STRBUF_INIT;

	if (response->status >= 200 && response->status < 300)
		return 0;
	add_words(response, &words);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].status == response->status)
			return error_set(err, known[i].code,
					 "%s: the server answered %d%s%s", url,
					 known[i].status, known[i].text,
					 words.buf);
	return error_set(err, EIO, "%s: the server answered %d%s", url,
			 response->status, words.buf);
}
