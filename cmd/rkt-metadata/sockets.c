/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-metadata/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "spec/metadata.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* --- given -----------------------------------------------------------------
 */

static int take(struct sockets *ret, int fd, struct error *err)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int listens = 0;
	socklen_t size = sizeof(listens);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
		return error_sys(err, errno,
				 "look at descriptor %d of the service manager",
				 fd);
	if (!listens)
		return error_set(err, EINVAL,
				 "descriptor %d of the service manager does "
				 "not listen",
				 fd);
	(void)set_cloexec(fd, 1);
	(void)set_nonblock(fd);
	*(addr.ss_family == AF_UNIX ? &ret->registration : &ret->pods) = fd;
	return 0;
}

static int take_given(struct sockets *ret, struct error *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t value, n;
	int r = 0;

	if (!pid || !fds || parse_uint(pid, INT32_MAX, &value) < 0 ||
	    (pid_t)value != getpid() || parse_uint(fds, 16, &n) < 0)
		return 0;
	for (int i = 0; i < (int)n && r == 0; i++)
		r = take(ret, FIRST_FD + i, err);
	return r;
}

/* --- made ------------------------------------------------------------------
 */

static int try_listen(int family, uint16_t port)
{
	const struct sockaddr_in in = {.sin_family = AF_INET,
				       .sin_port = htons(port)};
	const struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
					 .sin6_port = htons(port)};
	const struct sockaddr *addr = family == AF_INET
					      ? (const struct sockaddr *)&in
					      : (const struct sockaddr *)&in6;
	socklen_t len = family == AF_INET ? sizeof(in) : sizeof(in6);
	const int off = 0, on = 1;
	cleanup_fd int fd =
		socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
					      &off, sizeof(off)) < 0) ||
	    bind(fd, addr, len) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int listen_tcp(uint16_t port, struct error *err)
{
	int fd = try_listen(AF_INET6, port);

	if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
		fd = try_listen(AF_INET, port);
	if (fd == -EADDRINUSE)
		return error_set(err, EADDRINUSE,
				 "port %u is in use: does a metadata service "
				 "run already? (--listen-port)",
				 port);
	return fd < 0 ? error_sys(err, -fd, "listen on port %u", port) : fd;
}

static bool is_served(const struct sockaddr_un *addr)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 &&
	       connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;
}

/* In /run/rkt, which is root's alone to write. */
static int listen_unix(struct error *err)
{
	const struct sockaddr_un addr = {.sun_family = AF_UNIX,
					 .sun_path = METADATA_SOCKET};
	cleanup_fd int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_sys(err, errno, "open a socket");
	if (is_served(&addr))
		return error_set(err, EADDRINUSE,
				 "a metadata service runs already: it answers "
				 "at " METADATA_SOCKET);
	if (mkdir("/run/rkt", 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make /run/rkt");
	(void)unlink(METADATA_SOCKET); /* of one that was ended */
	(void)umask(0117);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return error_sys(err, errno, "listen at " METADATA_SOCKET);
	return TAKE_FD(fd);
}

int sockets_open(struct sockets *ret, uint16_t port, struct error *err)
{
	int r;

	*ret = (struct sockets){-EBADF, -EBADF};
	r = take_given(ret, err);
	if (r == 0 && ret->pods < 0) {
		ret->pods = listen_tcp(port, err);
		r = ret->pods < 0 ? ret->pods : 0;
	}
	if (r == 0 && ret->registration < 0) {
		ret->registration = listen_unix(err);
		r = ret->registration < 0 ? ret->registration : 0;
	}
	return r;
}

unsigned int sockets_port(const struct sockets *sockets)
{
	struct sockaddr_in6 addr = {0};
	socklen_t len = sizeof(addr);

	/* At the same place in the address of either family. */
	(void)getsockname(sockets->pods, (struct sockaddr *)&addr, &len);
	return ntohs(addr.sin6_port);
}
