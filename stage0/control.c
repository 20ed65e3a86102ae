/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "spec/stage1_abi.h"
#include "stage0/pod_stage1.h"

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

int control_connect(int poddir_fd, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cleanup_fd int fd = -EBADF;
	char dir[PROC_FD_MAX];

	/* Through the descriptor: data directories may have long names. */
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path),
		       "%s/" POD_CONTROL_SOCKET, proc_fd_path(poddir_fd, dir));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, errno, "open a socket");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int code = errno;

		if (code == ENOENT &&
		    pod_stage1_want_native(poddir_fd, err) < 0)
			return -EOPNOTSUPP;
		if (code == ENOENT || code == ECONNREFUSED)
			return error_set(err, ESRCH,
					 "the pod's supervisor does not "
					 "answer: is the pod running?");
		return error_sys(err, code, "connect to the pod");
	}
	return TAKE_FD(fd);
}

static int send_record(int conn, const void *rec, size_t size, int fd,
		       struct error *err)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)rec, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	if (sendmsg(conn, &msg, MSG_NOSIGNAL) < 0)
		return error_sys(err, errno, "send the request to the pod");
	return 0;
}

int control_send(int conn, const struct control_request *request, int fd,
		 struct error *err)
{
	struct control_request rec = *request;

	rec.version = STAGE1_ABI_VERSION;
	return send_record(conn, &rec, sizeof(rec), fd, err);
}

static ssize_t receive_record(int conn, void *rec, size_t size)
{
	ssize_t n;

	do {
		n = recv(conn, rec, size, 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

int control_receive(int conn, struct control_reply *ret, struct error *err)
{
	ssize_t n = receive_record(conn, ret, sizeof(*ret));

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return error_set(err, ECONNRESET,
				 "the pod's supervisor went away");
	if (n < 0)
		return error_sys(err, errno, "read the pod's answer");
	if (n != (ssize_t)sizeof(*ret) || ret->version != STAGE1_ABI_VERSION ||
	    !memchr(ret->text, '\0', sizeof(ret->text)))
		return error_set(err, EPROTO,
				 "the pod's answer is not understood: was it "
				 "started by another version of rkt?");
	return 0;
}

int control_attach_send(int conn, enum attach_kind kind, const void *data,
			size_t n)
{
	struct attach_head head = {.kind = kind, .length = (uint32_t)n};
	struct iovec iov[] = {
		{.iov_base = &head, .iov_len = sizeof(head)},
		{.iov_base = (void *)data, .iov_len = n},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n ? 2 : 1};

	if (sendmsg(conn, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : -ECONNRESET;
}

int control_attach_receive(int conn, struct attach_head *ret, void *data)
{
	struct iovec iov[] = {
		{.iov_base = ret, .iov_len = sizeof(*ret)},
		{.iov_base = data, .iov_len = ATTACH_DATA_MAX},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = recvmsg(conn, &msg, MSG_DONTWAIT);

	/* It left something of ours unread: said once, before its last words.
	 */
	if (n < 0 && errno == ECONNRESET) {
		msg.msg_flags = 0;
		n = recvmsg(conn, &msg, MSG_DONTWAIT);
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return -ECONNRESET;
	if (msg.msg_flags & MSG_TRUNC || n < (ssize_t)sizeof(*ret) ||
	    ret->length != (size_t)n - sizeof(*ret))
		return -EPROTO;
	return 0;
}

static bool is_text(const char *field, size_t size)
{
	return memchr(field, '\0', size) != NULL;
}

int control_runtime(int conn, enum runtime_op op, int program,
		    struct runtime_reply *ret, struct error *err)
{
	const struct runtime_request rec = {.magic = RUNTIME_MAGIC, .op = op};
	int r = send_record(conn, &rec, sizeof(rec), program, err);
	ssize_t n;

	if (r < 0)
		return r;
	n = receive_record(conn, ret, sizeof(*ret));
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return error_set(err, EOPNOTSUPP,
				 "the pod's supervisor does not answer: it has "
				 "ended, or is of a version that no other one "
				 "can follow, and the pod has to be stopped "
				 "and started");
	if (n < 0)
		return error_sys(err, errno, "read the pod's answer");
	if (n != (ssize_t)sizeof(*ret) || ret->magic != RUNTIME_MAGIC ||
	    !is_text(ret->old_version, sizeof(ret->old_version)) ||
	    !is_text(ret->new_version, sizeof(ret->new_version)) ||
	    !is_text(ret->text, sizeof(ret->text)))
		return error_set(err, EPROTO,
				 "the pod's answer is not understood");
	return 0;
}

int control_peer(int conn, struct error *err)
{
	struct ucred peer;
	socklen_t len = sizeof(int);
	int fd;

	/* The process itself, whatever has its number now. */
	if (getsockopt(conn, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0)
		return fd;
	len = sizeof(peer);
	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return error_sys(err, errno, "find the pod's supervisor");
	fd = pidfd_open(peer.pid, 0);
	return fd < 0 ? error_sys(err, errno, "open the pod's supervisor") : fd;
}
