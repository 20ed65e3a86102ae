/* SPDX-License-Identifier: Apache-2.0 */
#include "base/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* --- given -----------------------------------------------------------------
 */

static int check_given(int fd, struct error *err)
{
	socklen_t size = sizeof(int);
	int listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
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
	return 0;
}

int listen_given(int ret[LISTEN_GIVEN_MAX], struct error *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t value, n;
	int r = 0;

	if (!pid || !fds || parse_uint(pid, INT32_MAX, &value) < 0 ||
	    (pid_t)value != getpid() ||
	    parse_uint(fds, LISTEN_GIVEN_MAX, &n) < 0)
		return 0;
	for (int i = 0; i < (int)n && r == 0; i++) {
		ret[i] = FIRST_FD + i;
		r = check_given(ret[i], err);
	}
	return r < 0 ? r : (int)n;
}

/* --- made ------------------------------------------------------------------
 */

int listen_at(const struct sockaddr *addr, socklen_t len, bool only_v6)
{
	const int on = 1, v6 = only_v6;
	cleanup_fd int fd = socket(
		addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (addr->sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6, sizeof(v6)) < 0) ||
	    bind(fd, addr, len) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static bool is_served(const struct sockaddr_un *addr)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 &&
	       connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;
}

/* Only a socket is in the way of one. */
static void remove_left(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
}

int listen_unix(const char *path, unsigned int mode, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) >=
	    (int)sizeof(addr.sun_path))
		return error_set(err, ENAMETOOLONG,
				 "%s is too long for a socket's path", path);
	if (is_served(&addr))
		return error_set(err, EADDRINUSE,
				 "%s is in use: it is answered already", path);
	remove_left(path);
	mask = umask(~mode & 0777);
	fd = listen_at((const struct sockaddr *)&addr, sizeof(addr), false);
	(void)umask(mask);
	return fd < 0 ? error_sys(err, -fd, "listen at %s", path) : fd;
}
