/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/fetch_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "aci/fetch_protocol.h"
#include "aci/printable.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/process.h"
#include "base/syscalls.h"

#define END_SECONDS 10 /* from the reply to the end of the process */

void fetch_child_release(struct fetch_child *c)
{
	int status;

	if (c->pidfd >= 0) {
		(void)sys_pidfd_send_signal(c->pidfd, SIGKILL);
		(void)process_wait(c->pidfd, &status);
	}
	fd_close(&c->pidfd);
	fd_close(&c->sock);
}

int fetch_child_start(const char *libexec_dir, const char *program,
		      const char *mode, char *const envp[],
		      struct fetch_child *ret, struct error *err)
{
	cleanup_free char *path = xasprintf("%s/%s", libexec_dir, program);
	char *argv[] = {(char *)program, (char *)mode, NULL};
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	cleanup_fd int ours = -EBADF;
	cleanup_fd int theirs = -EBADF;
	int pair[2];
	int r;

	if (null < 0)
		return error_sys(err, errno, "open /dev/null");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket pair");
	ours = pair[0];
	theirs = pair[1];
	const struct fd_map map[] = {
		{null, 0}, {null, 1}, {null, 2}, {theirs, FETCH_SOCKET_FD}};
	r = process_spawn(path, -1, argv, envp, map,
			  sizeof(map) / sizeof(map[0]), NULL, err);
	if (r < 0)
		return r;
	*ret = (struct fetch_child){program, r, TAKE_FD(ours)};
	return 0;
}

int fetch_child_send(const struct fetch_child *c, struct fetch_request *request,
		     const int *fds, struct error *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FETCH_FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {request, sizeof(*request)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(request->n_fds * sizeof(int)),
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	request->magic = FETCH_MAGIC;
	request->version = FETCH_VERSION;
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(request->n_fds * sizeof(int));
	memcpy(CMSG_DATA(h), fds, request->n_fds * sizeof(int));
	/* A child that is gone already is reported by who waits for it. */
	if (sendmsg(c->sock, &msg, MSG_NOSIGNAL) < 0 && errno != EPIPE &&
	    errno != ECONNRESET)
		return error_sys(err, errno, "send %s its request", c->program);
	return 0;
}

/* Until FD is readable: 1, 0 when SECONDS have passed, or -errno. */
static int wait_readable(int fd, int seconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec now, end;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	for (;;) {
		int64_t left;
		int n;

		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		left = (end.tv_sec - now.tv_sec) * 1000 +
		       (end.tv_nsec - now.tv_nsec) / 1000000;
		if (seconds < 0)
			left = -1;
		else if (left < 0)
			left = 0;
		n = poll(&p, 1, (int)left);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return -errno;
	}
}

int fetch_child_wait(const struct fetch_child *c, int seconds,
		     struct error *err)
{
	int r = wait_readable(c->sock, seconds);

	if (r < 0)
		return error_sys(err, -r, "wait for %s", c->program);
	if (r == 0)
		return error_set(err, ETIMEDOUT,
				 "%s did not answer within %d seconds",
				 c->program, seconds);
	return r;
}

ssize_t fetch_child_receive(const struct fetch_child *c, void *ret, size_t size)
{
	ssize_t n = recv(c->sock, ret, size, MSG_TRUNC);

	return n < 0 ? 0 : n;
}

/* Waits for the child's end; a child that does not end is killed. */
static int child_end(struct fetch_child *c, int *ret_status, struct error *err)
{
	int r = wait_readable(c->pidfd, END_SECONDS);

	if (r == 0)
		(void)sys_pidfd_send_signal(c->pidfd, SIGKILL);
	r = process_wait(c->pidfd, ret_status);
	if (r < 0)
		return error_sys(err, -r, "wait for %s", c->program);
	fd_close(&c->pidfd);
	return 0;
}

static int report_death(const struct fetch_child *c, int status,
			struct error *err)
{
	char text[64];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return error_set(err, EPROTO,
				 "%s tried a forbidden system call and was "
				 "stopped (signal %d): the file may be an "
				 "attack",
				 c->program, SIGSYS);
	return error_set(err, EPROTO, "%s ended without an answer: %s",
			 c->program,
			 process_status_text(status, text, sizeof(text)));
}

static int check_reply(const struct fetch_child *c, struct fetch_reply *reply,
		       ssize_t n, uint32_t job, struct error *err)
{
	if (n != (ssize_t)sizeof(*reply) || reply->magic != FETCH_MAGIC ||
	    reply->version != FETCH_VERSION || reply->job != job ||
	    reply->code > 4095)
		return error_set(err, EPROTO,
				 "%s gave a malformed answer; is it of another "
				 "version?",
				 c->program);
	if (reply->code == 0)
		return 0;
	reply->msg[sizeof(reply->msg) - 1] = '\0';
	make_printable(reply->msg);
	return error_set(err, (int)reply->code, "%s",
			 reply->msg[0] ? reply->msg : "unknown error");
}

int fetch_child_finish(struct fetch_child *c, uint32_t job,
		       struct fetch_reply *reply, ssize_t n, struct error *err)
{
	int status = 0;
	int r = child_end(c, &status, err);

	if (r < 0)
		return r;
	if (n <= 0 || status != 0)
		return report_death(c, status, err);
	return check_reply(c, reply, n, job, err);
}

int fetch_child_reply(struct fetch_child *c, uint32_t job, int seconds,
		      struct fetch_reply *ret, struct error *err)
{
	int r = fetch_child_wait(c, seconds, err);

	if (r < 0)
		return r;
	return fetch_child_finish(
		c, job, ret, fetch_child_receive(c, ret, sizeof(*ret)), err);
}
