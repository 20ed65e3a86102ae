/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-http/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "aci/http.h"
#include "aci/http_bell.h"
#include "aci/http_headers.h"
#include "aci/http_wire.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strv.h"
#include "cmd/rkt-http/body.h"

#define CONNECT_SECONDS 20
#define SMALL_SECONDS 120
#define PAUSE_MS 500	   /* before the second attempt; then doubled */
#define RETRY_AFTER_MAX 30 /* seconds */
#define SPEED_MIN 512	   /* bytes a second; what is slower has stalled */
#define EVENT_MS 100	   /* between events */
#define HEADERS_MAX (64UL * 1024)
/*
 * S3 wants to be told what the body's digest is; over TLS it need not be
 * ("Authenticating Requests: Using the Authorization Header").
 */
#define S3_DIGEST "x-amz-content-sha256: "
#define S3_EMPTY                                                               \
	S3_DIGEST                                                              \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_UNSIGNED S3_DIGEST "UNSIGNED-PAYLOAD"
#define TEXT_MAX 2048 /* bytes of a refusal that are kept */

DEFINE_CLEANUP(CURL *, curl_easy_cleanup);
DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all);
#define cleanup_slist cleanup_with(curl_slist_free_all_cleanup)

struct transfer {
	const struct fetch_request *request;
	struct strv wire; /* enum http_wire_request */
	struct body body;
	int upload_fd;
	uint64_t upload_from; /* offset of the first byte to send */
	uint64_t upload_size; /* bytes to send */
	uint64_t uploaded;    /* of them */
	CURL *curl;
	char reason[CURL_ERROR_SIZE];

	/* Of the attempt under way. */
	struct strv headers; /* "Name: value" of the last answer so far */
	size_t headers_len;
	bool has_begun;	    /* the answer's head was judged */
	bool is_dropping;   /* its body is nobody's business */
	struct strbuf text; /* but what it says to a push */
	uint64_t total;	    /* of the whole resource, 0 = unknown */
	long status;
	struct error error; /* why a callback ended it */
	int64_t event_ms;   /* when the last event was sent */
};

static bool has_flag(const struct transfer *t, enum http_flags flag)
{
	return t->request->http_flags & flag;
}

static const char *url(const struct transfer *t)
{
	return t->wire.v[HTTP_WIRE_URL];
}

static const char *method(const struct transfer *t)
{
	const char *given = t->wire.v[HTTP_WIRE_METHOD];

	return *given ? given : t->upload_fd >= 0 ? "PUT" : "GET";
}

/* --- events -------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One that finds no room is not missed. */
static void send_event(struct transfer *t, const char *note)
{
	struct fetch_http_event event = {
		.magic = FETCH_MAGIC,
		.version = FETCH_VERSION,
		.status = t->has_begun && !t->is_dropping ? (uint32_t)t->status
							  : 0,
		.done = t->upload_fd >= 0 ? t->uploaded : t->body.at,
		.total = t->upload_fd >= 0 ? t->upload_size : t->total,
		.resumed = t->body.resumed,
	};

	if (note)
		(void)snprintf(event.note, sizeof(event.note), "%s", note);
	t->event_ms = now_ms();
	(void)send(FETCH_SOCKET_FD, &event, sizeof(event),
		   MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int on_progress(void *arg, curl_off_t dl_total, curl_off_t dl_now,
		       curl_off_t ul_total, curl_off_t ul_now)
{
	struct transfer *t = arg;

	(void)dl_total;
	(void)dl_now;
	(void)ul_total;
	(void)ul_now;
	if (now_ms() - t->event_ms < EVENT_MS)
		return 0;
	send_event(t, NULL);
	http_bell_ring(t->body.bell_fd);
	return 0;
}

/* --- the answer's head --------------------------------------------------- */

static const char *find_header(const struct transfer *t, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < t->headers.n; i++) {
		const char *line = t->headers.v[i];

		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 2;
	}
	return NULL;
}

/* "Name:value\r\n" with blanks -> "Name: value". */
static void add_header(struct transfer *t, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const char *value;

	while (len > 0 && strchr("\r\n \t", line[len - 1]))
		len--;
	if (!colon || colon >= line + len || memchr(line, '\0', len))
		return;
	value = colon + 1;
	while (value < line + len && (*value == ' ' || *value == '\t'))
		value++;
	t->headers_len += len + 2;
	if (t->headers_len > HEADERS_MAX)
		return;
	strv_pushf(&t->headers, "%.*s: %.*s", (int)(colon - line), line,
		   (int)(line + len - value), value);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;

	/* Each answer of a chain of redirects begins anew. */
	if (len > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		strv_release(&t->headers);
		t->headers_len = 0;
		return len;
	}
	add_header(t, line, len);
	if (t->headers_len <= HEADERS_MAX)
		return len;
	(void)error_set(&t->error, EPROTO, "GET %s: its headers are too long",
			url(t));
	return 0;
}

/* What If-Range may ask for; "" if the version has no name. */
static const char *validator(const struct transfer *t)
{
	const char *etag = find_header(t, "etag");
	const char *date = find_header(t, "last-modified");

	if (has_flag(t, HTTP_IMMUTABLE))
		return "immutable";
	if (http_etag_is_strong(etag))
		return etag;
	return date && *date ? date : "";
}

static int begin_rest(struct transfer *t)
{
	struct content_range range;

	if (http_content_range_parse(find_header(t, "content-range"), &range) <
		    0 ||
	    range.is_unsatisfied || range.first != t->body.size)
		return error_set(&t->error, EBADMSG,
				 "GET %s: the server sends another part than "
				 "the one asked for",
				 url(t));
	t->total = range.total;
	body_continue(&t->body);
	return 0;
}

static int begin_whole(struct transfer *t)
{
	curl_off_t length = -1;
	int r;

	(void)curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
				&length);
	/* A HEAD tells the length of what it does not send. */
	if (strcmp(method(t), "HEAD") == 0)
		length = 0;
	t->total = length > 0 ? (uint64_t)length : 0;
	r = body_restart(&t->body, validator(t), &t->error);
	return r < 0 ? error_prefix(&t->error, r, "GET %s", url(t)) : 0;
}

/* Once an attempt, before the first byte of its body or at its end. */
static int begin(struct transfer *t)
{
	int r = 0;

	if (t->has_begun)
		return 0;
	t->has_begun = true;
	(void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
	if (t->status == 206)
		r = begin_rest(t);
	else if (t->status >= 200 && t->status < 300)
		r = begin_whole(t);
	else
		t->is_dropping = true;
	if (r == 0 && t->total > t->body.max)
		r = error_set(&t->error, EFBIG,
			      "GET %s: it has %" PRIu64 " bytes, more than "
			      "the %" PRIu64 " that are allowed",
			      url(t), t->total, t->body.max);
	if (r == 0)
		send_event(t, NULL);
	return r;
}

/* The beginning of what a refusal says; who only gets needs no more than the
 * status. */
static size_t keep_text(struct transfer *t, const char *data, size_t len)
{
	size_t room =
		strcmp(method(t), "GET") == 0 ? 0 : TEXT_MAX - t->text.len;

	strbuf_add(&t->text, data, len < room ? len : room);
	return len <= room ? len : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;

	if (begin(t) < 0)
		return 0;
	if (t->is_dropping)
		return keep_text(t, data, len);
	if (body_write(&t->body, data, len, &t->error) < 0) {
		(void)error_prefix(&t->error, -t->error.code, "GET %s", url(t));
		return 0;
	}
	return len;
}

static size_t on_upload(char *buf, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	uint64_t left = t->upload_size - t->uploaded;
	size_t want = size * n < left ? size * n : (size_t)left;
	ssize_t got = pread_full(t->upload_fd, buf, want,
				 (off_t)(t->upload_from + t->uploaded));

	if (got < 0)
		return CURL_READFUNC_ABORT;
	t->uploaded += (uint64_t)got;
	return (size_t)got;
}

/* A redirection, or credentials that were asked for: from the beginning. */
static int on_rewind(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 ||
	    (uint64_t)offset > t->upload_size)
		return CURL_SEEKFUNC_FAIL;
	t->uploaded = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* --- the request --------------------------------------------------------- */

static void set_limits(const struct transfer *t)
{
	long stall = (long)t->request->http_timeout;
	long connect = stall < CONNECT_SECONDS ? stall : CONNECT_SECONDS;

	(void)curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT, connect);
	(void)curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_LIMIT,
			       (long)SPEED_MIN);
	(void)curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, stall);
	(void)curl_easy_setopt(t->curl, CURLOPT_MAXREDIRS,
			       (long)HTTP_REDIRECTS_MAX);
	if (has_flag(t, HTTP_SMALL))
		(void)curl_easy_setopt(t->curl, CURLOPT_TIMEOUT,
				       (long)SMALL_SECONDS);
}

static void set_security(const struct transfer *t,
			 const struct strbuf *authorities)
{
	const char *schemes =
		has_flag(t, HTTP_PLAIN_OK) ? "http,https" : "https";
	long checked = has_flag(t, HTTP_TLS_UNCHECKED) ? 0L : 1L;
	struct curl_blob blob = {authorities->buf, authorities->len,
				 CURL_BLOB_NOCOPY};

	(void)curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, schemes);
	(void)curl_easy_setopt(t->curl, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
	(void)curl_easy_setopt(t->curl, CURLOPT_SSL_VERIFYPEER, checked);
	(void)curl_easy_setopt(t->curl, CURLOPT_SSL_VERIFYHOST, checked * 2);
	(void)curl_easy_setopt(t->curl, CURLOPT_CAINFO, NULL);
	(void)curl_easy_setopt(t->curl, CURLOPT_CAPATH, NULL);
	(void)curl_easy_setopt(t->curl, CURLOPT_CAINFO_BLOB, &blob);
	(void)curl_easy_setopt(t->curl, CURLOPT_PROXY_CAINFO_BLOB, &blob);
}

/* Credentials go to the URL's host alone, and in the clear only if they were
 * given so. */
static void set_credentials(const struct transfer *t)
{
	char *const *wire = t->wire.v;
	const char *kind = wire[HTTP_WIRE_AUTH];

	if (!*kind || (!has_flag(t, HTTP_AUTH_IN_CLEAR) &&
		       strncasecmp(url(t), "https:", 6) != 0))
		return;
	if (strcmp(kind, "oauth") == 0) {
		(void)curl_easy_setopt(t->curl, CURLOPT_HTTPAUTH,
				       (long)CURLAUTH_BEARER);
		(void)curl_easy_setopt(t->curl, CURLOPT_XOAUTH2_BEARER,
				       wire[HTTP_WIRE_SECRET]);
		return;
	}
	(void)curl_easy_setopt(t->curl, CURLOPT_USERNAME, wire[HTTP_WIRE_USER]);
	(void)curl_easy_setopt(t->curl, CURLOPT_PASSWORD,
			       wire[HTTP_WIRE_SECRET]);
	if (strcmp(kind, "aws") == 0) {
		const char *region = wire[HTTP_WIRE_REGION];
		cleanup_free char *how = xasprintf(
			"aws:amz:%s:s3", *region ? region : "us-east-1");

		(void)curl_easy_setopt(t->curl, CURLOPT_AWS_SIGV4, how);
	} else {
		(void)curl_easy_setopt(t->curl, CURLOPT_HTTPAUTH,
				       (long)CURLAUTH_BASIC);
	}
}

static int set_upload(struct transfer *t, struct error *err)
{
	struct stat st;

	if (fstat(t->upload_fd, &st) < 0)
		return error_sys(err, errno, "look at what to send");
	if ((uint64_t)st.st_size < t->upload_from)
		return error_set(err, EPROTO,
				 "look at what to send: it is too "
				 "short");
	t->upload_size = (uint64_t)st.st_size - t->upload_from;
	(void)curl_easy_setopt(t->curl, CURLOPT_UPLOAD, 1L);
	(void)curl_easy_setopt(t->curl, CURLOPT_READFUNCTION, on_upload);
	(void)curl_easy_setopt(t->curl, CURLOPT_READDATA, t);
	(void)curl_easy_setopt(t->curl, CURLOPT_SEEKFUNCTION, on_rewind);
	(void)curl_easy_setopt(t->curl, CURLOPT_SEEKDATA, t);
	(void)curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE,
			       (curl_off_t)t->upload_size);
	return 0;
}

static int set_method(struct transfer *t, struct error *err)
{
	const char *given = t->wire.v[HTTP_WIRE_METHOD];
	int r = t->upload_fd >= 0 ? set_upload(t, err) : 0;

	if (r < 0)
		return r;
	if (strcmp(given, "HEAD") == 0)
		(void)curl_easy_setopt(t->curl, CURLOPT_NOBODY, 1L);
	else if (*given)
		(void)curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, given);
	/* Without a file to send, what is no GET sends an empty body. */
	if (t->upload_fd < 0 &&
	    (strcmp(given, "POST") == 0 || strcmp(given, "PUT") == 0)) {
		(void)curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, "");
		(void)curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE, 0L);
	}
	return 0;
}

static void set_callbacks(struct transfer *t)
{
	(void)curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
	(void)curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(t->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(t->curl, CURLOPT_XFERINFODATA, t);
	(void)curl_easy_setopt(t->curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, t->reason);
}

/* Once; what differs between attempts is set by attempt(). */
static int set_up(struct transfer *t, const struct strbuf *authorities,
		  struct error *err)
{
	(void)curl_easy_setopt(t->curl, CURLOPT_URL, url(t));
	(void)curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(t->curl, CURLOPT_USERAGENT, "rkt/" RKT_VERSION);
	(void)curl_easy_setopt(t->curl, CURLOPT_FOLLOWLOCATION, 1L);
	(void)curl_easy_setopt(t->curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	(void)curl_easy_setopt(t->curl, CURLOPT_BUFFERSIZE, 512L * 1024);
	(void)curl_easy_setopt(t->curl, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	set_limits(t);
	set_security(t, authorities);
	set_credentials(t);
	set_callbacks(t);
	return set_method(t, err);
}

/* --- attempts ------------------------------------------------------------ */

static const struct curl_meaning {
	CURLcode curl;
	int code;
	const char *text; /* NULL: curl's own */
	bool is_passing;  /* worth another attempt */
} meanings[] = {
	{CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH, NULL, false},
	{CURLE_COULDNT_RESOLVE_PROXY, EHOSTUNREACH, NULL, false},
	{CURLE_UNSUPPORTED_PROTOCOL, EPROTO, NULL, false},
	{CURLE_COULDNT_CONNECT, ECONNREFUSED, NULL, true},
	{CURLE_OPERATION_TIMEDOUT, ETIMEDOUT, NULL, true},
	{CURLE_SSL_CONNECT_ERROR, EPROTONOSUPPORT, NULL, false},
	{CURLE_GOT_NOTHING, ECONNRESET, NULL, true},
	{CURLE_SEND_ERROR, ECONNRESET, NULL, true},
	{CURLE_RECV_ERROR, ECONNRESET, NULL, true},
	{CURLE_PARTIAL_FILE, EPROTO, NULL, true},
	{CURLE_HTTP2, EPROTO, NULL, true},
	{CURLE_HTTP2_STREAM, EPROTO, NULL, true},
	{CURLE_TOO_MANY_REDIRECTS, ELOOP, "it redirects more than 10 times",
	 false},
	{CURLE_PEER_FAILED_VERIFICATION, EPERM, NULL, false},
	{CURLE_SSL_CACERT_BADFILE, EPERM,
	 "the certificate authorities cannot be read", false},
	{CURLE_URL_MALFORMAT, EINVAL, "the URL is malformed", false},
};

static const struct curl_meaning *find_meaning(CURLcode curl)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (meanings[i].curl == curl)
			return &meanings[i];
	return NULL;
}

/* The scheme was not among those allowed: at once, or by a redirect. */
static int refuse_scheme(struct transfer *t)
{
	bool is_first = strncasecmp(url(t), "http:", 5) == 0 &&
			!has_flag(t, HTTP_PLAIN_OK);

	if (is_first)
		return error_set(&t->error, EPERM,
				 "%s %s: plain http is not allowed (see "
				 "--insecure-options)",
				 method(t), url(t));
	return error_set(&t->error, EPERM,
			 "%s %s: it redirects to where nothing is fetched "
			 "from: only %s is allowed",
			 method(t), url(t),
			 has_flag(t, HTTP_PLAIN_OK) ? "http and https"
						    : "https");
}

/* Makes t->error of what curl says; true if it may pass. */
static bool judge(struct transfer *t, CURLcode curl)
{
	const struct curl_meaning *m = find_meaning(curl);
	const char *text = *t->reason ? t->reason : curl_easy_strerror(curl);

	if (t->error.code)
		return false;
	/* What is no HTTP is this code's other meaning. */
	if (curl == CURLE_UNSUPPORTED_PROTOCOL &&
	    !strstr(t->reason, "HTTP/0.9")) {
		(void)refuse_scheme(t);
		return false;
	}
	(void)error_set(&t->error, m ? m->code : EIO, "%s %s: %s", method(t),
			url(t), m && m->text ? m->text : text);
	return m && m->is_passing;
}

static void add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more)
		*list = more;
}

/* The rest only, if what is there has a name and nothing else was asked. */
static void ask_range(const struct transfer *t, struct curl_slist **list)
{
	const struct body *b = &t->body;
	cleanup_free char *range = NULL;
	cleanup_free char *condition = NULL;

	if (!has_flag(t, HTTP_RESUME) || b->size == 0 || b->validator.len == 0)
		return;
	range = xasprintf("Range: bytes=%" PRIu64 "-", b->size);
	add_line(list, range);
	if (has_flag(t, HTTP_IMMUTABLE))
		return;
	condition = xasprintf("If-Range: %s", b->validator.buf);
	add_line(list, condition);
}

/* 416: the file ended where we ask for more. */
static bool is_whole_already(const struct transfer *t)
{
	struct content_range range;

	return t->status == 416 &&
	       http_content_range_parse(find_header(t, "content-range"),
					&range) == 0 &&
	       range.is_unsatisfied && range.total == t->body.size;
}

static CURLcode perform(struct transfer *t)
{
	cleanup_slist struct curl_slist *lines = NULL;
	CURLcode curl;

	strv_release(&t->headers);
	t->headers_len = 0;
	t->has_begun = t->is_dropping = false;
	t->status = 0;
	t->uploaded = 0;
	strbuf_reset(&t->text);
	t->reason[0] = '\0';
	t->error.code = 0;
	for (size_t i = HTTP_WIRE_HEADERS; i < t->wire.n; i++)
		add_line(&lines, t->wire.v[i]);
	if (strcmp(t->wire.v[HTTP_WIRE_AUTH], "aws") == 0)
		add_line(&lines, t->upload_fd < 0 ? S3_EMPTY : S3_UNSIGNED);
	ask_range(t, &lines);
	(void)curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, lines);
	curl = curl_easy_perform(t->curl);
	(void)curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, NULL);
	return curl;
}

/* 0 there is an answer, 1 it may pass (t->error says what), -errno. */
static int attempt(struct transfer *t)
{
	CURLcode curl = perform(t);

	if (curl == CURLE_OK && begin(t) < 0)
		return -t->error.code;
	if (t->is_dropping && !t->error.code)
		curl = CURLE_OK; /* we ended the connection */
	if (curl == CURLE_OK && !t->is_dropping && t->total &&
	    t->body.fd >= 0 && t->body.size != t->total)
		curl = CURLE_PARTIAL_FILE;
	if (curl != CURLE_OK)
		return judge(t, curl) ? 1 : -t->error.code;
	if (is_whole_already(t)) {
		t->status = 200;
		t->total = t->body.size;
		body_continue(&t->body);
	}
	if (t->status >= 500 || t->status == 429) {
		(void)error_set(&t->error, EIO, "%s: the server answered %ld",
				url(t), t->status);
		return 1;
	}
	return 0;
}

/* Whether a next attempt could use what this one brought. */
static bool can_go_on(const struct transfer *t)
{
	return t->body.announced == 0 || t->body.validator.len > 0;
}

static void pause_before(struct transfer *t, unsigned int n)
{
	int64_t ms = (int64_t)PAUSE_MS << n;
	int64_t asked = http_retry_after(find_header(t, "retry-after"),
					 RETRY_AFTER_MAX);
	int64_t end;

	if (t->status >= 400 && asked * 1000 > ms)
		ms = asked * 1000;
	send_event(t, t->error.msg);
	/* A reader waits for a ring each second. */
	for (end = now_ms() + ms; now_ms() < end;) {
		int64_t left = end - now_ms();
		struct timespec step = {0, (left < 200 ? left : 200) * 1000000};

		(void)nanosleep(&step, NULL);
		http_bell_ring(t->body.bell_fd);
	}
}

/* 0 there is an answer, maybe a 5xx after all; or -errno with t->error. */
static int attempts(struct transfer *t)
{
	for (unsigned int n = 0;; n++) {
		int r = attempt(t);
		bool is_answer = t->status >= 429 && t->is_dropping;

		if (r <= 0)
			return r;
		if (n < t->request->http_retries && can_go_on(t)) {
			pause_before(t, n < 6 ? n : 6);
			continue;
		}
		if (is_answer)
			return 0;
		if (!can_go_on(t))
			return error_prefix(&t->error, -t->error.code,
					    "cannot be resumed");
		return -t->error.code;
	}
}

/* --- all of it ----------------------------------------------------------- */

static void take_descriptors(struct transfer *t, const struct fetch_job *job)
{
	const struct fetch_request *r = &job->request;
	const int *next = job->fds + 2;

	t->body = (struct body)BODY_INIT;
	t->upload_fd = -EBADF;
	if (r->has_body)
		t->body.fd = *next++;
	if (r->has_partial)
		t->body.partial_fd = *next++;
	if (r->has_http_bell)
		t->body.bell_fd = *next++;
	if (r->has_upload)
		t->upload_fd = *next++;
	t->upload_from = r->upload_from;
	t->body.max = r->max_tar_size;
}

static int read_wire(struct transfer *t, const struct fetch_job *job,
		     struct error *err)
{
	struct stat st;
	int r;

	if (fstat(job->fds[0], &st) < 0)
		return error_sys(err, errno, "look at the request");
	r = http_wire_read(job->fds[0], (size_t)st.st_size, &t->wire, err);
	if (r == 0 && t->wire.n < HTTP_WIRE_HEADERS)
		r = error_set(err, EPROTO, "the request is cut short");
	return r;
}

static int write_answer(struct transfer *t, int fd,
			struct fetch_http_reply *ret, struct error *err)
{
	cleanup_strv struct strv answer = STRV_INIT;
	char *effective = NULL;
	size_t len = 0;
	int r;

	(void)curl_easy_getinfo(t->curl, CURLINFO_EFFECTIVE_URL, &effective);
	strv_push(&answer, effective ? effective : url(t));
	strbuf_addch(&t->text, '\0');
	strv_push(&answer, t->text.buf);
	strv_append(&answer, &t->headers);
	r = http_wire_write(fd, &answer, &len, err);
	if (r < 0)
		return r;
	*ret = (struct fetch_http_reply){
		.status = t->status == 206 ? 200 : (uint32_t)t->status,
		.answer_len = (uint32_t)len,
		.body_size =
			t->is_dropping && t->status != 200 ? 0 : t->body.size,
	};
	return 0;
}

static int run(struct transfer *t, const struct fetch_job *job,
	       const struct strbuf *authorities, struct fetch_http_reply *ret,
	       struct error *err)
{
	int r = body_open(&t->body, err);

	if (r == 0)
		r = set_up(t, authorities, err);
	if (r < 0)
		return r;
	r = attempts(t);
	if (r < 0) {
		*err = t->error;
		return r;
	}
	if (t->status >= 200 && t->status < 300)
		body_end(&t->body);
	return write_answer(t, job->fds[1], ret, err);
}

int transfer_prepare(struct error *err)
{
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return error_set(err, ENOMEM, "start curl");
	return 0;
}

int transfer_run(const struct fetch_job *job, const struct strbuf *authorities,
		 struct fetch_http_reply *ret, struct error *err)
{
	cleanup_with(curl_easy_cleanup_cleanup) CURL *curl = curl_easy_init();
	static struct transfer t = {.text = STRBUF_INIT};
	int r;

	if (!curl)
		return error_set(err, ENOMEM, "start curl");
	t.request = &job->request;
	t.curl = curl;
	take_descriptors(&t, job);
	r = read_wire(&t, job, err);
	if (r == 0)
		r = run(&t, job, authorities, ret, err);
	strv_release(&t.headers);
	strv_release(&t.wire);
	strbuf_release(&t.text);
	body_release(&t.body);
	return r;
}
