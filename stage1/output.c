/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "spec/stage1_abi.h"
#include "stage1/state.h"

/* A pipe or terminal that polls writable takes this much at once. */
#define TERMINAL_CHUNK 1024
/* A pipe is emptied by that many reads: /proc/sys/fs/pipe-max-size. */
#define PIPE_READS_MAX 64

/* --- the terminal ----------------------------------------------------------
 */

/* Nothing is read that would only wait here. */
static uint32_t wanted(const struct output *output)
{
	bool waits = output->terminal >= 0 && output->pending.len;

	return waits || output->journal.is_full ? 0 : EPOLLIN;
}

static void set_reading(struct output *output)
{
	for (struct output_stream *s = output->streams; s; s = s->next)
		if (s->source.fd >= 0)
			(void)event_modify(output->loop, &s->source,
					   wanted(output));
}

void output_detach_terminal(struct output *output)
{
	if (output->terminal < 0)
		return;
	if (output->pending.len)
		event_remove(output->loop, &output->terminal_source);
	strbuf_reset(&output->pending);
	output->terminal = -EBADF;
	set_reading(output);
}

static void drop_front(struct strbuf *sb, size_t n)
{
	memmove(sb->buf, sb->buf + n, sb->len - n);
	strbuf_setlen(sb, sb->len - n);
}

static void say_unshown(struct output *output)
{
	if (output->n_unshown)
		log_warning("%" PRIu64 " lines of the apps were not shown, "
			    "as nobody took them: \"rkt logs\" has them",
			    output->n_unshown);
	output->n_unshown = 0;
}

/* Writes as much as goes without blocking; false when nobody reads. */
static bool write_pending(struct output *output)
{
	struct strbuf *sb = &output->pending;

	while (sb->len) {
		struct pollfd p = {.fd = output->terminal, .events = POLLOUT};
		size_t n = sb->len < TERMINAL_CHUNK ? sb->len : TERMINAL_CHUNK;
		ssize_t done;

		if (poll(&p, 1, 0) == 0)
			return true;
		done = write(output->terminal, sb->buf, n);
		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			return true;
		if (done < 0)
			return false;
		drop_front(sb, (size_t)done);
	}
	return true;
}

static void on_terminal_writable(struct event_source *source, uint32_t events)
{
	struct output *output = source->data;

	(void)events;
	if (!write_pending(output)) {
		output_detach_terminal(output);
	} else if (output->pending.len == 0) {
		event_remove(output->loop, source);
		say_unshown(output);
		set_reading(output);
	}
}

static void wait_for_terminal(struct output *output)
{
	output->terminal_source = (struct event_source){
		.fd = output->terminal,
		.fn = on_terminal_writable,
		.data = output,
	};
	if (event_add(output->loop, &output->terminal_source, EPOLLOUT) < 0)
		output_detach_terminal(output);
	else
		set_reading(output);
}

static void show(struct output *output, const struct strbuf *text)
{
	bool was_empty = output->pending.len == 0;

	if (output->terminal < 0 || text->len == 0)
		return;
	if (output->pending.len > OUTPUT_WAITING_MAX) {
		for (size_t i = 0; i < text->len; i++)
			output->n_unshown += text->buf[i] == '\n';
		return;
	}
	strbuf_add(&output->pending, text->buf, text->len);
	if (!was_empty)
		return;
	if (!write_pending(output)) {
		output_detach_terminal(output);
	} else if (output->pending.len) {
		wait_for_terminal(output);
	}
}

static void on_journal_full(struct journald *j, bool is_full)
{
	(void)is_full;
	set_reading(j->data);
}

/* As systemd names standard output: its own stream needs no second copy. */
static int open_journal(struct output *output, struct error *err)
{
	bool is_stream =
		output->terminal >= 0 &&
		journald_is_stream(output->terminal, getenv("JOURNAL_STREAM"));
	int r;

	output->journal = (struct journald)JOURNALD_INIT;
	output->journal.on_full = on_journal_full;
	output->journal.data = output;
	output->journal.is_only = output->kept == OUTPUT_KEPT_JOURNAL;
	if (is_stream && output->kept == OUTPUT_KEPT_FILE)
		output->terminal = -EBADF;
	if (output->kept == OUTPUT_KEPT_FILE ||
	    (output->kept == OUTPUT_KEPT_ALL && !is_stream))
		return 0;
	r = journald_open(&output->journal, output->loop, JOURNALD_SOCKET);
	if (r == 0 && is_stream)
		output->terminal = -EBADF;
	if (r < 0 && output->journal.is_only)
		return error_sys(err, -r,
				 "--log=journal: reach journald at "
				 "" JOURNALD_SOCKET);
	return 0;
}

int output_init(struct output *output, struct event_loop *loop, int pod_dirfd,
		int terminal, enum output_kept kept, struct error *err)
{
	*output = (struct output){
		.kept = kept,
		.loop = loop,
		.terminal = terminal,
		.pending = STRBUF_INIT,
		.terminal_source = {.fd = -EBADF},
	};
	(void)mkdirat(pod_dirfd, POD_LOGS_DIR, 0750);
	output->logs_dirfd = openat(pod_dirfd, POD_LOGS_DIR,
				    O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (output->logs_dirfd < 0)
		return error_sys(err, errno, "open " POD_LOGS_DIR);
	return open_journal(output, err);
}

void output_release(struct output *output)
{
	/* The pod is over: what the terminal has not taken may block. */
	if (output->terminal >= 0 && output->pending.len)
		(void)write_full(output->terminal, output->pending.buf,
				 output->pending.len);
	say_unshown(output);
	strbuf_release(&output->pending);
	journald_close(&output->journal);
	fd_close(&output->logs_dirfd);
}

/* --- logs ------------------------------------------------------------------
 */

int output_log_open(struct output_log *log, struct output *output,
		    const char *app, struct error *err)
{
	struct stat st;

	*log = (struct output_log){
		.output = output,
		.app = xstrdup(app),
		.fd = openat(output->logs_dirfd, app,
			     O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW |
				     O_CLOEXEC,
			     0640),
	};
	if (log->fd < 0)
		return error_sys(err, errno, "open the log of %s", app);
	log->size = fstat(log->fd, &st) == 0 ? st.st_size : 0;
	return 0;
}

void output_log_close(struct output_log *log)
{
	fd_close(&log->fd);
	free(log->app);
	log->app = NULL;
}

static void reopen(struct output_log *log)
{
	fd_close(&log->fd);
	log->fd = openat(log->output->logs_dirfd, log->app,
			 O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
			 0640);
	log->size = 0;
}

static void rotate(struct output_log *log)
{
	int dirfd = log->output->logs_dirfd;

	for (int i = OUTPUT_LOGS_KEPT - 1; i >= 0; i--) {
		cleanup_free char *from =
			i ? xasprintf("%s.%d", log->app, i) : xstrdup(log->app);
		cleanup_free char *to = xasprintf("%s.%d", log->app, i + 1);

		(void)renameat(dirfd, from, dirfd, to);
	}
	reopen(log);
}

/* A full disk loses log lines, not the app, and no part of a line is left. */
static int append_all(struct output_log *log, const struct strbuf *records)
{
	int r;

	if (log->fd < 0)
		reopen(log);
	else if (log->size && log->size + (off_t)records->len > OUTPUT_LOG_MAX)
		rotate(log);
	if (log->fd < 0)
		return -errno;
	r = write_full(log->fd, records->buf, records->len);
	if (r == 0)
		log->size += (off_t)records->len;
	else if (ftruncate(log->fd, log->size) < 0)
		return -errno;
	return r;
}

static void append(struct output_log *log, const struct strbuf *records)
{
	int r;

	if (!log->app || records->len == 0 ||
	    log->output->kept == OUTPUT_KEPT_JOURNAL)
		return;
	r = append_all(log, records);
	if (r < 0 && !log->is_losing)
		log_warning("app %s: lines of its log are lost: %s", log->app,
			    strerrordesc_np(-r));
	log->is_losing = r < 0;
}

/* --- lines -----------------------------------------------------------------
 */

struct lines {
	struct strbuf records; /* for the log */
	struct strbuf text;    /* for the terminal */
	char utc[40];	       /* one time for what was read at once */
	char since_boot[40];
};

static void lines_init(struct lines *l)
{
	struct timespec wall, mono;
	struct tm tm;

	*l = (struct lines){.records = STRBUF_INIT, .text = STRBUF_INIT};
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)gmtime_r(&wall.tv_sec, &tm);
	(void)snprintf(l->utc, sizeof(l->utc),
		       "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		       tm.tm_min, tm.tm_sec, wall.tv_nsec);
	(void)snprintf(l->since_boot, sizeof(l->since_boot), "[%5lld.%06ld]",
		       (long long)mono.tv_sec, mono.tv_nsec / 1000);
}

void output_stream_describe(struct output_stream *stream, const char *pod,
			    unsigned int generation, const char *image)
{
	struct strbuf *fields = &stream->fields;

	strbuf_reset(fields);
	journald_field(fields, "SYSLOG_IDENTIFIER", stream->log->app);
	journald_field(fields, "RKT_POD", pod);
	journald_field(fields, "RKT_APP", stream->log->app);
	strbuf_addf(fields, "RKT_GENERATION=%u\n", generation);
	journald_field(fields, "RKT_IMAGE", image);
	journald_field(fields, "RKT_STREAM", stream->name);
}

static void tell_journal(const struct output_stream *s, const char *text,
			 size_t len, bool complete)
{
	struct journald *journal = &s->log->output->journal;
	struct strbuf *datagram = journald_begin(journal);

	strbuf_add(datagram, s->fields.buf, s->fields.len);
	strbuf_addf(datagram, "SYSLOG_PID=%d\n", (int)s->pid);
	journald_line(datagram, text, len, complete);
	journald_end(journal);
}

static void add_line(struct lines *l, const struct output_stream *s,
		     const char *text, size_t len, bool complete)
{
	strbuf_addf(&l->records, "%s %s %c ", l->utc, s->name,
		    complete ? 'F' : 'P');
	strbuf_add(&l->records, text, len);
	strbuf_addch(&l->records, '\n');
	if (s->log->output->journal.source.fd >= 0)
		tell_journal(s, text, len, complete);
	if (s->log->output->terminal < 0)
		return;
	strbuf_addf(&l->text, "%s %s[%d]: ", l->since_boot, s->log->app,
		    (int)s->pid);
	strbuf_add(&l->text, text, len);
	strbuf_addch(&l->text, '\n');
}

static void lines_done(struct lines *l, struct output_stream *s)
{
	append(s->log, &l->records);
	if (s->log->output->journal.source.fd >= 0)
		journald_flush(&s->log->output->journal);
	show(s->log->output, &l->text);
	strbuf_release(&l->records);
	strbuf_release(&l->text);
}

static void end_line(struct output_stream *s, struct lines *l)
{
	size_t len = s->line.len;

	if (s->is_terminal && len && s->line.buf[len - 1] == '\r')
		len--;
	add_line(l, s, s->line.buf, len, true);
	strbuf_reset(&s->line);
}

/* Cuts what was read into lines; a line too long for one record is split. */
static void take(struct output_stream *s, struct lines *l, const char *data,
		 size_t len)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;
		size_t room = OUTPUT_LINE_MAX - s->line.len;

		if (n > room) {
			strbuf_add(&s->line, data, room);
			add_line(l, s, s->line.buf, s->line.len, false);
			strbuf_reset(&s->line);
			data += room;
			len -= room;
			continue;
		}
		strbuf_add(&s->line, data, n);
		if (!end)
			return;
		end_line(s, l);
		data += n + 1;
		len -= n + 1;
	}
}

/* 1 while there may be more, 0 at the end, -EAGAIN if there is nothing now. */
static int read_some(struct output_stream *s)
{
	char buf[OUTPUT_LINE_MAX];
	struct lines l;
	ssize_t n = read(s->source.fd, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if (n == 0)
		return 0;
	if (s->tap)
		s->tap(s->tap_data, buf, (size_t)n);
	lines_init(&l);
	take(s, &l, buf, (size_t)n);
	lines_done(&l, s);
	return 1;
}

static void on_readable(struct event_source *source, uint32_t events)
{
	struct output_stream *s = source->data;
	int r = read_some(s);

	(void)events;
	if (r <= 0 && r != -EAGAIN)
		output_stream_close(s);
}

int output_stream_open(struct output_stream *stream, struct output_log *log,
		       const char *name, int fd, struct error *err)
{
	int r;

	*stream = (struct output_stream){
		.log = log,
		.name = name,
		.source = {.fd = fd, .fn = on_readable, .data = stream},
		.line = STRBUF_INIT,
		.fields = STRBUF_INIT,
		.next = log->output->streams,
	};
	r = set_nonblock(fd);
	if (r == 0)
		r = event_add(log->output->loop, &stream->source,
			      wanted(log->output));
	if (r < 0) {
		fd_close(&stream->source.fd);
		return error_sys(err, -r, "watch the output of %s", log->app);
	}
	log->output->streams = stream;
	return 0;
}

void output_stream_close(struct output_stream *s)
{
	struct output_stream **p;

	if (s->source.fd < 0)
		return;
	/* Somebody may still write: what a pipe holds was there before. */
	for (int i = 0; i < PIPE_READS_MAX && read_some(s) > 0; i++)
		;
	if (s->line.len) {
		struct lines l;

		lines_init(&l);
		add_line(&l, s, s->line.buf, s->line.len, true);
		lines_done(&l, s);
	}
	event_remove(s->log->output->loop, &s->source);
	fd_close(&s->source.fd);
	strbuf_release(&s->line);
	strbuf_release(&s->fields);
	for (p = &s->log->output->streams; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
}

/* --- for another supervisor ------------------------------------------------
 */

struct output_state {
	bool has_terminal;
	struct strbuf pending;
	struct strbuf journal;
	uint64_t n_unshown, n_dropped;
};

/* Of one that was added later. */
#define OUTPUT_LATER_ROW(member, as)                                           \
	{                                                                      \
		.key = #member, .kind = (as), .optional = true,                \
		.offset = offsetof(struct output_state, member),               \
		.size = sizeof(((struct output_state *)0)->member)             \
	}

static const struct state_row output_rows[] = {
	STATE_ROW(struct output_state, has_terminal),
	STATE_ROW(struct output_state, pending),
	OUTPUT_LATER_ROW(journal, STATE_BYTES),
	OUTPUT_LATER_ROW(n_unshown, STATE_UNSIGNED),
	OUTPUT_LATER_ROW(n_dropped, STATE_UNSIGNED),
};

void output_save(const struct output *output, struct state_writer *w,
		 const char *key)
{
	const struct output_state state = {
		.has_terminal = output->terminal >= 0 ||
				(output->kept == OUTPUT_KEPT_ALL &&
				 output->journal.source.fd >= 0),
		.pending = output->pending,
		.journal = journald_unsent(&output->journal),
		.n_unshown = output->n_unshown,
		.n_dropped = output->journal.n_dropped,
	};

	STATE_WRITE_OBJECT(w, key, output_rows, &state);
}

int output_restore(const struct json_node *node, struct output *output,
		   struct event_loop *loop, int pod_dirfd,
		   enum output_kept kept, struct error *err)
{
	struct output_state state = {
		.pending = STRBUF_INIT,
		.journal = STRBUF_INIT,
	};
	int r = STATE_READ(node, output_rows, &state);

	if (r == 0)
		r = output_init(output, loop, pod_dirfd,
				state.has_terminal ? STDOUT_FILENO : -EBADF,
				kept, err);
	if (r == 0) {
		output->pending = state.pending;
		output->journal.pending = state.journal;
		output->n_unshown = state.n_unshown;
		output->journal.n_dropped = state.n_dropped;
	} else {
		strbuf_release(&state.pending);
		strbuf_release(&state.journal);
	}
	return r;
}

void output_resume(struct output *output)
{
	if (output->terminal >= 0 && output->pending.len)
		wait_for_terminal(output);
	if (output->journal.source.fd >= 0)
		journald_flush(&output->journal);
}

static const struct state_row stream_rows[] = {
	STATE_FD_ROW_AS(struct output_stream, source.fd, "fd"),
	STATE_ROW(struct output_stream, pid),
	STATE_ROW(struct output_stream, line),
};

void output_stream_save(const struct output_stream *stream,
			struct state_writer *w, const char *key)
{
	STATE_WRITE_OBJECT(w, key, stream_rows, stream);
}

int output_stream_restore(const struct json_node *node,
			  struct output_stream *stream, struct output_log *log,
			  const char *name, struct error *err)
{
	struct output_stream saved = {
		.source = {.fd = -EBADF},
		.line = STRBUF_INIT,
	};
	int r = STATE_READ(node, stream_rows, &saved);

	if (r == 0 && saved.source.fd >= 0) {
		r = output_stream_open(stream, log, name,
				       TAKE_FD(saved.source.fd), err);
		stream->pid = saved.pid;
		stream->line = saved.line;
		strbuf_init(&saved.line);
	}
	fd_close(&saved.source.fd);
	strbuf_release(&saved.line);
	return r;
}
