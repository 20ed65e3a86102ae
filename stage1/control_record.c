/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/control_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "spec/acname.h"

/* Descriptors an operation comes with. */
static const size_t fds_wanted[CONTROL_OP_MAX] = {
	[CONTROL_UPDATE] = 1,
	[CONTROL_APP_ADD] = 1,
};

static bool is_of_app(uint32_t op)
{
	return op == CONTROL_UPDATE || op == CONTROL_PLAN ||
	       op == CONTROL_ATTACH ||
	       (op >= CONTROL_APP_ADD && op <= CONTROL_APP_REMOVE);
}

int control_record_check(const void *buf, size_t len, size_t n_fds,
			 struct control_request *ret)
{
	struct control_request rec;

	if (len != sizeof(rec))
		return -EPROTO;
	memcpy(&rec, buf, sizeof(rec));
	if (rec.version != STAGE1_ABI_VERSION || rec.op < CONTROL_STATUS ||
	    rec.op >= CONTROL_OP_MAX || n_fds != fds_wanted[rec.op])
		return -EPROTO;
	if (rec.keep > (rec.flags & CONTROL_KEEP ? UPDATE_KEEP_MAX : 0) ||
	    rec.reserved2 || rec.canary_share > 10000 ||
	    rec.flags & ~(uint32_t)CONTROL_FLAGS_KNOWN)
		return -EPROTO;
	if (!memchr(rec.app, '\0', sizeof(rec.app)) ||
	    !memchr(rec.who, '\0', sizeof(rec.who)) ||
	    !memchr(rec.probe, '\0', sizeof(rec.probe)))
		return -EPROTO;
	if (rec.op != CONTROL_ATTACH && rec.flags & CONTROL_ATTACH_FLAGS)
		return -EPROTO;
	if (is_of_app(rec.op) && acname_check(rec.app, NULL) < 0)
		return -EPROTO;
	if (fds_wanted[rec.op] && rec.generation == 0)
		return -EPROTO;
	*ret = rec;
	return 0;
}

int runtime_record_check(const void *buf, size_t len, size_t n_fds,
			 struct runtime_request *ret)
{
	struct runtime_request rec;

	if (len != sizeof(rec) || n_fds != 1)
		return -EPROTO;
	memcpy(&rec, buf, sizeof(rec));
	if (rec.magic != RUNTIME_MAGIC || rec.op < RUNTIME_CHECK ||
	    rec.op >= RUNTIME_OP_MAX || rec.reserved[0] || rec.reserved[1])
		return -EPROTO;
	*ret = rec;
	return 0;
}

/*
 * The only descriptor of MSG into *RET.  The space for one int has room for
 * two, because it is rounded up: all that came are closed then.
 */
static size_t take_descriptors(struct msghdr *msg, int *ret)
{
	size_t n_all = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			fd_close(ret);
			memcpy(ret, CMSG_DATA(c) + i * sizeof(int),
			       sizeof(int));
		}
		n_all += n;
	}
	if (n_all > 1)
		fd_close(ret);
	return n_all;
}

int control_record_receive(int fd, struct control_record *ret, int *ret_passed)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	/* One byte more than a record tells a longer one. */
	char buf[sizeof(struct control_request) + 1];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	cleanup_fd int passed = -EBADF;
	size_t n_fds;
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int r;

	if (n < 0)
		return -errno;
	n_fds = take_descriptors(&msg, &passed);
	if (msg.msg_flags & MSG_CTRUNC)
		return -EPROTO;
	ret->is_runtime =
		runtime_record_check(buf, (size_t)n, n_fds, &ret->runtime) == 0;
	r = ret->is_runtime ? 0
			    : control_record_check(buf, (size_t)n, n_fds,
						   &ret->request);
	if (r == 0)
		*ret_passed = TAKE_FD(passed);
	return r;
}

void control_reply(int fd, enum control_reply_kind kind, int code,
		   const char *text)
{
	struct control_reply rec = {
		.version = STAGE1_ABI_VERSION,
		.kind = kind,
		.code = code,
	};

	(void)snprintf(rec.text, sizeof(rec.text), "%s", text);
	(void)send(fd, &rec, sizeof(rec), MSG_NOSIGNAL | MSG_DONTWAIT);
}
