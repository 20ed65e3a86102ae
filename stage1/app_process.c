/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/app_process.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process.h"
#include "base/strv.h"
#include "base/syscalls.h"
#include "stage1/app_process_impl.h"
#include "stage1/cgroup.h"
#include "stage1/pod_init.h"

void app_process_wait_a_little(unsigned int round)
{
	struct timespec pause = {.tv_nsec = round < 100 ? 10000 : 1000000};

	if (round < 20)
		(void)sched_yield();
	else
		(void)nanosleep(&pause, NULL);
}

/* Reads the child's one message: PREPARED or its error. */
static int wait_prepared(int ours, struct error *err)
{
	struct error child_err;
	ssize_t n = read(ours, &child_err, sizeof(child_err));

	while (n < 0 && errno == EINTR)
		n = read(ours, &child_err, sizeof(child_err));
	if (n == 1)
		return 0;
	if (n == (ssize_t)sizeof(child_err)) {
		if (err)
			*err = child_err;
		return -child_err.code;
	}
	return error_set(err, ECHILD, "the process died while starting");
}

static int fetch_listener(struct app_process *p, struct error *err)
{
	struct pollfd dead = {.fd = p->pidfd, .events = POLLIN};
	unsigned int round = 0;
	int number, code, fd;

	while (!(number = atomic_load(&p->barrier->listener))) {
		if (app_process_exec_failed(p, &code))
			return error_sys(err, code,
					 "install the system call filter");
		if (poll(&dead, 1, 0) > 0 || round > BARRIER_TIMEOUT_MS)
			return error_set(err, ECHILD,
					 "the process died while installing "
					 "its system call filter");
		app_process_wait_a_little(round++);
	}
	fd = pidfd_getfd(p->pidfd, number - 1, 0);
	if (fd < 0)
		return error_sys(err, errno, "take the seccomp listener");
	p->listener = fd;
	return 0;
}

static int open_mntns(struct app_process *p, struct error *err)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)p->pid);
	p->mntns = open(path, O_RDONLY | O_CLOEXEC);
	if (p->mntns < 0)
		return error_sys(err, errno, "open the app's mount namespace");
	return 0;
}

static int hold_at_barrier(struct app_process *p, struct error *err)
{
	struct seccomp_notif notif = {0};
	struct pollfd fds = {.fd = p->listener, .events = POLLIN};

	if (poll(&fds, 1, BARRIER_TIMEOUT_MS) != 1 || !(fds.revents & POLLIN) ||
	    ioctl(p->listener, SECCOMP_IOCTL_NOTIF_RECV, &notif) < 0)
		return error_set(err, ECHILD,
				 "the process died at its barrier");
	p->held = notif.id;
	return 0;
}

void app_process_wait_exec(struct app_process *process)
{
	struct pollfd fds = {.fd = process->exec_fd, .events = POLLIN};

	/* The other end is close-on-exec and ends with the process, too. */
	if (process->exec_fd >= 0)
		(void)poll(&fds, 1, BARRIER_TIMEOUT_MS);
	fd_close(&process->exec_fd);
}

static int begin(const struct app_process_request *req, struct app_process *p,
		 struct error *err)
{
	const struct app_clone_place place = {
		.init = req->init->pidfd,
		.own_pidns = req->own_pidns,
		.cgroup = req->killed_leaf ? -EBADF : req->leaf->dirfd,
	};
	cleanup_fd int theirs = -EBADF;
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_sys(err, errno, "create a socket pair");
	p->exec_fd = fds[0];
	theirs = fds[1];
	p->pid = app_clone(&place, &p->barrier->clone, &p->pidfd, err);
	if (p->pid < 0)
		return p->pid;
	if (p->pid == 0)
		app_process_child(req, p->barrier, theirs);
	fd_close(&theirs);
	r = pod_init_wait_namespaces(req->init, err);
	if (r < 0)
		return r;
	/* Its death is told by what it says, or does not. */
	(void)write_full(p->exec_fd, GO, 1);
	/* It, and not we, is what the pod waits for now. */
	(void)sched_yield();
	return req->meanwhile ? req->meanwhile(req->data, p->pid, err) : 0;
}

static int finish(struct app_process *p, struct error *err)
{
	int r = wait_prepared(p->exec_fd, err);

	p->pod_pid = atomic_load(&p->barrier->pod_pid);
	if (r == 0 && p->keeps_mntns)
		r = open_mntns(p, err);
	if (r < 0)
		return r;
	if (p->has_barrier) {
		r = fetch_listener(p, err);
		return r < 0 ? r : hold_at_barrier(p, err);
	}
	if (write_full(p->exec_fd, GO, 1) < 0)
		return error_set(err, ECHILD,
				 "the process died while starting");
	app_process_wait_exec(p);
	return 0;
}

static int give_up(struct app_process *p, int r)
{
	int status;

	if (p->pidfd >= 0) {
		(void)sys_pidfd_send_signal(p->pidfd, SIGKILL);
		(void)process_wait(p->pidfd, &status);
	}
	app_process_close(p);
	return r;
}

int app_process_begin(const struct app_process_request *req,
		      struct app_process *ret, struct error *err)
{
	struct app_process p = APP_PROCESS_INIT;
	int r;

	p.has_barrier = req->listener;
	p.keeps_mntns = req->keep_mntns;
	p.barrier = mmap(NULL, sizeof(*p.barrier), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p.barrier == MAP_FAILED)
		return error_sys(err, errno, "map shared memory");
	r = begin(req, &p, err);
	if (r < 0)
		return give_up(&p, r);
	*ret = p;
	return 0;
}

int app_process_finish(struct app_process *process, struct error *err)
{
	int r = finish(process, err);

	return r < 0 ? give_up(process, r) : 0;
}

int app_process_start(const struct app_process_request *req,
		      struct app_process *ret, struct error *err)
{
	int r = app_process_begin(req, ret, err);

	return r < 0 ? r : app_process_finish(ret, err);
}

static int put_fd(const struct app_process *p, int fd, size_t number,
		  uint32_t flags)
{
	struct seccomp_notif_addfd addfd = {
		.id = p->held,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (uint32_t)fd,
		.newfd = (uint32_t)number,
		.newfd_flags = flags,
	};

	return ioctl(p->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) < 0
		       ? -errno
		       : 0;
}

/* Its own two, error socket and listener, may be where the given ones go:
 * the first is what exec_fd watches, so that goes behind them. */
static int put_fds(const struct app_process *p, const int *fds, size_t n)
{
	cleanup_fd int errpipe =
		pidfd_getfd(p->pidfd, atomic_load(&p->barrier->errpipe), 0);
	int r;

	if (errpipe < 0)
		return -errno;
	r = put_fd(p, errpipe, 3 + n, O_CLOEXEC);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_fd(p, fds[i], 3 + i, 0);
	return r;
}

int app_process_give(struct app_process *process, const int *fds, size_t n,
		     const struct strv *env, struct error *err)
{
	struct app_barrier *b = process->barrier;
	size_t used = 0;
	int r;

	if (env->n > APP_GIVEN_ENV_MAX)
		return error_set(err, E2BIG, "give %zu variables to a process",
				 env->n);
	for (size_t i = 0; i < env->n; i++) {
		size_t size = strlen(env->v[i]) + 1;

		if (size > sizeof(b->given) - used)
			return error_set(err, E2BIG,
					 "the names of the descriptors given "
					 "to the app are too long");
		memcpy(b->given + used, env->v[i], size);
		used += size;
	}
	b->n_given = env->n;
	r = n ? put_fds(process, fds, n) : 0;
	return r < 0 ? error_sys(err, -r, "give %zu descriptors to the app", n)
		     : 0;
}

void app_process_owner(const struct app_process *process, uid_t *ret_uid,
		       gid_t *ret_gid)
{
	*ret_uid = process->barrier->uid;
	*ret_gid = process->barrier->gid;
}

int app_process_release(struct app_process *process, struct error *err)
{
	struct seccomp_notif_resp resp = {.id = process->held};

	if (ioctl(process->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0)
		return error_sys(err, errno, "let the process execute");
	process->held = 0;
	return 0;
}

bool app_process_exec_failed(const struct app_process *process, int *ret_errno)
{
	if (!process->barrier)
		return false;
	*ret_errno = atomic_load(&process->barrier->exec_errno);
	return *ret_errno != 0;
}

void app_process_close(struct app_process *process)
{
	fd_close(&process->pidfd);
	fd_close(&process->listener);
	fd_close(&process->mntns);
	fd_close(&process->exec_fd);
	if (process->barrier)
		(void)munmap(process->barrier, sizeof(*process->barrier));
	process->barrier = NULL;
}
