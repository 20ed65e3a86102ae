/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-metadata/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/listen.h"
#include "spec/metadata.h"

static int take_given(struct sockets *ret, struct error *err)
{
	int fds[LISTEN_GIVEN_MAX];
	int n = listen_given(fds, err);

	for (int i = 0; i < n; i++) {
		struct sockaddr_storage addr = {0};
		socklen_t len = sizeof(addr);

		if (getsockname(fds[i], (struct sockaddr *)&addr, &len) < 0)
			return error_sys(err, errno, "look at descriptor %d",
					 fds[i]);
		*(addr.ss_family == AF_UNIX ? &ret->registration : &ret->pods) =
			fds[i];
	}
	return n < 0 ? n : 0;
}

static int listen_tcp(uint16_t port, struct error *err)
{
	const struct sockaddr_in in = {.sin_family = AF_INET,
				       .sin_port = htons(port)};
	const struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
					 .sin6_port = htons(port)};
	int fd = listen_at((const struct sockaddr *)&in6, sizeof(in6), false);

	if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
		fd = listen_at((const struct sockaddr *)&in, sizeof(in), false);
	if (fd == -EADDRINUSE)
		return error_set(err, EADDRINUSE,
				 "port %u is in use: does a metadata service "
				 "run already? (--listen-port)",
				 port);
	return fd < 0 ? error_sys(err, -fd, "listen on port %u", port) : fd;
}

/* In /run/rkt, which is root's alone to write. */
static int listen_registration(struct error *err)
{
	int fd;

	if (mkdir("/run/rkt", 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make /run/rkt");
	fd = listen_unix(METADATA_SOCKET, 0660, err);
	return fd == -EADDRINUSE
		       ? error_prefix(err, fd,
				      "a metadata service runs already")
		       : fd;
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
		ret->registration = listen_registration(err);
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
