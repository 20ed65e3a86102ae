/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/stage1_abi.h"
#include "stage0/pod.h"
#include "stage0/pod_stage1.h"

#define ROTATED_MAX 64
#define CHUNK (64 * 1024)
#define OUT_MAX (1024UL * 1024)

/* One app's log, read from its oldest file to the newest. */
struct reader {
	char *app;
	int fd;		    /* -EBADF: nothing to read yet */
	struct strbuf data; /* read, not yet given out */
	size_t at;	    /* of the next record in data */
	struct log_record record;
	bool has_record;
	struct strbuf line; /* partial records so far */
};

struct logs {
	int dirfd;
	int inotify_fd;
	struct reader *readers;
	size_t n_readers;
};

/* --- records ---------------------------------------------------------------
 */

/* The field up to the next blank; NULL if there is none. */
static const char *field(const char *s, const char *end, size_t *len)
{
	const char *blank = memchr(s, ' ', (size_t)(end - s));

	if (!blank || blank == s)
		return NULL;
	*len = (size_t)(blank - s);
	return blank + 1;
}

int log_record_parse(const char *line, size_t len, struct log_record *ret)
{
	const char *end = line + len;
	const char *stream, *flag, *text;
	size_t time_len, stream_len, flag_len;

	stream = field(line, end, &time_len);
	flag = stream ? field(stream, end, &stream_len) : NULL;
	text = flag ? field(flag, end, &flag_len) : NULL;
	if (!text || flag_len != 1 || (*flag != 'F' && *flag != 'P'))
		return -EINVAL;
	*ret = (struct log_record){
		.time = line,
		.time_len = time_len,
		.stream = stream,
		.stream_len = stream_len,
		.is_partial = *flag == 'P',
		.text = text,
		.text_len = (size_t)(end - text),
	};
	return 0;
}

/* --- files -----------------------------------------------------------------
 */

/* logs/APP for 0, else logs/APP.N. */
static int open_file(const struct logs *logs, const char *app, int n)
{
	cleanup_free char *name = n ? xasprintf("%s.%d", app, n) : xstrdup(app);
	int fd = openat(logs->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int oldest(const struct logs *logs, const char *app)
{
	int n = 0;

	while (n < ROTATED_MAX) {
		cleanup_fd int fd = open_file(logs, app, n + 1);

		if (fd < 0)
			break;
		n++;
	}
	return n;
}

static bool is_file(const struct logs *logs, const char *app, int n,
		    const struct stat *st)
{
	cleanup_fd int fd = open_file(logs, app, n);
	struct stat there;

	return fd >= 0 && fstat(fd, &there) == 0 &&
	       there.st_ino == st->st_ino && there.st_dev == st->st_dev;
}

/* At the end of a file: the one after it, if there is one.  1 if so. */
static int next_file(const struct logs *logs, struct reader *r)
{
	struct stat st;
	int n = 0;

	if (r->fd < 0) {
		r->fd = open_file(logs, r->app, oldest(logs, r->app));
		return r->fd >= 0;
	}
	if (fstat(r->fd, &st) < 0)
		return -errno;
	while (n <= ROTATED_MAX && !is_file(logs, r->app, n, &st))
		n++;
	if (n == 0)
		return 0;
	/* Gone already: go on with the oldest that is left. */
	if (n > ROTATED_MAX)
		n = oldest(logs, r->app) + 1;
	fd_close(&r->fd);
	r->fd = open_file(logs, r->app, n - 1);
	return r->fd >= 0;
}

/* --- reading ---------------------------------------------------------------
 */

static int fill(const struct logs *logs, struct reader *r)
{
	char buf[CHUNK];
	ssize_t n = 0;
	int more = 1;

	if (r->at > 0) {
		memmove(r->data.buf, r->data.buf + r->at, r->data.len - r->at);
		strbuf_setlen(&r->data, r->data.len - r->at);
		r->at = 0;
	}
	while (more > 0) {
		n = r->fd < 0 ? 0 : read(r->fd, buf, sizeof(buf));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			break;
		more = n == 0 ? next_file(logs, r) : 1;
	}
	if (n > 0)
		strbuf_add(&r->data, buf, (size_t)n);
	return n > 0;
}

/* Makes r->record the next record; lines that are none are passed over. */
static int advance(const struct logs *logs, struct reader *r)
{
	while (!r->has_record) {
		char *line = r->data.buf + r->at;
		char *end = memchr(line, '\n', r->data.len - r->at);
		int more;

		if (end) {
			r->at += (size_t)(end - line) + 1;
			r->has_record =
				log_record_parse(line, (size_t)(end - line),
						 &r->record) == 0;
			continue;
		}
		more = fill(logs, r);
		if (more <= 0)
			return more;
	}
	return 1;
}

static int compare_times(const struct log_record *a, const struct log_record *b)
{
	size_t len = a->time_len < b->time_len ? a->time_len : b->time_len;
	int r = memcmp(a->time, b->time, len);

	return r ? r
		 : (a->time_len > b->time_len) - (a->time_len < b->time_len);
}

/* "2006-01-02T15:04:05.123456789Z" as "2006-01-02 15:04:05.123456". */
static void add_time(struct strbuf *out, const struct log_record *record)
{
	size_t len = record->time_len < 26 ? record->time_len : 26;

	for (size_t i = 0; i < len; i++)
		strbuf_addch(out,
			     record->time[i] == 'T' ? ' ' : record->time[i]);
}

static void give_out(struct reader *r, struct strbuf *out)
{
	strbuf_add(&r->line, r->record.text, r->record.text_len);
	r->has_record = false;
	if (r->record.is_partial && r->line.len < OUT_MAX)
		return;
	strbuf_addch(out, '[');
	add_time(out, &r->record);
	strbuf_addf(out, "] %s: ", r->app);
	strbuf_add(out, r->line.buf, r->line.len);
	strbuf_addch(out, '\n');
	strbuf_reset(&r->line);
}

int logs_read(struct logs *logs, struct strbuf *out, struct error *err)
{
	while (out->len < OUT_MAX) {
		struct reader *first = NULL;

		for (size_t i = 0; i < logs->n_readers; i++) {
			struct reader *r = &logs->readers[i];
			int ret = advance(logs, r);

			if (ret < 0)
				return error_sys(err, -ret, "read log of %s",
						 r->app);
			if (ret > 0 &&
			    (!first ||
			     compare_times(&r->record, &first->record) < 0))
				first = r;
		}
		if (!first)
			break;
		give_out(first, out);
	}
	return 0;
}

/* --- life ------------------------------------------------------------------
 */

#define CHANGES (IN_MODIFY | IN_CREATE | IN_MOVED_TO)

static void watch(const struct pod *pod, struct logs *logs)
{
	cleanup_free char *named = NULL;
	char path[PROC_FD_MAX];

	logs->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (logs->inotify_fd < 0 ||
	    inotify_add_watch(logs->inotify_fd, proc_fd_path(logs->dirfd, path),
			      CHANGES) >= 0)
		return;
	/* A process that is not dumpable has no /proc/self. */
	named = xasprintf("%s/pods/%s/%s/" POD_LOGS_DIR, pod->pods->dir,
			  pod_dir_name(pod->dir), pod->uuid);
	if (inotify_add_watch(logs->inotify_fd, named, CHANGES) < 0)
		fd_close(&logs->inotify_fd);
}

int logs_open(const struct pod *pod, const struct strv *apps, struct logs **ret,
	      struct error *err)
{
	struct logs *logs = xcalloc(1, sizeof(*logs));

	logs->inotify_fd = -EBADF;
	logs->dirfd = openat(pod->fd, POD_LOGS_DIR,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (logs->dirfd < 0) {
		int code = errno;
		int r = code == ENOENT ? pod_stage1_want_native(pod->fd, err)
				       : 0;

		if (r == 0)
			r = error_sys(err, code, "open logs of pod %s",
				      pod->uuid);
		logs_free(logs);
		return r;
	}
	watch(pod, logs);
	logs->readers = xcalloc(apps->n + 1, sizeof(*logs->readers));
	logs->n_readers = apps->n;
	for (size_t i = 0; i < apps->n; i++) {
		logs->readers[i].app = xstrdup(apps->v[i]);
		logs->readers[i].fd = -EBADF;
		strbuf_init(&logs->readers[i].data);
		strbuf_init(&logs->readers[i].line);
	}
	*ret = logs;
	return 0;
}

void logs_free(struct logs *logs)
{
	for (size_t i = 0; i < logs->n_readers; i++) {
		free(logs->readers[i].app);
		fd_close(&logs->readers[i].fd);
		strbuf_release(&logs->readers[i].data);
		strbuf_release(&logs->readers[i].line);
	}
	free(logs->readers);
	fd_close(&logs->dirfd);
	fd_close(&logs->inotify_fd);
	free(logs);
}

int logs_fd(const struct logs *logs)
{
	return logs->inotify_fd;
}

int logs_wait(struct logs *logs, int timeout_ms, struct error *err)
{
	char events[4096]
		__attribute__((__aligned__(__alignof__(struct inotify_event))));
	struct pollfd p = {.fd = logs->inotify_fd, .events = POLLIN};

	if (poll(&p, 1, timeout_ms) < 0 && errno != EINTR)
		return error_sys(err, errno, "wait for logs");
	while (logs->inotify_fd >= 0 &&
	       read(logs->inotify_fd, events, sizeof(events)) > 0)
		;
	return 0;
}
