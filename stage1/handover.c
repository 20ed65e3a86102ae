/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "stage1/bind_call.h"
#include "stage1/generation.h"
#include "stage1/held.h"
#include "stage1/listen_form.h"
#include "stage1/reuse_group.h"
#include "stage1/sockets.h"
#include "stage1/steer.h"
#include "stage1/unseen.h"

/* How often it is looked whether somebody has closed one. */
#define TEND_MS 20
#define PORTS_MAX 256

struct group {
	/* Of the old one's first socket, which stands for the address. */
	int domain;
	struct sockaddr_storage addr;
	socklen_t addrlen;
	bool v6only;
	struct listen_form form;
	uid_t uid;
	bool late;	 /* made shareable for this handover only */
	bool next_asked; /* the new one's own sockets ask for sharing */

	struct reuse_group sockets;
	uint16_t port;
};

struct handover {
	struct pod_app *app;
	const struct generation *old, *next;
	struct group *groups;
	size_t n;
	struct steer_sign sign;
	uint64_t tended_ns;
	uint16_t replaced_port; /* where it had a program of its own; 0 */
	struct error odd;	/* an address that cannot be shared */
};

static int open_in_pod(void *data, int domain)
{
	const struct pod *pod = data;
	int fd, r;

	r = pod_net_enter(pod);
	if (r < 0)
		return r;
	fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	pod_net_leave(pod);
	return fd < 0 ? -EMFILE : fd;
}

/* --- what the old one has --------------------------------------------------
 */

static struct group *find_group(struct handover *h, int domain,
				const struct sockaddr_storage *addr,
				bool v6only)
{
	for (size_t i = 0; i < h->n; i++) {
		struct group *g = &h->groups[i];
		const void *a = &g->addr, *b = addr;
		const struct sockaddr_in *a4 = a, *b4 = b;
		const struct sockaddr_in6 *a6 = a, *b6 = b;

		if (g->domain != domain)
			continue;
		if (domain == AF_INET
			    ? a4->sin_port == b4->sin_port &&
				      a4->sin_addr.s_addr == b4->sin_addr.s_addr
			    : a6->sin6_port == b6->sin6_port &&
				      g->v6only == v6only &&
				      a6->sin6_scope_id == b6->sin6_scope_id &&
				      memcmp(&a6->sin6_addr, &b6->sin6_addr,
					     16) == 0)
			return g;
	}
	return NULL;
}

static struct group *new_group(struct handover *h,
			       const struct held_listener *held)
{
	struct group *g;

	h->groups = xreallocarray(h->groups, h->n + 1, sizeof(*h->groups));
	g = &h->groups[h->n++];
	*g = (struct group){
		.domain = held->domain,
		.addr = held->addr,
		.addrlen = held->addrlen,
		.v6only = held->v6only,
		.form = held->form,
		.uid = held->uid,
		.late = !held->reuseport,
		.port = held->form.port,
		.sockets =
			{
				.sign = h->sign,
				.is_stored = host_store_is_open(
					&h->app->pod->host_store),
				.old = h->old,
				.open = open_in_pod,
				.data = h->app->pod,
				.domain = held->domain,
				.addr = held->addr,
			},
	};
	return g;
}

static int check_held(const struct held_listener *held, struct error *err)
{
	if (held->domain == AF_UNIX)
		return error_set(err, EOPNOTSUPP,
				 "it listens on a unix socket, which only one "
				 "generation can have");
	if (!held->form.port)
		return error_set(err, EOPNOTSUPP,
				 "it listens on a socket that is not TCP");
	return 0;
}

/* Takes the descriptor of HELD if it can be shared. */
static int take_old(struct handover *h, struct held_listener *held,
		    struct error *err)
{
	struct group *g;
	int r = check_held(held, err);

	if (r < 0)
		return r;
	g = find_group(h, held->domain, &held->addr, held->v6only);
	if (!g)
		g = new_group(h, held);
	if (g->sockets.n >= STEER_MAX || g->uid != held->uid)
		return error_set(err, EOPNOTSUPP,
				 "its sockets at port %u cannot be shared",
				 held->form.port);
	/* It serves on, as it was. */
	if (held->backlog)
		(void)listen(held->fd, held->backlog);
	reuse_group_add(&g->sockets, TAKE_FD(held->fd), false, true);
	return 0;
}

/* --- a group where there is none -------------------------------------------
 */

/*
 * The kernel makes the group of a socket that was bound without SO_REUSEPORT
 * when a second one comes to listen there: one of ours, that lets nobody in
 * and is there for some microseconds.
 */
static int make_group(struct handover *h, struct group *g, struct error *err)
{
	cleanup_fd int fd = open_in_pod(h->app->pod, g->domain);
	int one = 1, v6only = g->v6only;

	if (fd < 0)
		return error_sys(err, -fd, "open a socket in the pod");
	for (size_t i = 0; i < g->sockets.n; i++)
		if (setsockopt(g->sockets.members[i].fd, SOL_SOCKET,
			       SO_REUSEPORT, &one, sizeof(one)) < 0)
			return error_sys(err, errno, "share port %u", g->port);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof(one));
	if (g->domain == AF_INET6)
		(void)setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &v6only,
				 sizeof(v6only));
	if (!held_shut(fd) || fchown(fd, g->uid, (gid_t)-1) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&g->addr, g->addrlen) < 0 ||
	    listen(fd, 1) < 0)
		return error_sys(err, errno, "share port %u", g->port);
	return reuse_group_apply(&g->sockets, err);
}

/* On the host's network nothing stays shared. */
static void stop_sharing(const struct group *g)
{
	const struct held_listener address = {
		.domain = g->domain,
		.addr = g->addr,
		.addrlen = g->addrlen,
		.form = g->form,
	};
	int zero = 0;

	for (size_t i = 0; i < g->sockets.n; i++)
		(void)setsockopt(g->sockets.members[i].fd, SOL_SOCKET,
				 SO_REUSEPORT, &zero, sizeof(zero));
	held_forget_sharing(&address);
}

static int prepare(struct handover *h, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < h->n && r == 0; i++) {
		struct group *g = &h->groups[i];

		if (g->late)
			r = make_group(h, g, err);
		else if (steer_remove(g->sockets.members[0].fd))
			h->replaced_port = g->port;
		if (r == 0)
			r = reuse_group_learn(&g->sockets, err);
	}
	return r < 0 ? -EOPNOTSUPP : 0;
}

static int check_old(const struct generation *old, struct error *err)
{
	if (old->has_udp)
		return error_set(err, EOPNOTSUPP,
				 "it has a UDP port, which only one generation "
				 "can have");
	if (old->app->activation.n)
		return error_set(err, EOPNOTSUPP,
				 "it gets its sockets from the pod "
				 "(socketActivated)");
	return unseen_port(old, err) ? -EOPNOTSUPP : 0;
}

static int listens_nowhere(struct error *err)
{
	return error_set(err, EOPNOTSUPP,
			 "it listens nowhere: there is nothing to hand over");
}

int handover_check(const struct generation *old, struct error *err)
{
	const struct pod_app *app = old->app;
	int r = check_old(old, err);

	if (r == 0 && app->n_held == 0)
		r = listens_nowhere(err);
	for (size_t i = 0; r == 0 && i < app->n_held; i++)
		r = check_held(&app->held[i], err);
	return r;
}

static int choose_sign(struct handover *h, struct error *err)
{
	cleanup_fd int fd = open_in_pod(h->app->pod, AF_INET);

	if (fd < 0)
		return error_sys(err, -fd, "open a socket in the pod");
	h->sign = steer_sign_make(fd);
	return 0;
}

int handover_new(struct generation *old, struct handover **ret,
		 struct error *err)
{
	struct pod_app *app = old->app;
	struct handover *h = xcalloc(1, sizeof(*h));
	int r;

	h->app = app;
	h->old = old;
	r = check_old(old, err);
	if (r >= 0)
		r = choose_sign(h, err);
	for (size_t i = 0; r >= 0 && i < app->n_held; i++)
		r = take_old(h, &app->held[i], err);
	held_drop(app);
	if (r >= 0 && h->n == 0)
		r = listens_nowhere(err);
	if (r >= 0)
		r = prepare(h, err);
	if (r < 0) {
		handover_free(h, old);
		return r;
	}
	app->handover = h;
	*ret = h;
	return 0;
}

bool handover_has_replaced(const struct handover *h, struct error *why)
{
	if (h->replaced_port)
		(void)error_set(why, EOPNOTSUPP,
				"it has a program of its own that chooses "
				"among its sockets at port %u, which a "
				"handover replaces",
				h->replaced_port);
	return h->replaced_port;
}

/* --- the end ---------------------------------------------------------------
 */

static bool is_host_net(const struct handover *h)
{
	return net_list_kind(&h->app->pod->options.nets) == NET_KIND_HOST;
}

/* What GOES has waiting migrates. */
static void leave(const struct handover *h, struct group *g, bool next_goes,
		  void (*take)(void *data, int fd), void *data)
{
	bool was_asked = next_goes ? false : g->next_asked;

	reuse_group_leave(&g->sockets, next_goes);
	if (g->sockets.n)
		(void)steer_remove(g->sockets.members[0].fd);
	if (g->late && !was_asked && is_host_net(h))
		stop_sharing(g);
	for (size_t i = 0; take && i < g->sockets.n_listening; i++)
		if (!g->sockets.members[i].is_dead)
			take(data, TAKE_FD(g->sockets.members[i].fd));
	reuse_group_release(&g->sockets);
}

void handover_free(struct handover *h, const struct generation *survivor)
{
	handover_leave(h, survivor, NULL, NULL);
}

void handover_leave(struct handover *h, const struct generation *survivor,
		    void (*take)(void *data, int fd), void *data)
{
	for (size_t i = 0; i < h->n; i++)
		leave(h, &h->groups[i], !survivor || survivor != h->next, take,
		      data);
	if (h->app->handover == h)
		h->app->handover = NULL;
	free(h->groups);
	free(h);
}

/* --- the new one -----------------------------------------------------------
 */

void handover_begin(struct handover *h, const struct generation *next)
{
	h->next = next;
	for (size_t i = 0; i < h->n; i++)
		h->groups[i].sockets.next = next;
}

static int join(struct handover *h, struct group *g, struct bind_call *call)
{
	int one = 1, asked = 0;
	struct stat st;
	size_t n;

	(void)held_option(call->fd, SOL_SOCKET, SO_REUSEPORT, &asked);
	/* One that only tried its address closes that socket and comes again.
	 */
	reuse_group_forget_closed(&g->sockets);
	n = reuse_group_count(&g->sockets, true);
	/* EADDRINUSE stays true among sockets of its own: those share if
	 * each asks for it. */
	if (n && !asked)
		return 0;
	if (n && !g->next_asked)
		return -EADDRINUSE;
	if (n >= STEER_MAX)
		return -ENOBUFS;
	g->next_asked = asked;
	if (!asked) {
		(void)setsockopt(call->fd, SOL_SOCKET, SO_REUSEPORT, &one,
				 sizeof(one));
		pod_note_bound(h->app->pod, h->next, call->domain, call->port,
			       true);
	}
	/* Only sockets of one user may share. */
	if (fstat(call->fd, &st) == 0 && st.st_uid != g->uid &&
	    fchown(call->fd, g->uid, (gid_t)-1) < 0)
		log_warning("app %s: port %u: its user cannot join the old "
			    "one's sockets",
			    h->app->name, call->port);
	reuse_group_add(&g->sockets, TAKE_FD(call->fd), true, false);
	return 0;
}

/* A worker more of the old one, which shares as it always could, or one that
 * closed its socket and comes again; the kernel says whether it may. */
static bool join_old(struct handover *h, struct bind_call *call)
{
	struct group *g =
		find_group(h, call->domain, &call->addr, call->v6only);
	int one = 1, asked = 0;

	if (!g || !held_option(call->fd, SOL_SOCKET, SO_REUSEPORT, &asked) ||
	    reuse_group_count(&g->sockets, false) >= STEER_MAX)
		return false;
	if (!asked && reuse_group_is_open(&g->sockets, false))
		return false;
	if (!asked) {
		(void)setsockopt(call->fd, SOL_SOCKET, SO_REUSEPORT, &one,
				 sizeof(one));
		pod_note_bound(h->app->pod, h->old, call->domain, call->port,
			       true);
	}
	reuse_group_add(&g->sockets, TAKE_FD(call->fd), false, false);
	return true;
}

bool handover_bind(struct handover *h, const struct generation *g,
		   struct bind_call *call, int *ret_error)
{
	struct listen_form form = listen_form_make(&call->addr, call->v6only);
	char now[LISTEN_FORM_TEXT], before[LISTEN_FORM_TEXT];
	struct group *group;

	*ret_error = 0;
	if (g == h->old)
		return join_old(h, call);
	if (g != h->next)
		return false;
	group = find_group(h, call->domain, &call->addr, call->v6only);
	if (group) {
		*ret_error = join(h, group, call);
		return true;
	}
	/* The kernel would let both have it, and choose by itself. */
	for (size_t i = 0; i < h->n; i++) {
		if (!listen_form_overlaps(&h->groups[i].form, &form))
			continue;
		(void)error_set(&h->odd, EADDRNOTAVAIL,
				"it listens on %s where the old one listens "
				"on %s",
				listen_form_text(&form, now),
				listen_form_text(&h->groups[i].form, before));
		*ret_error = -EADDRINUSE;
		return true;
	}
	return false;
}

int handover_tend(struct handover *h, struct error *err)
{
	int r = 0;

	if (monotonic_ns() - h->tended_ns < TEND_MS * UINT64_C(1000000))
		return 0;
	for (size_t i = 0; i < h->n && r == 0; i++) {
		struct reuse_group *g = &h->groups[i].sockets;

		r = reuse_group_look(g, err);
		if (r == 0)
			r = reuse_group_tend(g, err);
	}
	h->tended_ns = monotonic_ns();
	return r;
}

int handover_look(struct handover *h, struct error *err)
{
	bool everywhere = true;
	int r;

	if (h->odd.code) {
		*err = h->odd;
		return -EADDRNOTAVAIL;
	}
	for (size_t i = 0; i < h->n; i++) {
		r = reuse_group_look(&h->groups[i].sockets, err);
		if (r < 0)
			return r;
	}
	r = handover_tend(h, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < h->n; i++)
		everywhere &=
			reuse_group_listening(&h->groups[i].sockets, true) > 0;
	return everywhere;
}

void handover_verified(struct handover *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->groups[i].sockets.is_verified = true;
}

size_t handover_listening(const struct handover *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += reuse_group_listening(&h->groups[i].sockets, true);
	return n;
}

int handover_steer(struct handover *h, unsigned int share, uint64_t *ret_us,
		   struct error *err)
{
	uint64_t begin = monotonic_ns();
	int r = 0;

	for (size_t i = 0; i < h->n && r == 0; i++) {
		h->groups[i].sockets.share = share;
		r = reuse_group_apply(&h->groups[i].sockets, err);
	}
	*ret_us = (monotonic_ns() - begin + 999) / 1000;
	return r;
}

const struct steer_sign *handover_sign(const struct handover *h)
{
	return &h->sign;
}

size_t handover_addresses(const struct handover *h,
			  struct sockaddr_storage *addresses, size_t max)
{
	size_t n = 0;

	for (; n < h->n && n < max; n++)
		addresses[n] = h->groups[n].addr;
	return n;
}

/* --- who is still there ----------------------------------------------------
 */

size_t handover_ports(const struct handover *h, uint16_t *ports, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n && n < max; i++) {
		bool has = false;

		for (size_t j = 0; j < n && !has; j++)
			has = ports[j] == h->groups[i].port;
		if (!has)
			ports[n++] = h->groups[i].port;
	}
	return n;
}

size_t handover_waiting(const struct handover *h, const struct generation *g)
{
	size_t waiting = 0;

	for (size_t i = 0; i < h->n; i++) {
		const struct reuse_group *s = &h->groups[i].sockets;

		for (size_t j = 0; j < s->n; j++)
			if (s->members[j].is_next == (g == h->next))
				waiting += held_queue_length(s->members[j].fd);
	}
	return waiting;
}

bool handover_has_clients(const struct handover *h, const struct generation *g)
{
	uint16_t ports[PORTS_MAX];
	size_t n = handover_ports(h, ports, PORTS_MAX);
	struct error err = ERROR_INIT;

	return handover_waiting(h, g) ||
	       sockets_count_connections(g, ports, n, 1, &err) > 0;
}
