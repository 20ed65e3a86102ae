/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/requests.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "spec/stage1_abi.h"
#include "stage1/generation.h"
#include "stage1/sockets.h"

#define LOOK_MS 5
/* Looking may take this part of a processor. */
#define LOOK_SHARE 10
/* More are not followed: each is a descriptor of stage1. */
#define KEPT_MAX 1024

/* The kernel's, which <netinet/tcp.h> has too, and the other way round. */
enum { STATE_ESTABLISHED = 1, STATE_CLOSE_WAIT = 8 };

struct kept {
	int fd;
	ino_t inode;
};

struct requests {
	struct generation *g; /* until it has gone */
	struct event_loop *loop;
	uint16_t *ports;
	size_t n_ports;
	struct kept kept[KEPT_MAX];
	size_t n;
	uint64_t idle; /* when it was looked first */
	uint64_t lost; /* once G has gone */
	bool has_looked, is_over;
	struct event_timer timer;
};

/* True if the last word in it is the client's. */
static bool is_open(int fd)
{
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t len = sizeof(info);
	int unread = 0;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	    (info.tcpi_state != STATE_ESTABLISHED &&
	     info.tcpi_state != STATE_CLOSE_WAIT))
		return false;
	if (ioctl(fd, SIOCINQ, &unread) == 0 && unread > 0)
		return true;
	if (!info.tcpi_bytes_received)
		return false;
	return !info.tcpi_bytes_sent ||
	       info.tcpi_last_data_recv < info.tcpi_last_data_sent;
}

static bool is_clients(const struct requests *r, int fd)
{
	struct sockaddr_storage addr = {0};
	const struct sockaddr_in *v4 = (const void *)&addr;
	const struct sockaddr_in6 *v6 = (const void *)&addr;
	socklen_t len = sizeof(addr);
	uint16_t port;

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    (addr.ss_family != AF_INET && addr.ss_family != AF_INET6))
		return false;
	port = ntohs(addr.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
	len = sizeof(addr);
	if (getpeername(fd, (struct sockaddr *)&addr, &len) < 0)
		return false;
	for (size_t i = 0; i < r->n_ports; i++)
		if (r->ports[i] == port)
			return true;
	return false;
}

static bool has(const struct requests *r, ino_t inode)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->kept[i].inode == inode)
			return true;
	return false;
}

static bool look_at(void *data, int fd)
{
	struct requests *r = data;
	struct stat st;

	if (fstat(fd, &st) == 0 && is_clients(r, fd) && !has(r, st.st_ino)) {
		if (is_open(fd) && r->n < KEPT_MAX) {
			r->kept[r->n++] = (struct kept){fd, st.st_ino};
			return false;
		}
		r->idle += !r->has_looked;
	}
	(void)close(fd);
	return false;
}

static void let_go_answered(struct requests *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (is_open(r->kept[i].fd))
			r->kept[n++] = r->kept[i];
		else
			(void)close(r->kept[i].fd);
	r->n = n;
}

/* G has gone: what is open now stays so, and its client is to know it. */
static void settle(struct requests *r)
{
	if (r->is_over)
		return;
	r->is_over = true;
	let_go_answered(r);
	r->lost = r->n;
	while (r->n)
		(void)close(r->kept[--r->n].fd);
}

static void look(struct requests *r)
{
	struct error err = ERROR_INIT;

	let_go_answered(r);
	if (sockets_each(r->g, look_at, r, &err) < 0)
		log_failure(&err, "look at its clients");
	r->has_looked = true;
}

static void on_look(struct event_timer *timer)
{
	struct requests *r = timer->data;
	uint64_t begun = monotonic_ns(), pause_ms;

	if (r->g->state > GENERATION_RUNNING) {
		settle(r);
		return;
	}
	look(r);
	pause_ms = (monotonic_ns() - begun) / 1000000 * LOOK_SHARE;
	event_timer_set(r->loop, timer,
			pause_ms > LOOK_MS ? pause_ms : LOOK_MS);
}

struct requests *requests_watch(struct generation *g, const uint16_t *ports,
				size_t n)
{
	struct requests *r = xcalloc(1, sizeof(*r));

	r->g = g;
	r->loop = &g->app->pod->loop;
	r->ports = xcalloc(n + 1, sizeof(*ports));
	if (n)
		memcpy(r->ports, ports, n * sizeof(*ports));
	r->n_ports = n;
	r->timer.fn = on_look;
	r->timer.data = r;
	look(r);
	event_timer_set(r->loop, &r->timer, LOOK_MS);
	return r;
}

static void add(uint64_t *count, uint64_t n)
{
	*count = *count == UPDATE_NOT_COUNTED ? n : *count + n;
}

void requests_end(struct requests *r, struct update_counts *counts)
{
	if (!r)
		return;
	event_timer_cancel(r->loop, &r->timer);
	settle(r);
	add(&counts->drained, r->idle);
	add(&counts->lost, r->lost);
	free(r->ports);
	free(r);
}

void requests_count(struct generation *g, const uint16_t *ports, size_t n,
		    struct update_counts *counts)
{
	requests_end(requests_watch(g, ports, n), counts);
}
