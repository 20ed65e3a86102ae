/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/journald.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"

#define CLOSE_WAIT_SECONDS 5
#define DEFAULT_PRIORITY '6'
/* Datagrams a call, and bytes that are not gathered further. */
#define BATCH 64
#define FLUSH_AT (64 * 1024)

bool journald_is_stream(int fd, const char *variable)
{
	char mine[64];
	struct stat st;

	if (!variable || fstat(fd, &st) < 0)
		return false;
	(void)snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino);
	return strcmp(variable, mine) == 0;
}

/* --- fields ----------------------------------------------------------------
 */

void journald_field(struct strbuf *sb, const char *key, const char *value)
{
	strbuf_addf(sb, "%s=%.*s\n", key, (int)strcspn(value, "\n"), value);
}

void journald_line(struct strbuf *sb, const char *line, size_t len,
		   bool is_complete)
{
	char priority = DEFAULT_PRIORITY;

	if (len >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' &&
	    line[2] == '>') {
		priority = line[1];
		line += 3;
		len -= 3;
	}
	strbuf_addstr(sb, "PRIORITY=");
	strbuf_addch(sb, priority);
	strbuf_addch(sb, '\n');
	if (!is_complete)
		strbuf_addstr(sb, "CONTAINER_PARTIAL_MESSAGE=true\n");
	strbuf_addstr(sb, "MESSAGE=");
	strbuf_add(sb, line, len);
	strbuf_addch(sb, '\n');
}

/* --- sending ---------------------------------------------------------------
 */

static int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_fd int fd =
		socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* One more, after *N. */
static void lose(const struct journald *j, uint64_t *n, const char *why)
{
	if ((*n)++ == 0)
		log_warning("lines are not in the journal%s: %s",
			    j->is_only ? "" : ", but in the apps' logs", why);
}

static void say_lost(uint64_t *n)
{
	if (*n)
		log_warning("the journal lacks %" PRIu64 " lines", *n);
	*n = 0;
}

static bool is_taken_later(int r)
{
	return r == -EAGAIN || r == -ENOBUFS;
}

/* Sends from J->sent on, as many as go at once: how many, or -errno of the
 * first. */
static int send_batch(struct journald *j)
{
	struct mmsghdr messages[BATCH];
	struct iovec data[BATCH];
	size_t at = j->sent;
	unsigned int n = 0;
	int r;

	for (; n < BATCH && at < j->pending.len; n++) {
		uint32_t len;

		memcpy(&len, j->pending.buf + at, sizeof(len));
		data[n].iov_base = j->pending.buf + at + sizeof(len);
		data[n].iov_len = len;
		messages[n] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = &data[n], .msg_iovlen = 1},
		};
		at += sizeof(len) + len;
	}
	r = sendmmsg(j->source.fd, messages, n, MSG_NOSIGNAL);
	return r < 0 ? -errno : r;
}

static void skip(struct journald *j, int n)
{
	while (n-- > 0) {
		uint32_t len;

		memcpy(&len, j->pending.buf + j->sent, sizeof(len));
		j->sent += sizeof(len) + len;
	}
}

/* A journald that was started anew without its socket unit. */
static bool dial_again(struct journald *j)
{
	int fd = dial(j->path);

	if (fd < 0)
		return false;
	event_remove(j->loop, &j->source);
	fd_close(&j->source.fd);
	j->source.fd = fd;
	return !j->is_full || event_add(j->loop, &j->source, EPOLLOUT) == 0;
}

/* What was sent goes when it is most of it: the rest is moved. */
static void drop_sent(struct journald *j)
{
	if (j->sent < j->pending.len - j->sent)
		return;
	memmove(j->pending.buf, j->pending.buf + j->sent,
		j->pending.len - j->sent);
	strbuf_setlen(&j->pending, j->pending.len - j->sent);
	j->sent = 0;
}

/* Sends in order until -EAGAIN: journald has as many as it takes.  What cannot
 * be sent is lost. */
static int send_pending(struct journald *j)
{
	bool was_dialled = false;
	int r = 0;

	while (j->sent < j->pending.len) {
		r = send_batch(j);
		if (is_taken_later(r))
			break;
		if (r < 0 && r != -EMSGSIZE && !was_dialled) {
			was_dialled = true;
			if (dial_again(j))
				continue;
		}
		if (r < 0)
			lose(j, &j->n_lost, strerrordesc_np(-r));
		else
			say_lost(&j->n_lost);
		skip(j, r < 0 ? 1 : r);
		r = 0;
	}
	drop_sent(j);
	return r;
}

static void on_writable(struct event_source *source, uint32_t events)
{
	struct journald *j = source->data;

	(void)events;
	if (send_pending(j) < 0)
		return;
	j->is_full = false;
	say_lost(&j->n_dropped);
	event_remove(j->loop, &j->source);
	j->on_full(j, false);
}

void journald_flush(struct journald *j)
{
	if (j->is_full || send_pending(j) == 0)
		return;
	j->source.fn = on_writable;
	j->source.data = j;
	j->is_full = event_add(j->loop, &j->source, EPOLLOUT) == 0;
	if (j->is_full) {
		j->on_full(j, true);
	} else {
		strbuf_reset(&j->pending);
		j->sent = 0;
	}
}

struct strbuf *journald_begin(struct journald *j)
{
	const uint32_t len = 0;

	j->begun = j->pending.len;
	strbuf_add(&j->pending, &len, sizeof(len));
	return &j->pending;
}

void journald_end(struct journald *j)
{
	uint32_t len = (uint32_t)(j->pending.len - j->begun - sizeof(len));

	if (j->is_full && j->pending.len - j->sent > JOURNALD_WAITING_MAX) {
		strbuf_setlen(&j->pending, j->begun);
		lose(j, &j->n_dropped, "it does not take them");
		return;
	}
	memcpy(j->pending.buf + j->begun, &len, sizeof(len));
	if (j->pending.len - j->sent >= FLUSH_AT)
		journald_flush(j);
}

struct strbuf journald_unsent(const struct journald *j)
{
	return (struct strbuf){
		.len = j->pending.len - j->sent,
		.buf = j->pending.buf + j->sent,
	};
}

int journald_open(struct journald *j, struct event_loop *loop, const char *path)
{
	j->loop = loop;
	j->path = path;
	j->source.fd = dial(path);
	return j->source.fd < 0 ? j->source.fd : 0;
}

void journald_close(struct journald *j)
{
	const struct timeval wait = {.tv_sec = CLOSE_WAIT_SECONDS};

	if (j->sent < j->pending.len && j->source.fd >= 0) {
		(void)setsockopt(j->source.fd, SOL_SOCKET, SO_SNDTIMEO, &wait,
				 sizeof(wait));
		(void)fcntl(j->source.fd, F_SETFL, 0);
		(void)send_pending(j);
	}
	say_lost(&j->n_dropped);
	fd_close(&j->source.fd);
	strbuf_release(&j->pending);
}
