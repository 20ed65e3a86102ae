/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/host_ports.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strv.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/host_sockets.h"
#include "stage1/masquerade.h"
#include "stage1/network.h"
#include "stage1/port_claims.h"
#include "stage1/state.h"

#define FIRST_FD 3
/* What a stage1 that was killed had is free once its rkt-forward has been
 * killed with it. */
#define BUSY_TRIES 20
#define BUSY_PAUSE_NS 10000000L
/* Before rkt-forward is started again after it has failed. */
#define FAILED_PAUSE_MS 1000

void host_ports_take(struct host_ports *h)
{
	const char *libexec = getenv(STAGE1_ENV_LIBEXEC_DIR);

	if (libexec)
		h->program = xasprintf("%s/rkt-forward", libexec);
}

/* --- which addresses -------------------------------------------------------
 */

static void add_v4(struct host_address *ret, struct in_addr addr, uint16_t port)
{
	struct sockaddr_in *v4 = (void *)&ret->addr;

	*ret = (struct host_address){.len = sizeof(*v4)};
	v4->sin_family = AF_INET;
	v4->sin_addr = addr;
	v4->sin_port = htons(port);
}

static void add_v6(struct host_address *ret, struct in6_addr addr,
		   uint16_t port)
{
	struct sockaddr_in6 *v6 = (void *)&ret->addr;

	*ret = (struct host_address){.len = sizeof(*v6)};
	v6->sin6_family = AF_INET6;
	v6->sin6_addr = addr;
	v6->sin6_port = htons(port);
	ret->forwards = IN6_IS_ADDR_LOOPBACK(&addr);
}

size_t host_addresses_make(const struct network_port *port,
			   struct host_address ret[HOST_ADDRESSES_MAX])
{
	const char *ip = port->host_ip;
	struct in6_addr v6 = IN6ADDR_ANY_INIT;
	struct in_addr v4 = {INADDR_ANY};
	size_t n = 0;

	if (strcmp(port->protocol, "tcp") != 0 &&
	    strcmp(port->protocol, "udp") != 0)
		return 0;
	if (!ip || inet_pton(AF_INET, ip, &v4) == 1)
		add_v4(&ret[n++], v4, port->host_port);
	if (!ip || inet_pton(AF_INET6, ip, &v6) == 1) {
		add_v6(&ret[n++], v6, port->host_port);
		if (IN6_IS_ADDR_UNSPECIFIED(&v6))
			add_v6(&ret[n++], in6addr_loopback, port->host_port);
	}
	return n;
}

/* --- taking them -----------------------------------------------------------
 */

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno
									: 0;
}

/* What comes before the rules are there, and by a kind of address the pod does
 * not have, is nobody's to read. */
static int drop_all(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = {.len = 1, .filter = &drop};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			  sizeof(program)) < 0
		       ? -errno
		       : 0;
}

static int open_socket(const struct host_address *at, bool udp)
{
	bool v6 = at->addr.ss_family == AF_INET6;
	cleanup_fd int fd = socket(at->addr.ss_family,
				   (udp ? SOCK_DGRAM : SOCK_STREAM) |
					   SOCK_CLOEXEC | SOCK_NONBLOCK,
				   0);
	int r;

	if (fd < 0)
		return -errno;
	/* An address may come later: a shared one of several hosts. */
	r = v6 ? set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
	       : set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (r == 0 && v6)
		r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	/* Of TCP, connections that have ended linger. */
	if (r == 0 && !udp)
		r = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return r < 0 ? r : TAKE_FD(fd);
}

/* The last one of H, of the same port, lets the next one be bound. */
static int share(const struct host_ports *h, int fd, bool yes)
{
	int r = set_option(h->v[h->n - 1].fd, SOL_SOCKET, SO_REUSEADDR, yes);

	return r < 0 ? r : set_option(fd, SOL_SOCKET, SO_REUSEADDR, yes);
}

static int take_address(const struct host_ports *h,
			const struct host_address *at, bool udp, bool shared,
			bool listens)
{
	cleanup_fd int fd = open_socket(at, udp);
	int r = fd < 0 ? fd : 0;

	if (r == 0 && udp && shared)
		r = share(h, fd, true);
	if (r == 0 && bind(fd, (const struct sockaddr *)&at->addr, at->len) < 0)
		r = -errno;
	if (r == 0 && udp && shared)
		r = share(h, fd, false);
	if (r == 0 && udp && !listens)
		r = drop_all(fd);
	if (r == 0 && !udp && listens && listen(fd, SOMAXCONN) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

static void release_from(struct host_ports *h, size_t n)
{
	while (h->n > n)
		fd_close(&h->v[--h->n].fd);
}

/* A kernel may know no IPv6. */
static bool is_spare(const struct network_port *port,
		     const struct host_address *at, int r)
{
	return r == -EAFNOSUPPORT && !port->host_ip &&
	       at->addr.ss_family == AF_INET6;
}

static int take_port(struct host_ports *h, const struct network_port *port)
{
	struct host_address at[HOST_ADDRESSES_MAX];
	size_t n = host_addresses_make(port, at), first = h->n;
	bool udp = strcmp(port->protocol, "udp") == 0;
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		bool forwards = at[i].forwards && h->program;
		bool shared = at[i].forwards && h->n > first;

		/* ... it is covered by the one for all addresses. */
		if (shared && !forwards)
			continue;
		r = take_address(h, &at[i], udp, shared, forwards);
		if (is_spare(port, &at[i], r))
			r = 0;
		else if (r >= 0)
			h->v[h->n++] = (struct host_port){
				.fd = r,
				.forwards = forwards,
				.udp = udp,
				.pod_port = port->pod_port,
				.host_port = port->host_port,
			};
	}
	/* From now on they are in everybody's way; who listens is anyway, and
	 * what it has accepted may be in nobody's. */
	for (size_t i = first; r >= 0 && i < h->n; i++)
		if (!h->v[i].forwards)
			r = set_option(h->v[i].fd, SOL_SOCKET, SO_REUSEADDR, 0);
	return r < 0 ? r : 0;
}

static int fail(const struct network_port *port, int r, struct error *err)
{
	const char *ip = port->host_ip ? port->host_ip : "0.0.0.0";
	bool v6 = strchr(ip, ':');

	if (r == -EADDRINUSE)
		return error_set(err, EADDRINUSE,
				 "port %s-%s%s%s:%u of the host is in use by "
				 "another pod or a program",
				 port->protocol, v6 ? "[" : "", ip,
				 v6 ? "]" : "", (unsigned int)port->host_port);
	return error_sys(err, -r, "take port %s-%s%s%s:%u of the host",
			 port->protocol, v6 ? "[" : "", ip, v6 ? "]" : "",
			 (unsigned int)port->host_port);
}

/* Between bind(2) and the end of take_port() two pods could have the same. */
static int lock_ports(struct error *err)
{
	cleanup_fd int fd = -EBADF;
	int r;

	(void)mkdir("/run/rkt", 0755);
	(void)mkdir(HOST_PORTS_DIR, 0700);
	fd = open(HOST_PORTS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : lock_wait(fd, LOCK_EX);
	return r < 0 ? error_sys(err, -r, "lock " HOST_PORTS_DIR) : TAKE_FD(fd);
}

/* The claim NAME of pod UUID, which nothing listens for: it was killed. */
static int undo_claim(int dirfd, const char *name, const char *uuid,
		      struct error *err)
{
	cleanup_fd int pod = port_claim_open_pod(dirfd, name);
	int r = 0;

	/* Its other ports may be where it has the address to itself; or
	 * somebody is undoing them. */
	if (pod >= 0 && lock_try(pod, LOCK_EX) < 0)
		return 0;
	if (pod >= 0) {
		log_info("pod %s was killed: its networks are undone", uuid);
		r = network_teardown(pod, uuid, err);
	}
	if (r == 0)
		(void)unlinkat(dirfd, name, 0);
	return r;
}

/* Their rules would come before ours. */
static int undo_dead(int dirfd, const char *own,
		     const struct network_port *port, struct error *err)
{
	cleanup_dir DIR *dir = opendir(HOST_PORTS_DIR);
	struct dirent *e;
	int r = 0;

	while (dir && r == 0 && (e = readdir(dir))) {
		const char *uuid;

		if (port_claim_is(e->d_name, port->protocol, port->host_port,
				  &uuid) &&
		    strcmp(uuid, own) != 0)
			r = undo_claim(dirfd, e->d_name, uuid, err);
	}
	return r < 0 ? error_prefix(err, r, "free port %s-%u", port->protocol,
				    (unsigned int)port->host_port)
		     : 0;
}

static int take_all(struct host_ports *h, const char *uuid,
		    const struct network_port *ports, size_t n,
		    const struct host_sockets *given, struct error *err)
{
	cleanup_fd int lock = lock_ports(err);
	int r = lock < 0 ? lock : 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct network_port *p = &ports[i];

		if (host_sockets_has(given, strcmp(p->protocol, "udp") == 0,
				     p->host_port))
			continue;
		r = take_port(h, p);
		if (r < 0)
			(void)fail(p, r, err);
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		r = undo_dead(lock, uuid, &ports[i], err);
	if (r < 0)
		release_from(h, 0);
	return r;
}

int host_ports_claim(struct host_ports *h, const char *uuid,
		     const struct network_port *ports, size_t n,
		     const struct host_sockets *given, struct error *err)
{
	const struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};
	int r = n ? -EADDRINUSE : 0;

	h->v = xcalloc(n * HOST_ADDRESSES_MAX + 1, sizeof(*h->v));
	for (int i = 0; r == -EADDRINUSE && i < BUSY_TRIES; i++) {
		if (i)
			(void)nanosleep(&pause, NULL);
		r = take_all(h, uuid, ports, n, given, err);
	}
	return r;
}

/* --- rkt-forward -----------------------------------------------------------
 */

static void watch_clients(struct host_ports *h);

static void unwatch_clients(struct host_ports *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].source.data)
			event_remove(h->loop, &h->v[i].source);
	for (size_t i = 0; i < h->n; i++)
		h->v[i].source.data = NULL;
}

/* Better refused than not answered. */
static void refuse_clients(const struct host_ports *h)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	for (size_t i = 0; i < h->n; i++) {
		const struct host_port *p = &h->v[i];
		char byte;

		for (int k = 0; p->forwards && k < SOMAXCONN; k++) {
			cleanup_fd int fd = p->udp ? -EBADF
						   : accept4(p->fd, NULL, NULL,
							     SOCK_CLOEXEC);

			if (fd < 0 && (!p->udp ||
				       recv(p->fd, &byte, 1, MSG_DONTWAIT) < 0))
				break;
			if (fd >= 0)
				(void)setsockopt(fd, SOL_SOCKET, SO_LINGER,
						 &reset, sizeof(reset));
		}
	}
}

static void on_pause_end(struct event_timer *timer)
{
	watch_clients(timer->data);
}

static void pause_clients(struct host_ports *h)
{
	refuse_clients(h);
	h->pause = (struct event_timer){.fn = on_pause_end, .data = h};
	event_timer_set(h->loop, &h->pause, FAILED_PAUSE_MS);
}

static void on_process_end(struct event_source *source, uint32_t events)
{
	struct host_ports *h = source->data;
	char how[64];
	int status = 0;

	(void)events;
	event_remove(h->loop, source);
	(void)process_wait(h->pidfd, &status);
	fd_close(&h->pidfd);
	if (status == 0) {
		watch_clients(h);
		return;
	}
	log_warning("rkt-forward failed (%s): connections to ::1 are cut off",
		    process_status_text(status, how, sizeof(how)));
	pause_clients(h);
}

static void watch_process(struct host_ports *h)
{
	h->process = (struct event_source){
		.fd = h->pidfd, .fn = on_process_end, .data = h};
	(void)event_add(h->loop, &h->process, EPOLLIN);
}

static int start(struct host_ports *h, struct error *err)
{
	cleanup_free struct fd_map *map = xcalloc(h->n + 1, sizeof(*map));
	cleanup_strv struct strv argv = STRV_INIT;
	char *const none[] = {NULL};
	size_t n = 0;

	strv_push(&argv, "rkt-forward");
	strv_pushf(&argv, "%d", (int)getpid());
	strv_push(&argv, h->address);
	for (size_t i = 0; i < h->n; i++) {
		const struct host_port *p = &h->v[i];

		if (!p->forwards)
			continue;
		strv_pushf(&argv, "%s:%u", p->udp ? "udp" : "tcp",
			   (unsigned int)p->pod_port);
		map[n] = (struct fd_map){p->fd, FIRST_FD + (int)n};
		n++;
	}
	/* It says itself what is wrong. */
	map[n++] = (struct fd_map){STDERR_FILENO, STDERR_FILENO};
	h->pidfd =
		process_spawn(h->program, -1, argv.v, none, map, n, NULL, err);
	return h->pidfd < 0 ? h->pidfd : 0;
}

static void on_client(struct event_source *source, uint32_t events)
{
	struct host_ports *h = source->data;
	struct error err = ERROR_INIT;

	(void)events;
	unwatch_clients(h);
	if (start(h, &err) == 0) {
		watch_process(h);
		return;
	}
	log_warning("a client of ::1 is not forwarded: %s",
		    error_innermost(&err));
	pause_clients(h);
}

static void watch_clients(struct host_ports *h)
{
	for (size_t i = 0; i < h->n; i++) {
		struct host_port *p = &h->v[i];

		if (!p->forwards)
			continue;
		p->source = (struct event_source){
			.fd = p->fd, .fn = on_client, .data = h};
		(void)event_add(h->loop, &p->source, EPOLLIN);
	}
}

void host_ports_forward(struct host_ports *h, struct event_loop *loop,
			const char *address)
{
	h->loop = loop;
	h->address = address ? xstrdup(address) : NULL;
	if (address)
		watch_clients(h);
	for (size_t i = 0; !address && i < h->n; i++)
		if (h->v[i].forwards)
			(void)shutdown(h->v[i].fd, SHUT_RD);
}

int host_ports_spare(const struct host_ports *h, const char *uuid,
		     struct error *err)
{
	cleanup_free struct loopback_port *ports =
		xcalloc(h->n + 1, sizeof(*ports));
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].forwards)
			ports[n++] = (struct loopback_port){h->v[i].udp,
							    h->v[i].host_port};
	return loopback_spare_add(uuid, ports, n, err);
}

void host_ports_stop(struct host_ports *h)
{
	int status;

	if (!h->loop)
		return;
	event_timer_cancel(h->loop, &h->pause);
	unwatch_clients(h);
	if (h->pidfd < 0)
		return;
	event_remove(h->loop, &h->process);
	(void)sys_pidfd_send_signal(h->pidfd, SIGKILL);
	(void)process_wait(h->pidfd, &status);
	fd_close(&h->pidfd);
}

void host_ports_release(struct host_ports *h)
{
	release_from(h, 0);
	fd_close(&h->pidfd);
	free(h->v);
	free(h->program);
	free(h->address);
	*h = (struct host_ports)HOST_PORTS_INIT;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row port_rows[] = {
	STATE_FD_ROW(struct host_port, fd),
	STATE_ROW(struct host_port, forwards),
	STATE_ROW(struct host_port, udp),
	STATE_ROW(struct host_port, pod_port),
	STATE_ROW(struct host_port, host_port),
};

static const struct state_row rows[] = {
	STATE_NULLABLE_ROW(struct host_ports, program),
	STATE_NULLABLE_ROW(struct host_ports, address),
	STATE_FD_ROW(struct host_ports, pidfd),
	STATE_NESTED_ROW("ports"),
};

void host_ports_save(const struct host_ports *h, struct state_writer *w,
		     const char *key)
{
	json_open_object(&w->json, key);
	STATE_WRITE(w, rows, h);
	json_open_array(&w->json, "ports");
	for (size_t i = 0; i < h->n; i++)
		STATE_WRITE_OBJECT(w, NULL, port_rows, &h->v[i]);
	json_close_array(&w->json);
	json_close_object(&w->json);
}

int host_ports_restore(const struct json_node *node, struct host_ports *h,
		       struct event_loop *loop)
{
	struct json_node list, item;
	int r = STATE_READ(node, rows, h);

	if (r == 0 && json_member(node, "ports", &list)) {
		h->v = xcalloc(json_n_items(&list) + 1, sizeof(*h->v));
		for (size_t i = 0; r == 0 && json_item(&list, i, &item); i++) {
			h->v[i].fd = -EBADF;
			h->n++;
			r = STATE_READ(&item, port_rows, &h->v[i]);
		}
	}
	if (r < 0)
		return r;
	h->loop = loop;
	if (h->pidfd >= 0)
		watch_process(h);
	else if (h->address)
		watch_clients(h);
	return 0;
}
