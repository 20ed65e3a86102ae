/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-forward/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "cmd/rkt-forward/watch.h"

#define DATAGRAM_MAX 65536
/* As many at a time of one socket while others wait. */
#define ROUNDS_MAX 64

struct listener {
	struct udp *udp;
	const struct target *target;
	struct watch watch;
};

struct client {
	struct listener *listener;
	struct sockaddr_in6 addr;
	struct watch pod;
	uint64_t heard_ms;
	struct client *next;
};

struct udp {
	int epfd;
	struct listener *listeners;
	size_t n_listeners;
	struct client *clients; /* who was heard of last is first */
	size_t n, max;
	unsigned char buf[DATAGRAM_MAX];
};

/* --- clients ---------------------------------------------------------------
 */

static void take_out(struct udp *u, const struct client *c)
{
	for (struct client **at = &u->clients; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			return;
		}
}

static void put_first(struct udp *u, struct client *c)
{
	c->heard_ms = now_ms();
	c->next = u->clients;
	u->clients = c;
}

static void client_free(struct udp *u, struct client *c)
{
	take_out(u, c);
	(void)watch_set(u->epfd, &c->pod, 0);
	fd_close(&c->pod.fd);
	free(c);
	u->n--;
}

static bool same_address(const struct sockaddr_in6 *a,
			 const struct sockaddr_in6 *b)
{
	return a->sin6_port == b->sin6_port &&
	       a->sin6_scope_id == b->sin6_scope_id &&
	       memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

static struct client *find(struct udp *u, const struct listener *l,
			   const struct sockaddr_in6 *addr)
{
	struct client *c = u->clients;

	while (c && !(c->listener == l && same_address(&c->addr, addr)))
		c = c->next;
	return c;
}

/* Who has been silent longest; NULL: there is nobody. */
static struct client *last(const struct udp *u)
{
	struct client *c = u->clients;

	while (c && c->next)
		c = c->next;
	return c;
}

/* C has been heard of. */
static void touch(struct udp *u, struct client *c)
{
	take_out(u, c);
	put_first(u, c);
}

/* --- datagrams -------------------------------------------------------------
 */

static void on_pod(struct watch *w, uint32_t events)
{
	struct client *c = w->data;
	struct udp *u = c->listener->udp;

	(void)events;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		ssize_t n = recv(w->fd, u->buf, sizeof(u->buf), MSG_DONTWAIT);

		/* That nobody listens is an error once; the client may go
		 * on until somebody does. */
		if (n < 0)
			break;
		(void)sendto(c->listener->watch.fd, u->buf, (size_t)n,
			     MSG_DONTWAIT, (struct sockaddr *)&c->addr,
			     sizeof(c->addr));
		touch(u, c);
	}
}

static int connect_to(const struct target *target)
{
	cleanup_fd int fd =
		socket(target->addr.ss_family,
		       SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&target->addr,
			      target->len) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* NULL: the host has no descriptor or route for it. */
static struct client *client_new(struct listener *l,
				 const struct sockaddr_in6 *addr)
{
	struct udp *u = l->udp;
	struct client *c = last(u);
	int fd;

	if (c && u->n == u->max)
		client_free(u, c);
	fd = connect_to(l->target);
	if (fd < 0)
		return NULL;
	c = xcalloc(1, sizeof(*c));
	*c = (struct client){
		.listener = l,
		.addr = *addr,
		.pod = {.fd = fd, .fn = on_pod, .data = c},
	};
	u->n++;
	if (watch_set(u->epfd, &c->pod, EPOLLIN) < 0) {
		c->pod.events = 0;
		client_free(u, c);
		return NULL;
	}
	put_first(u, c);
	return c;
}

static void on_datagram(struct watch *w, uint32_t events)
{
	struct listener *l = w->data;
	struct udp *u = l->udp;

	(void)events;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		struct sockaddr_in6 addr = {0};
		socklen_t len = sizeof(addr);
		ssize_t n =
			recvfrom(w->fd, u->buf, sizeof(u->buf), MSG_DONTWAIT,
				 (struct sockaddr *)&addr, &len);
		struct client *c;

		if (n < 0)
			break;
		c = find(u, l, &addr);
		if (c)
			touch(u, c);
		else
			c = client_new(l, &addr);
		/* What an earlier one met is not this one's. */
		if (c && send(c->pod.fd, u->buf, (size_t)n, MSG_DONTWAIT) < 0 &&
		    errno == ECONNREFUSED)
			(void)send(c->pod.fd, u->buf, (size_t)n, MSG_DONTWAIT);
	}
}

/* --- all -------------------------------------------------------------------
 */

struct udp *udp_new(int epfd, const struct target *targets, size_t n,
		    size_t max)
{
	struct udp *u = xcalloc(1, sizeof(*u));

	u->epfd = epfd;
	u->max = max;
	u->listeners = xcalloc(n, sizeof(*u->listeners));
	for (size_t i = 0; i < n; i++) {
		struct listener *l = &u->listeners[u->n_listeners];

		if (!targets[i].is_udp)
			continue;
		*l = (struct listener){
			.udp = u,
			.target = &targets[i],
			.watch = {.fd = targets[i].listener,
				  .fn = on_datagram,
				  .data = l},
		};
		u->n_listeners++;
		(void)watch_set(epfd, &l->watch, EPOLLIN);
	}
	return u;
}

size_t udp_n_clients(const struct udp *u)
{
	return u->n;
}

int udp_timeout(struct udp *u, int ms)
{
	uint64_t now = now_ms();
	struct client *c;

	while ((c = last(u))) {
		uint64_t due = c->heard_ms + UDP_IDLE_MS;

		if (now < due)
			return ms < 0 || (uint64_t)ms > due - now
				       ? (int)(due - now)
				       : ms;
		client_free(u, c);
	}
	return ms;
}
