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
	strbuf_addf(sb, "PRIORITY=%c\n", priority);
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

static bool is_waiting(const struct journald *j)
{
	return j->pending.len > 0;
}

static void lose(struct journald *j, int r)
{
	if (j->n_lost++ == 0)
		log_warning("lines are not in the journal, but in the apps' "
			    "logs: %s",
			    strerrordesc_np(-r));
}

/* -EAGAIN: journald has as many as it takes. */
static int send_one(struct journald *j, const char *data, size_t len)
{
	int r = 0;

	for (int attempt = 0; attempt < 2; attempt++) {
		if (send(j->source.fd, data, len, MSG_NOSIGNAL) >= 0) {
			if (j->n_lost)
				log_warning("the journal lacks %" PRIu64
					    " lines",
					    j->n_lost);
			j->n_lost = 0;
			return 0;
		}
		r = -errno;
		if (r == -EAGAIN || r == -EMSGSIZE || r == -ENOBUFS ||
		    attempt == 1 || is_waiting(j))
			break;
		/* A journald that was started anew without its socket unit. */
		fd_close(&j->source.fd);
		j->source.fd = dial(j->path);
		if (j->source.fd < 0)
			break;
	}
	return r;
}

static void on_writable(struct event_source *source, uint32_t events);

static void stop_waiting(struct journald *j)
{
	strbuf_reset(&j->pending);
	event_remove(j->loop, &j->source);
	j->on_full(j, false);
}

/* Sends what waits, in order; what cannot be sent is lost. */
static int send_pending(struct journald *j)
{
	size_t at = 0;

	while (at < j->pending.len) {
		uint32_t len;
		int r;

		memcpy(&len, j->pending.buf + at, sizeof(len));
		r = send_one(j, j->pending.buf + at + sizeof(len), len);
		if (r == -EAGAIN)
			break;
		if (r < 0)
			lose(j, r);
		at += sizeof(len) + len;
	}
	memmove(j->pending.buf, j->pending.buf + at, j->pending.len - at);
	strbuf_setlen(&j->pending, j->pending.len - at);
	return is_waiting(j) ? -EAGAIN : 0;
}

static void on_writable(struct event_source *source, uint32_t events)
{
	struct journald *j = source->data;

	(void)events;
	if (send_pending(j) == 0)
		stop_waiting(j);
}

void journald_resume(struct journald *j)
{
	if (!is_waiting(j))
		return;
	j->source.fn = on_writable;
	j->source.data = j;
	if (event_add(j->loop, &j->source, EPOLLOUT) == 0)
		j->on_full(j, true);
	else
		strbuf_reset(&j->pending);
}

void journald_send(struct journald *j, const struct strbuf *datagram)
{
	uint32_t len = (uint32_t)datagram->len;
	bool was_waiting = is_waiting(j);
	int r = was_waiting ? -EAGAIN
			    : send_one(j, datagram->buf, datagram->len);

	if (r == 0)
		return;
	if (r != -EAGAIN) {
		lose(j, r);
		return;
	}
	strbuf_add(&j->pending, &len, sizeof(len));
	strbuf_add(&j->pending, datagram->buf, datagram->len);
	if (!was_waiting)
		journald_resume(j);
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

	if (is_waiting(j) && j->source.fd >= 0) {
		(void)setsockopt(j->source.fd, SOL_SOCKET, SO_SNDTIMEO, &wait,
				 sizeof(wait));
		(void)fcntl(j->source.fd, F_SETFL, 0);
		(void)send_pending(j);
	}
	fd_close(&j->source.fd);
	strbuf_release(&j->pending);
}
