/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage0/pod.h"

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

int pod_control_connect(const struct pod *pod, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cleanup_fd int fd = -EBADF;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, errno, "create socket");
	/* A socket's address is short, a pod's path need not be. */
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path),
		       "/proc/self/fd/%d/" POD_CONTROL_SOCKET, pod->fd);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return TAKE_FD(fd);
	if (errno == ENOENT || errno == ECONNREFUSED)
		return error_set(err, ESRCH,
				 "pod \"%s\" isn't currently running",
				 pod->uuid);
	return error_sys(err, errno, "connect to pod %s", pod->uuid);
}

static int read_reply(int fd, const struct pod *pod, struct error *err)
{
	struct control_reply reply;
	ssize_t n;

	do {
		n = recv(fd, &reply, sizeof(reply), 0);
		if (n < 0 && errno == EINTR)
			continue;
		/* It may be gone already: that is stopped enough. */
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n != (ssize_t)sizeof(reply) ||
		    reply.version != STAGE1_ABI_VERSION)
			return error_set(err, EPROTO,
					 "pod %s gave no proper answer",
					 pod->uuid);
	} while (reply.kind == CONTROL_PROGRESS);
	if (reply.kind == CONTROL_DONE)
		return 0;
	reply.text[sizeof(reply.text) - 1] = '\0';
	return error_set(err, reply.code > 0 ? reply.code : EIO,
			 "stop pod %s: %s", pod->uuid, reply.text);
}

int pod_stop(const struct pod *pod, struct error *err)
{
	const struct control_request request = {
		.version = STAGE1_ABI_VERSION,
		.op = CONTROL_STOP,
	};
	cleanup_fd int fd = -EBADF;

	fd = pod_control_connect(pod, err);
	if (fd < 0)
		return fd;
	if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) < 0)
		return error_sys(err, errno, "send to pod %s", pod->uuid);
	return read_reply(fd, pod, err);
}

/* The process that listens there, whatever its number is now. */
static int supervisor_pidfd(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(int);
	int pidfd;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
		return pidfd;
	len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	pidfd = pidfd_open(cred.pid, 0);
	return pidfd < 0 ? -errno : pidfd;
}

int pod_kill(const struct pod *pod, struct error *err)
{
	cleanup_fd int pidfd = -EBADF;
	cleanup_fd int fd = -EBADF;
	int r;

	fd = pod_control_connect(pod, err);
	if (fd < 0)
		return fd;
	pidfd = supervisor_pidfd(fd);
	if (pidfd < 0)
		return error_sys(err, -pidfd, "find supervisor of pod %s",
				 pod->uuid);
	r = sys_pidfd_send_signal(pidfd, SIGKILL);
	if (r < 0 && r != -ESRCH)
		return error_sys(err, -r, "kill supervisor of pod %s",
				 pod->uuid);
	return 0;
}
