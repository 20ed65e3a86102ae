/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/log_streams.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "cmd/rkt-api/grpc.h"
#include "cmd/rkt-api/methods.h"
#include "cmd/rkt-api/service.h"
#include "spec/api.h"
#include "spec/protobuf.h"
#include "stage0/logs.h"
#include "stage0/pod_info.h"

#define STREAMS_MAX 64
/* No more is read while this much waits to be sent. */
#define QUEUED_MAX (256UL << 10)
#define LAST_LINES_MAX 10000
#define LAST_BYTES_MAX (8UL << 20)
/* Unasked, where the kernel does not tell. */
#define PAUSE_MS 200
#define TIME_LEN 19 /* "2006-01-02 15:04:05", behind a bracket */
#define TIME_SIZE 72

/* The last lines so far, oldest first; those before `first` are gone. */
struct last_lines {
	char **v;
	size_t first, n, room;
	size_t bytes;
};

struct log_stream {
	struct log_stream *next, **at;
	struct grpc_call *call;
	struct api_get_logs request;
	struct pod pod;
	struct logs *logs;
	char since[TIME_SIZE], until[TIME_SIZE]; /* as lines have it; "": any */
	bool is_following; /* all that was there is sent */
	bool has_ended;	   /* what is read next is the last */
	bool is_waiting;   /* for the logs to change */
	struct last_lines last;
	size_t fd_at; /* in the poll set */
};

struct log_streams {
	struct log_stream *first;
};

struct log_streams *log_streams_new(void)
{
	return xcalloc(1, sizeof(struct log_streams));
}

/* --- the last lines --------------------------------------------------------
 */

static void last_drop(struct last_lines *last)
{
	last->bytes -= strlen(last->v[last->first]);
	free(last->v[last->first++]);
	if (last->first < LAST_LINES_MAX)
		return;
	last->n -= last->first;
	memmove(last->v, last->v + last->first, last->n * sizeof(*last->v));
	last->first = 0;
}

static void last_add(struct last_lines *last, size_t max, const char *line,
		     size_t len)
{
	if (last->n == last->room) {
		last->room = last->room * 2 + 64;
		last->v = xreallocarray(last->v, last->room, sizeof(*last->v));
	}
	last->v[last->n] = xstrndup(line, len);
	last->bytes += strlen(last->v[last->n++]);
	while (last->n - last->first > max || last->bytes > LAST_BYTES_MAX)
		last_drop(last);
}

static void last_release(struct last_lines *last)
{
	for (size_t i = last->first; i < last->n; i++)
		free(last->v[i]);
	free(last->v);
	*last = (struct last_lines){0};
}

/* --- streams ---------------------------------------------------------------
 */

static void stream_free(struct log_stream *s)
{
	*s->at = s->next;
	if (s->next)
		s->next->at = s->at;
	if (s->logs)
		logs_free(s->logs);
	pod_close(&s->pod);
	last_release(&s->last);
	api_get_logs_release(&s->request);
	free(s);
}

static void stream_gone(void *data)
{
	stream_free(data);
}

/* --- lines -----------------------------------------------------------------
 */

static bool is_meant(const struct log_stream *s, const char *line, size_t len)
{
	if (len < TIME_LEN + 1)
		return false;
	return (!*s->since || strncmp(line + 1, s->since, TIME_LEN) >= 0) &&
	       (!*s->until || strncmp(line + 1, s->until, TIME_LEN) <= 0);
}

static void send_last(struct log_stream *s)
{
	cleanup_strbuf struct strbuf message = STRBUF_INIT;

	for (size_t i = s->last.first; i < s->last.n; i++)
		protobuf_add_element(&message, 1, s->last.v[i],
				     strlen(s->last.v[i]));
	if (message.len > 0)
		grpc_call_send(s->call, &message);
	last_release(&s->last);
}

static void take_lines(struct log_stream *s, const struct strbuf *text)
{
	cleanup_strbuf struct strbuf message = STRBUF_INIT;
	const char *at = text->buf, *end = text->buf + text->len, *newline;
	bool only_last = s->request.lines > 0 && !s->is_following;

	for (; (newline = memchr(at, '\n', (size_t)(end - at)));
	     at = newline + 1) {
		size_t len = (size_t)(newline - at);

		if (!is_meant(s, at, len))
			continue;
		if (only_last)
			last_add(&s->last, (size_t)s->request.lines, at, len);
		else
			protobuf_add_element(&message, 1, at, len);
	}
	if (message.len > 0)
		grpc_call_send(s->call, &message);
}

/* --- reading ---------------------------------------------------------------
 */

static void finish(struct log_stream *s)
{
	grpc_call_finish(s->call, GRPC_OK, NULL);
	stream_free(s);
}

/* Nothing more is there now. */
static void pause_stream(struct log_stream *s)
{
	if (!s->is_following)
		send_last(s);
	s->is_following = true;
	if (!s->request.follow || s->has_ended) {
		finish(s);
		return;
	}
	/* What it wrote until now is read once more. */
	s->has_ended = pod_state(&s->pod) != POD_STATE_RUNNING;
	s->is_waiting = !s->has_ended;
}

static void stream_run(struct log_stream *s)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int r;

	if (s->is_waiting || grpc_call_queued(s->call) > QUEUED_MAX)
		return;
	r = logs_read(s->logs, &text, &err);
	if (r < 0) {
		call_fail(s->call, r, &err);
		stream_free(s);
	} else if (text.len > 0) {
		take_lines(s, &text);
	} else {
		pause_stream(s);
	}
}

void log_streams_add_fds(struct log_streams *l, struct poll_set *set)
{
	for (struct log_stream *s = l->first; s; s = s->next)
		s->fd_at = poll_set_add(set, logs_fd(s->logs),
					s->is_waiting ? POLLIN : 0);
}

void log_streams_run(struct log_streams *l, const struct poll_set *set,
		     bool pods_changed)
{
	struct log_stream *next;

	for (struct log_stream *s = l->first; s; s = next) {
		next = s->next;
		if (s->is_waiting && (pods_changed || logs_fd(s->logs) < 0 ||
				      set->v[s->fd_at].revents)) {
			(void)logs_wait(s->logs, 0, NULL);
			s->is_waiting = false;
		}
		stream_run(s);
	}
}

int log_streams_timeout(const struct log_streams *l)
{
	int ms = INT_MAX;

	for (const struct log_stream *s = l->first; s; s = s->next) {
		if (s->is_waiting && logs_fd(s->logs) < 0 && ms > PAUSE_MS)
			ms = PAUSE_MS;
		else if (!s->is_waiting &&
			 grpc_call_queued(s->call) <= QUEUED_MAX)
			ms = 0;
	}
	return ms;
}

/* --- requests --------------------------------------------------------------
 */

/* As lines have it. */
static void format_seconds(int64_t seconds, char ret[TIME_SIZE])
{
	time_t t = seconds;
	struct tm tm;

	*ret = '\0';
	if (seconds > 0 && gmtime_r(&t, &tm))
		(void)strftime(ret, TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
}

static int list_apps(const struct log_stream *s, struct strv *ret,
		     struct error *err)
{
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	const char *only = s->request.app_name;
	int r = pod_info_load(&s->pod, &info, err);

	for (size_t i = 0; r == 0 && i < info.manifest.n_apps; i++)
		if (!only || !*only || strcmp(only, info.apps[i].name) == 0)
			strv_push(ret, info.apps[i].name);
	if (r == 0 && only && *only && ret->n == 0)
		r = error_set(err, ENOENT, "pod %s has no app %s", s->pod.uuid,
			      only);
	return r;
}

static int open_logs(const struct service *service, struct log_stream *s,
		     struct error *err)
{
	cleanup_strv struct strv apps = STRV_INIT;
	int r = pod_open(&service->pods,
			 s->request.pod_id ? s->request.pod_id : "", &s->pod,
			 err);

	if (r == 0)
		r = list_apps(s, &apps, err);
	if (r == 0)
		r = logs_open(&s->pod, &apps, &s->logs, err);
	format_seconds(s->request.since_time, s->since);
	format_seconds(s->request.until_time, s->until);
	if (s->request.lines > LAST_LINES_MAX)
		s->request.lines = LAST_LINES_MAX;
	return r;
}

void get_logs(void *data, struct grpc_call *call, const char *request,
	      size_t len)
{
	struct service *service = data;
	struct log_streams *l = service->logs;
	struct log_stream *s = xcalloc(1, sizeof(*s));
	struct error err = ERROR_INIT;
	size_t n = 0;
	int r;

	for (const struct log_stream *other = l->first; other;
	     other = other->next)
		n++;
	*s = (struct log_stream){.next = l->first,
				 .at = &l->first,
				 .call = call,
				 .pod = POD_INIT};
	if (s->next)
		s->next->at = &s->next;
	l->first = s;
	r = n >= STREAMS_MAX
		    ? error_set(&err, EFBIG,
				"%d clients read logs already: try again later",
				STREAMS_MAX)
		    : api_get_logs_parse(request, len, &s->request, &err);
	if (r == 0)
		r = open_logs(service, s, &err);
	if (r < 0) {
		stream_free(s);
		call_fail(call, r, &err);
		return;
	}
	grpc_call_on_end(call, stream_gone, s);
	grpc_call_begin(call);
}
