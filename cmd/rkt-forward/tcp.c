/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-forward/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "cmd/rkt-forward/watch.h"

#define PIPE_SIZE (256 * 1024)
/* As much at a time of one connection while others wait. */
#define ROUNDS_MAX 16
/* Of what accept4(2) has failed for: descriptors, memory. */
#define PAUSE_MS 100

struct pipe {
	int r, w;
};

#define NO_PIPE ((struct pipe){-EBADF, -EBADF})

/* From one side to the other. */
struct flow {
	struct pipe pipe;
	size_t pending; /* bytes in it */
	bool ended;	/* nothing more will come */
	bool told;	/* and the other side knows */
};

struct connection {
	struct tcp *tcp;
	struct watch client, pod;
	struct flow in, out; /* to the pod, and from it */
	bool connecting;
};

struct listener {
	struct tcp *tcp;
	const struct target *target;
	struct watch watch;
};

struct tcp {
	int epfd;
	struct listener *listeners;
	size_t n_listeners;
	size_t n, max;
	uint64_t paused_until; /* 0: it is not */
	struct pipe spare;
};

/* --- pipes -----------------------------------------------------------------
 */

static void pipe_close(struct pipe *p)
{
	fd_close(&p->r);
	fd_close(&p->w);
}

static int pipe_get(struct tcp *t, struct pipe *ret)
{
	int fds[2];

	if (t->spare.r >= 0) {
		*ret = t->spare;
		t->spare = NO_PIPE;
		return 0;
	}
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* Whoever has many pipes gets small ones. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	*ret = (struct pipe){fds[0], fds[1]};
	return 0;
}

/* P is empty. */
static void pipe_put(struct tcp *t, struct pipe *p)
{
	if (t->spare.r < 0)
		t->spare = *p;
	else
		pipe_close(p);
	*p = NO_PIPE;
}

/* --- bytes -----------------------------------------------------------------
 */

static ssize_t move(int from, int to, size_t n)
{
	ssize_t moved = splice(from, NULL, to, NULL, n,
			       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (moved >= 0)
		return moved;
	return errno == EINTR ? -EAGAIN : -errno;
}

/* -EAGAIN: there is nothing now.  0 with f->ended: nor will be. */
static int flow_read(struct tcp *t, struct flow *f, int from)
{
	ssize_t n;
	int r = f->pipe.r < 0 ? pipe_get(t, &f->pipe) : 0;

	if (r < 0)
		return r == -EAGAIN ? -ENFILE : r;
	n = move(from, f->pipe.w, PIPE_SIZE);
	if (n < 0)
		return (int)n;
	f->ended = n == 0;
	f->pending = (size_t)n;
	return 0;
}

static int flow_write(struct flow *f, int to)
{
	ssize_t n = move(f->pipe.r, to, f->pending);

	if (n < 0)
		return (int)n;
	f->pending -= (size_t)n;
	return f->pending ? -EAGAIN : 0;
}

/* Until one side has to be waited for; negative: the connection is over. */
static int flow_run(struct tcp *t, struct flow *f, int from, int to)
{
	int r = 0;

	for (int i = 0; r == 0 && i < ROUNDS_MAX && !f->ended; i++) {
		if (!f->pending)
			r = flow_read(t, f, from);
		if (r == 0 && f->pending)
			r = flow_write(f, to);
	}
	if (f->pipe.r >= 0 && !f->pending)
		pipe_put(t, &f->pipe);
	if (r < 0 && r != -EAGAIN)
		return r;
	if (f->ended && !f->told) {
		f->told = true;
		/* Of one that has gone meanwhile we hear anyway. */
		(void)shutdown(to, SHUT_WR);
	}
	return 0;
}

/* --- connections -----------------------------------------------------------
 */

static void listeners_watch(struct tcp *t)
{
	uint32_t events = t->n < t->max && !t->paused_until ? EPOLLIN : 0;

	for (size_t i = 0; i < t->n_listeners; i++)
		(void)watch_set(t->epfd, &t->listeners[i].watch, events);
}

static void side_close(int epfd, struct watch *side, bool reset)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (side->fd < 0)
		return;
	(void)watch_set(epfd, side, 0);
	if (reset)
		(void)setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &now,
				 sizeof(now));
	fd_close(&side->fd);
}

static void connection_end(struct connection *c, bool reset)
{
	struct tcp *t = c->tcp;

	side_close(t->epfd, &c->client, reset);
	side_close(t->epfd, &c->pod, reset);
	pipe_close(&c->in.pipe);
	pipe_close(&c->out.pipe);
	free(c);
	t->n--;
	listeners_watch(t);
}

/* What SIDE is waited for: IN comes from there, OUT goes there. */
static uint32_t wanted(const struct flow *in, const struct flow *out)
{
	return (in->pending || in->ended ? 0 : EPOLLIN) |
	       (out->pending ? EPOLLOUT : 0);
}

static void connection_run(struct connection *c)
{
	struct tcp *t = c->tcp;
	int r = flow_run(t, &c->in, c->client.fd, c->pod.fd);

	if (r == 0)
		r = flow_run(t, &c->out, c->pod.fd, c->client.fd);
	if (r == 0 && !(c->in.told && c->out.told)) {
		r = watch_set(t->epfd, &c->client, wanted(&c->in, &c->out));
		if (r == 0)
			r = watch_set(t->epfd, &c->pod,
				      wanted(&c->out, &c->in));
		if (r == 0)
			return;
	}
	connection_end(c, r < 0);
}

static int socket_error(int fd)
{
	int e = 0;
	socklen_t len = sizeof(e);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? -errno : -e;
}

static void on_side(struct watch *w, uint32_t events)
{
	struct connection *c = w->data;

	(void)events;
	if (c->connecting && socket_error(w->fd) < 0) {
		connection_end(c, true);
		return;
	}
	/* An error later comes after what was sent before it. */
	c->connecting = false;
	connection_run(c);
}

/* Nobody is told how long a connection may do nothing: one whose other end is
 * gone is found by keep-alives. */
static void set_options(int fd)
{
	const int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int connect_to(const struct target *target)
{
	cleanup_fd int fd =
		socket(target->addr.ss_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	set_options(fd);
	if (connect(fd, (const struct sockaddr *)&target->addr, target->len) <
		    0 &&
	    errno != EINPROGRESS)
		return -errno;
	return TAKE_FD(fd);
}

/* CLIENT is the connection's. */
static void connection_begin(struct tcp *t, const struct target *target,
			     int client)
{
	struct connection *c = xcalloc(1, sizeof(*c));

	*c = (struct connection){
		.tcp = t,
		.client = {.fd = client, .fn = on_side, .data = c},
		.pod = {.fd = -EBADF, .fn = on_side, .data = c},
		.in = {.pipe = NO_PIPE},
		.out = {.pipe = NO_PIPE},
		.connecting = true,
	};
	t->n++;
	set_options(client);
	c->pod.fd = connect_to(target);
	if (c->pod.fd < 0 || watch_set(t->epfd, &c->pod, EPOLLOUT) < 0)
		connection_end(c, true);
}

static void on_client(struct watch *w, uint32_t events)
{
	struct listener *l = w->data;
	struct tcp *t = l->tcp;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		connection_begin(t, l->target, fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		 errno == ENOBUFS)
		t->paused_until = now_ms() + PAUSE_MS;
	listeners_watch(t);
}

/* --- all -------------------------------------------------------------------
 */

struct tcp *tcp_new(int epfd, const struct target *targets, size_t n,
		    size_t max)
{
	struct tcp *t = xcalloc(1, sizeof(*t));

	*t = (struct tcp){.epfd = epfd, .max = max, .spare = NO_PIPE};
	t->listeners = xcalloc(n, sizeof(*t->listeners));
	for (size_t i = 0; i < n; i++) {
		struct listener *l = &t->listeners[t->n_listeners];

		if (targets[i].is_udp)
			continue;
		*l = (struct listener){
			.tcp = t,
			.target = &targets[i],
			.watch = {.fd = targets[i].listener,
				  .fn = on_client,
				  .data = l},
		};
		t->n_listeners++;
	}
	listeners_watch(t);
	return t;
}

size_t tcp_n_connections(const struct tcp *t)
{
	return t->n;
}

int tcp_timeout(struct tcp *t, int ms)
{
	uint64_t now = now_ms();

	if (!t->paused_until)
		return ms;
	if (now < t->paused_until)
		return ms < 0 || ms > PAUSE_MS ? PAUSE_MS : ms;
	t->paused_until = 0;
	listeners_watch(t);
	return ms;
}
