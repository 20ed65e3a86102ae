/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/notify_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/parse.h"

#define VARIABLE "NOTIFY_SOCKET"

char *notify_host_take(void)
{
	const char *value = getenv(VARIABLE);
	char *ret = value && *value ? xstrdup(value) : NULL;

	(void)unsetenv(VARIABLE);
	return ret;
}

uint64_t notify_host_take_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t n = 0, number = 0;

	if (usec && parse_uint(usec, INT64_MAX, &n) < 0)
		n = 0;
	if (pid && (parse_uint(pid, INT32_MAX, &number) < 0 ||
		    (pid_t)number != getpid()))
		n = 0;
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	return n;
}

/* "@NAME" is abstract; other forms (vsock) are not a pod's. */
static socklen_t make_address(const char *name, struct sockaddr_un *addr)
{
	size_t len = strlen(name);

	if ((*name != '@' && *name != '/') || len < 2 ||
	    len >= sizeof(addr->sun_path))
		return 0;
	addr->sun_family = AF_UNIX;
	memcpy(addr->sun_path, name, len);
	if (*name == '@')
		addr->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void notify_host_send(const char *socket_name, const char *text)
{
	notify_host_send_fd(socket_name, text, -EBADF);
}

void notify_host_send_fd(const char *socket_name, const char *text, int given)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text,
			    .iov_len = strlen(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	/* A service manager that is busy is waited for, but not for good. */
	const struct timeval patience = {.tv_sec = 5};
	struct sockaddr_un addr = {0};
	cleanup_fd int fd = -EBADF;
	socklen_t len;

	if (!socket_name)
		return;
	len = make_address(socket_name, &addr);
	fd = len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -EINVAL;
	msg.msg_name = &addr;
	msg.msg_namelen = len;
	if (given >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(given));
		memcpy(CMSG_DATA(c), &given, sizeof(given));
	}
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		log_warning("tell " VARIABLE " %s: %s", socket_name,
			    fd == -EINVAL ? "unknown form of a name"
					  : strerror(errno));
}
