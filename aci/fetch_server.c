/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/fetch_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aci/sandbox.h"
#include "base/error.h"
#include "base/process.h"

static int take_fds(struct msghdr *msg, struct fetch_job *job,
		    struct error *err)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	size_t n = 0;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (n <= FETCH_FDS_MAX)
			memcpy(job->fds, CMSG_DATA(c), n * sizeof(int));
	}
	if ((msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || n == 0 ||
	    n > FETCH_FDS_MAX || n != job->request.n_fds)
		return error_set(err, EPROTO,
				 "receive the request: its descriptors are "
				 "missing");
	return 0;
}

static int receive(struct fetch_job *job, struct error *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FETCH_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {&job->request, sizeof(job->request)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	n = recvmsg(FETCH_SOCKET_FD, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return error_sys(err, errno, "receive the request");
	if (n != (ssize_t)sizeof(job->request) ||
	    job->request.magic != FETCH_MAGIC ||
	    job->request.version != FETCH_VERSION)
		return error_set(err, EPROTO,
				 "receive the request: the programs are of "
				 "different versions");
	return take_fds(&msg, job, err);
}

static const struct fetch_job_kind *
find_kind(const struct fetch_job_kind *kinds, const struct fetch_job *job,
	  const char *mode)
{
	for (const struct fetch_job_kind *k = kinds; k->run; k++)
		if (k->job == job->request.job && strcmp(k->mode, mode) == 0 &&
		    job->request.n_fds >= k->min_fds)
			return k;
	return NULL;
}

int fetch_lock_in_parse(const struct sandbox *s, const struct fetch_job *job,
			struct error *err)
{
	(void)job;
	return sandbox_enter_parse(s, err);
}

static int lock_in(const struct fetch_job_kind *kind,
		   const struct fetch_job *job, struct error *err)
{
	int keep[FETCH_FDS_MAX + 1] = {FETCH_SOCKET_FD};
	const struct sandbox s = {
		.keep_fds = keep,
		.n_keep_fds = 1 + job->request.n_fds,
		.max_memory = kind->max_memory,
		.max_cpu = kind->max_cpu,
		.max_file_size = job->request.max_tar_size,
	};

	memcpy(keep + 1, job->fds, job->request.n_fds * sizeof(int));
	return kind->lock_in(&s, job, err);
}

static int run(const struct fetch_job_kind *kinds, const char *mode,
	       struct fetch_job *job, struct fetch_reply *reply,
	       struct error *err)
{
	const struct fetch_job_kind *kind;
	int r;

	r = receive(job, err);
	if (r < 0)
		return r;
	reply->job = job->request.job;
	kind = find_kind(kinds, job, mode);
	if (!kind)
		return error_set(err, EPROTO, "receive the request: unknown");
	/* Everything the libraries open, they open now. */
	r = kind->prepare(err);
	if (r < 0)
		return r;
	r = lock_in(kind, job, err);
	if (r < 0)
		return error_wrap(err, r, "enter the sandbox");
	return kind->run(job, reply, err);
}

static bool is_started_by_rkt(void)
{
	socklen_t len = sizeof(int);
	int type = 0;

	return getsockopt(FETCH_SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &len) ==
		       0 &&
	       type == SOCK_SEQPACKET;
}

void fetch_serve(const char *program, const struct fetch_job_kind *kinds,
		 int argc, char **argv)
{
	static struct fetch_job job;
	static struct fetch_reply reply;
	struct error err = ERROR_INIT;
	int r;

	if (argc != 2 || !is_started_by_rkt()) {
		(void)dprintf(STDERR_FILENO, "%s: this program is run by rkt\n",
			      program);
		_exit(254);
	}
	process_be_nice_to_sessions();
	reply.magic = FETCH_MAGIC;
	reply.version = FETCH_VERSION;
	r = run(kinds, argv[1], &job, &reply, &err);
	if (r < 0) {
		reply.code = (uint32_t)-r;
		memcpy(reply.msg, err.msg, sizeof(reply.msg));
	}
	if (send(FETCH_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
		_exit(254);
	/* Not exit(3): what the libraries would tidy up ends with us. */
	_exit(0);
}
