/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/host_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "stage1/host_store.h"
#include "stage1/state.h"

/* sd_listen_fds(3). */
#define FIRST_FD 3
#define SOCKETS_MAX 256

void host_sockets_release(struct host_sockets *h)
{
	for (size_t i = 0; i < h->n; i++) {
		fd_close(&h->v[i].fd);
		free(h->v[i].name);
	}
	free(h->v);
	*h = (struct host_sockets){NULL, 0};
}

/* How many are for this process. */
static size_t count_given(void)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	uint64_t n, number;

	if (!fds || !pid || parse_uint(pid, INT32_MAX, &number) < 0 ||
	    (pid_t)number != getpid() || parse_uint(fds, SOCKETS_MAX, &n) < 0)
		return 0;
	return (size_t)n;
}

static bool get_option(int fd, int option, int *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, option, ret, &len) == 0;
}

/* False of what no port can be. */
static bool look_at(int fd, struct host_socket *ret)
{
	struct sockaddr_storage addr = {0};
	const struct sockaddr_in *v4 = (const void *)&addr;
	const struct sockaddr_in6 *v6 = (const void *)&addr;
	socklen_t len = sizeof(addr);
	int type, listens = 0;

	if (!get_option(fd, SO_TYPE, &type) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    (addr.ss_family != AF_INET && addr.ss_family != AF_INET6))
		return false;
	(void)get_option(fd, SO_ACCEPTCONN, &listens);
	ret->udp = type == SOCK_DGRAM;
	ret->port =
		ntohs(addr.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
	return ret->udp || (type == SOCK_STREAM && listens);
}

void host_sockets_add(struct host_sockets *h, int fd, const char *name)
{
	struct host_socket s = {.fd = fd};

	if (!look_at(fd, &s)) {
		log_warning("descriptor %d (%s) of LISTEN_FDS is no socket a "
			    "port can be: it is left alone",
			    fd, name);
		return;
	}
	s.name = xstrdup(name);
	h->v = xreallocarray(h->v, h->n + 1, sizeof(*h->v));
	h->v[h->n++] = s;
}

static void take_one(struct host_sockets *h, struct host_store *store, int fd,
		     const char *name)
{
	if (set_cloexec(fd, 1) < 0)
		return; /* it is not there */
	if (!host_store_take_back(store, fd, name))
		host_sockets_add(h, fd, name);
}

void host_sockets_take(struct host_sockets *ret, struct host_store *store)
{
	static const char *const variables[] = {"LISTEN_FDS", "LISTEN_PID",
						"LISTEN_FDNAMES"};
	const char *given = getenv("LISTEN_FDNAMES");
	cleanup_free char *names = xstrdup(given ? given : "");
	size_t n = count_given();
	char *next = names;

	*ret = (struct host_sockets){NULL, 0};
	for (size_t i = 0; i < n; i++) {
		const char *name = next ? strsep(&next, ":") : "";

		take_one(ret, store, FIRST_FD + (int)i, name);
	}
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		(void)unsetenv(variables[i]);
}

static int take(struct host_sockets *h, const char *name, bool udp,
		uint16_t port)
{
	for (size_t i = 0; i < h->n; i++) {
		struct host_socket *s = &h->v[i];

		if (s->fd >= 0 && s->udp == udp &&
		    (name ? strcmp(s->name, name) == 0 : s->port == port))
			return TAKE_FD(s->fd);
	}
	return -ENOENT;
}

int host_sockets_get(struct host_sockets *h, const char *name, bool udp,
		     uint16_t port)
{
	int fd = take(h, name, udp, port);

	return fd < 0 ? take(h, NULL, udp, port) : fd;
}

bool host_sockets_has(const struct host_sockets *h, bool udp, uint16_t port)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].udp == udp && h->v[i].port == port)
			return true;
	return false;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row state_rows[] = {
	STATE_FD_ROW(struct host_socket, fd),
	STATE_ROW(struct host_socket, name),
	STATE_ROW(struct host_socket, udp),
	STATE_ROW(struct host_socket, port),
};

void host_sockets_save(const struct host_sockets *h, struct state_writer *w,
		       const char *key)
{
	json_open_array(&w->json, key);
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].fd >= 0)
			STATE_WRITE_OBJECT(w, NULL, state_rows, &h->v[i]);
	json_close_array(&w->json);
}

int host_sockets_restore(const struct json_node *list, struct host_sockets *ret)
{
	struct json_node item;
	int r = 0;

	for (size_t i = 0; r == 0 && json_item(list, i, &item); i++) {
		ret->v = xreallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
		ret->v[ret->n++] = (struct host_socket){.fd = -EBADF};
		r = STATE_READ(&item, state_rows, &ret->v[i]);
	}
	return r;
}
