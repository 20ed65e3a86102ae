/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

struct task {
	int (*work)(void *arg, size_t i, void *result, struct error *err);
	void *arg;
	char *results;
	size_t size;
	void (*tick)(void *arg); /* may be NULL */
};

/* What a process says at its end, before its result. */
struct outcome {
	int r;
	struct error err;
};

struct worker {
	pid_t pid;
	int pipe_fd;
	size_t i;
};

static void __attribute__((__noreturn__))
work(const struct task *t, size_t i, pid_t parent, int pipe_fd)
{
	struct outcome outcome = {0};
	void *result = t->results ? t->results + i * t->size : NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	outcome.r = t->work(t->arg, i, result, &outcome.err);
	(void)write_full(pipe_fd, &outcome, sizeof(outcome));
	(void)write_full(pipe_fd, result, t->size);
	_exit(0);
}

static int start(const struct task *t, size_t i, struct worker *ret,
		 struct error *err)
{
	pid_t parent = getpid(), pid;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	pid = fork();
	if (pid == 0)
		work(t, i, parent, ends[1]);
	fd_close(&ends[1]);
	if (pid < 0) {
		fd_close(&ends[0]);
		return error_sys(err, errno, "make a process");
	}
	*ret = (struct worker){pid, ends[0], i};
	return 0;
}

static void wait_for(const struct task *t, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (t->tick && poll(&p, 1, PARALLEL_MS) == 0)
		t->tick(t->arg);
}

static int finish(const struct task *t, struct worker *w, struct error *err)
{
	struct outcome outcome = {0};
	void *result = t->results ? t->results + w->i * t->size : NULL;
	ssize_t n, m;

	wait_for(t, w->pipe_fd);
	n = read_full(w->pipe_fd, &outcome, sizeof(outcome));
	m = read_full(w->pipe_fd, result, t->size);
	fd_close(&w->pipe_fd);
	(void)waitpid(w->pid, NULL, 0);
	if (n != (ssize_t)sizeof(outcome) || m != (ssize_t)t->size)
		return error_set(err, EIO,
				 "a process that fetched an image died");
	if (outcome.r < 0 && err)
		*err = outcome.err;
	return outcome.r < 0 ? outcome.r : 0;
}

static int run_all(const struct task *task, size_t n, struct error *err)
{
	struct worker workers[PARALLEL_MAX] = {0};
	size_t started = 0, finished = 0;
	int ret = 0;

	while (finished < started || (ret == 0 && started < n)) {
		int r;

		if (ret == 0 && started < n &&
		    started - finished < PARALLEL_MAX) {
			ret = start(task, started,
				    &workers[started % PARALLEL_MAX], err);
			started += ret == 0;
			continue;
		}
		r = finish(task, &workers[finished % PARALLEL_MAX],
			   ret == 0 ? err : NULL);
		finished++;
		if (ret == 0)
			ret = r;
	}
	return ret;
}

int parallel_run(size_t n,
		 int (*work_fn)(void *arg, size_t i, void *result,
				struct error *err),
		 void *arg, void *results, size_t size, struct error *err)
{
	const struct task t = {work_fn, arg, results, size, NULL};

	return run_all(&t, n, err);
}

int parallel_watch(size_t n,
		   int (*work_fn)(void *arg, size_t i, void *result,
				  struct error *err),
		   void (*tick)(void *arg), void *arg, struct error *err)
{
	const struct task t = {work_fn, arg, NULL, 0, tick};

	return run_all(&t, n, err);
}
