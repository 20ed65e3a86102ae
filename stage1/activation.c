/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "spec/app.h"
#include "stage1/host_sockets.h"
#include "stage1/state.h"

/* systemd's; the kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096

static void socket_release(struct activated_socket *s)
{
	fd_close(&s->fd);
	free(s->name);
}

void activation_release(struct activation *a)
{
	for (size_t i = 0; i < a->n; i++)
		socket_release(&a->v[i]);
	free(a->v);
	*a = (struct activation)ACTIVATION_INIT;
}

/* --- deciding --------------------------------------------------------------
 */

static void add(struct activation *a, const char *name, bool udp, uint16_t port)
{
	a->v = xreallocarray(a->v, a->n + 1, sizeof(*a->v));
	a->v[a->n++] = (struct activated_socket){
		.name = xstrdup(name),
		.udp = udp,
		.port = port,
		.fd = -EBADF,
		.wanted = true,
	};
}

static int plan_port(const struct port *p, struct activation *ret,
		     struct error *err)
{
	const char *protocol = p->protocol ? p->protocol : "tcp";
	bool udp = strcmp(protocol, "udp") == 0;

	if (!udp && strcmp(protocol, "tcp") != 0)
		return error_set(err, EINVAL,
				 "port %s: protocol %s cannot be "
				 "socketActivated (tcp and udp can)",
				 p->name, protocol);
	if (p->count > ACTIVATION_MAX - ret->n)
		return error_set(err, EINVAL,
				 "port %s: more than %d socketActivated ports",
				 p->name, ACTIVATION_MAX);
	for (uint32_t i = 0; i < p->count; i++)
		add(ret, p->name ? p->name : "unknown", udp,
		    (uint16_t)(p->port + i));
	return 0;
}

int activation_plan(const struct app *app, struct activation *ret,
		    struct error *err)
{
	struct activation plan = ACTIVATION_INIT;

	for (size_t i = 0; i < app->n_ports; i++) {
		int r = app->ports[i].socket_activated
				? plan_port(&app->ports[i], &plan, err)
				: 0;

		if (r < 0) {
			activation_release(&plan);
			return r;
		}
	}
	*ret = plan;
	return 0;
}

/* --- doing -----------------------------------------------------------------
 */

static int bind_any(int fd, int family, uint16_t port)
{
	const struct sockaddr_in6 six = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_ANY_INIT,
		.sin6_port = htons(port),
	};
	const struct sockaddr_in four = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int zero = 0, one = 1, r;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (family == AF_INET6 &&
	    setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0)
		return -errno;
	if (family == AF_INET6)
		r = bind(fd, (const struct sockaddr *)&six, sizeof(six));
	else
		r = bind(fd, (const struct sockaddr *)&four, sizeof(four));
	return r < 0 ? -errno : 0;
}

/* In the namespace the caller is in. */
static int open_family(int family, const struct activated_socket *s)
{
	cleanup_fd int fd = socket(
		family, (s->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = bind_any(fd, family, s->port);
	if (r < 0)
		return r;
	if (!s->udp && listen(fd, BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void open_in_pod(int pidfd, int own_netns, struct activated_socket *s,
			struct error *err)
{
	if (own_netns >= 0 && setns(pidfd, CLONE_NEWNET) < 0) {
		s->fd = error_sys(err, errno,
				  "join the pod's network namespace");
		return;
	}
	s->fd = open_family(AF_INET6, s);
	if (s->fd == -EAFNOSUPPORT || s->fd == -EADDRNOTAVAIL)
		s->fd = open_family(AF_INET, s);
	if (own_netns >= 0 && setns(own_netns, CLONE_NEWNET) < 0)
		abort(); /* nothing we do next would be where it belongs */
	if (s->fd < 0)
		(void)error_sys(err, -s->fd,
				"listen on %s port %u (port %s of the image, "
				"socketActivated)",
				s->udp ? "udp" : "tcp", s->port, s->name);
}

static int open_socket(struct host_sockets *host, int pidfd, int own_netns,
		       struct activated_socket *s, struct error *err)
{
	struct stat st;

	if (host)
		s->fd = host_sockets_get(host, s->name, s->udp, s->port);
	if (s->fd < 0)
		open_in_pod(pidfd, own_netns, s, err);
	if (s->fd < 0)
		return s->fd;
	if (fstat(s->fd, &st) < 0)
		return error_sys(err, errno, "look at a socket");
	s->inode = st.st_ino;
	return 0;
}

static struct activated_socket *find(struct activation *a,
				     const struct activated_socket *wanted)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].udp == wanted->udp && a->v[i].port == wanted->port)
			return &a->v[i];
	return NULL;
}

/* Those of PLAN first and in its order, then what nobody asks for now. */
static void merge(struct activation *a, struct activation *plan)
{
	for (size_t i = 0; i < a->n; i++) {
		struct activated_socket *s = &a->v[i];
		struct activated_socket *same = find(plan, s);

		if (same) {
			same->fd = TAKE_FD(s->fd);
			same->inode = s->inode;
			socket_release(s);
			continue;
		}
		s->wanted = false;
		plan->v = xreallocarray(plan->v, plan->n + 1, sizeof(*plan->v));
		plan->v[plan->n++] = *s;
	}
	free(a->v);
	*a = *plan;
}

int activation_open(struct activation *a, struct host_sockets *host, int pidfd,
		    int own_netns, const struct app *app, struct error *err)
{
	struct activation plan;
	int r = activation_plan(app, &plan, err);

	if (r < 0 || (plan.n == 0 && a->n == 0))
		return r;
	merge(a, &plan);
	for (size_t i = 0; i < a->n && r == 0; i++)
		if (a->v[i].wanted && a->v[i].fd < 0)
			r = open_socket(host, pidfd, own_netns, &a->v[i], err);
	return r;
}

void activation_give(const struct activation *a, uid_t uid, gid_t gid)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct activated_socket *s = &a->v[i];
		int flags = fcntl(s->fd, F_GETFL);

		if (!s->wanted)
			continue;
		if (fchown(s->fd, uid, gid) < 0 ||
		    (flags >= 0 &&
		     fcntl(s->fd, F_SETFL, flags & ~O_NONBLOCK) < 0))
			log_debug("port %s keeps its owner", s->name);
	}
}

void activation_settle(struct activation *a, const struct app *app)
{
	struct activation plan;
	size_t n = 0;

	if (a->n == 0 || activation_plan(app, &plan, NULL) < 0)
		return;
	for (size_t i = 0; i < a->n; i++) {
		a->v[i].wanted = find(&plan, &a->v[i]) != NULL;
		if (a->v[i].wanted)
			a->v[n++] = a->v[i];
		else
			socket_release(&a->v[i]);
	}
	a->n = n;
	activation_release(&plan);
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row state_rows[] = {
	STATE_FD_ROW(struct activated_socket, fd),
	STATE_ROW(struct activated_socket, name),
	STATE_ROW(struct activated_socket, udp),
	STATE_ROW(struct activated_socket, port),
	STATE_ROW(struct activated_socket, wanted),
};

void activation_save(const struct activation *a, struct state_writer *w,
		     const char *key)
{
	json_open_array(&w->json, key);
	for (size_t i = 0; i < a->n; i++)
		STATE_WRITE_OBJECT(w, NULL, state_rows, &a->v[i]);
	json_close_array(&w->json);
}

int activation_restore(const struct json_node *list, struct activation *ret)
{
	struct json_node item;
	struct stat st;
	int r = 0;

	for (size_t i = 0; r == 0 && json_item(list, i, &item); i++) {
		struct activated_socket *s;

		add(ret, "", false, 0);
		s = &ret->v[ret->n - 1];
		r = STATE_READ(&item, state_rows, s);
		if (s->fd >= 0 && fstat(s->fd, &st) == 0)
			s->inode = st.st_ino;
	}
	return r;
}

bool activation_has_inode(const struct activation *a, ino_t inode)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].fd >= 0 && a->v[i].inode == inode)
			return true;
	return false;
}
