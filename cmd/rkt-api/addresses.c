/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/listen.h"
#include "base/parse.h"

#define UNIX_PREFIX "unix:"

static int listen_ip(const char *ip, uint16_t port, bool only_v6)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
				   .sin6_port = htons(port)};

	if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
		return listen_at((const struct sockaddr *)&in, sizeof(in),
				 false);
	if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
		return listen_at((const struct sockaddr *)&in6, sizeof(in6),
				 only_v6);
	return -EINVAL;
}

static int failed(const char *text, const char *option, int code,
		  struct error *err)
{
	if (code == EADDRINUSE)
		return error_set(err, code,
				 "%s is in use: does an API service run "
				 "already? (--%s)",
				 text, option);
	if (code == EINVAL)
		return error_set(err, code,
				 "--%s=%s: must be localhost:PORT, IP:PORT, "
				 "[IPv6]:PORT, :PORT or unix:/PATH",
				 option, text);
	return error_sys(err, code, "listen at %s (--%s)", text, option);
}

/* A host without IPv6 has no ::1. */
static int listen_localhost(uint16_t port, int ret[ADDRESS_FDS_MAX])
{
	cleanup_fd int v4 = listen_ip("127.0.0.1", port, false);
	int v6;

	if (v4 < 0)
		return v4;
	v6 = listen_ip("::1", port, true);
	if (v6 < 0 && v6 != -EADDRNOTAVAIL && v6 != -EAFNOSUPPORT)
		return v6;
	ret[0] = TAKE_FD(v4);
	ret[1] = v6;
	return v6 < 0 ? 1 : 2;
}

static int listen_every(uint16_t port)
{
	int fd = listen_ip("::", port, false);

	return fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT
		       ? listen_ip("0.0.0.0", port, false)
		       : fd;
}

static int listen_path(const char *path, gid_t group, int *ret,
		       struct error *err)
{
	cleanup_free char *dir = NULL;
	int fd;

	dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	(void)mkdir(dir, 0755);
	fd = listen_unix(path, 0660, err);
	if (fd < 0)
		return fd;
	/* Who may read the data directory may ask. */
	if (lchown(path, (uid_t)-1, group) < 0 && geteuid() == 0) {
		int r = error_sys(err, errno, "give %s to group %u", path,
				  group);

		fd_close(&fd);
		return r;
	}
	*ret = fd;
	return 1;
}

int addresses_listen(const char *text, const char *option, gid_t group,
		     int ret[ADDRESS_FDS_MAX], struct error *err)
{
	const char *colon = strrchr(text, ':');
	cleanup_free char *host = NULL;
	size_t len;
	uint64_t port;
	int r;

	if (strncmp(text, UNIX_PREFIX "/", sizeof(UNIX_PREFIX)) == 0)
		return listen_path(text + sizeof(UNIX_PREFIX) - 1, group, ret,
				   err);
	if (!colon || parse_uint(colon + 1, UINT16_MAX, &port) < 0 || !port)
		return failed(text, option, EINVAL, err);
	len = (size_t)(colon - text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']')
		host = xstrndup(text + 1, len - 2);
	else
		host = xstrndup(text, len);
	if (strcmp(host, "localhost") == 0) {
		r = listen_localhost((uint16_t)port, ret);
	} else {
		ret[0] = *host ? listen_ip(host, (uint16_t)port, true)
			       : listen_every((uint16_t)port);
		r = ret[0] < 0 ? ret[0] : 1;
	}
	return r < 0 ? failed(text, option, -r, err) : r;
}
