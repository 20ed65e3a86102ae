/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/cni_exec.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/syscalls.h"
#include "spec/cni.h"

/* How often a lock is tried. */
#define LOCK_MS 10

static int stdin_make(const char *text)
{
	cleanup_fd int fd = memfd_create("cni-conf", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : write_full(fd, text, strlen(text));

	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

/* Most plugins know MAC and no more, and refuse IP, which is for the one that
 * gives addresses, unless they are told not to. */
static void args_set(const char *args, struct strv *env)
{
	bool plain = !*args || strstr(args, "IgnoreUnknown=");
	cleanup_free char *all =
		xasprintf("%s%s", args, plain ? "" : ";IgnoreUnknown=1");

	strv_env_set(env, "CNI_ARGS", all);
}

/* Plugins call iptables and the like: that is what PATH is for. */
static void environment_make(const struct cni_call *call, struct strv *env)
{
	strv_push(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
		       "/usr/bin:/sbin:/bin");
	strv_env_set(env, "CNI_VERSION", "0.1.0");
	strv_env_set(env, "CNI_COMMAND", call->command);
	strv_env_set(env, "CNI_CONTAINERID", call->container_id);
	strv_env_set(env, "CNI_NETNS", call->netns);
	strv_env_set(env, "CNI_IFNAME", call->ifname);
	args_set(call->args, env);
	strv_env_set(env, "CNI_PATH", call->cni_path);
}

int cni_run_start(const struct cni_call *call, struct cni_run *run,
		  struct error *err)
{
	const char *name = path_base(call->path);
	cleanup_strv struct strv env = STRV_INIT;
	cleanup_fd int in = stdin_make(call->conf);
	cleanup_fd int out_read = -EBADF;
	cleanup_fd int out_write = -EBADF;
	char *const argv[] = {(char *)(uintptr_t)call->path, NULL};
	int out[2];

	if (in < 0)
		return error_sys(err, -in, "write the configuration of %s",
				 name);
	if (pipe2(out, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create pipe");
	out_read = out[0];
	out_write = out[1];
	environment_make(call, &env);
	{
		const struct fd_map map[] = {
			{in, STDIN_FILENO},
			{out_write, STDOUT_FILENO},
			{STDERR_FILENO, STDERR_FILENO},
			{call->lock, STDERR_FILENO + 1},
		};

		run->pidfd = process_spawn(call->path, -1, argv, env.v, map,
					   call->lock < 0 ? 3 : 4, NULL, err);
	}
	if (run->pidfd < 0)
		return run->pidfd;
	(void)set_nonblock(out_read);
	run->out = TAKE_FD(out_read);
	run->name = xstrdup(name);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Takes what is there: 1 = more may come, 0 = end of file. */
static int drain(int fd, struct strbuf *out)
{
	char buf[8192];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 1 : -errno;
		if (n == 0)
			return 0;
		if (out->len + (size_t)n > CNI_TEXT_MAX)
			return -EFBIG;
		strbuf_add(out, buf, (size_t)n);
	}
}

/* Readable when stage1, which has these blocked, was asked to end. */
static int stop_fd(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGQUIT);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void hurry(int64_t *deadline)
{
	if (*deadline > now_ms() + CNI_STOP_MS)
		*deadline = now_ms() + CNI_STOP_MS;
}

/* Collects the answer until the plugin ends; a child it left behind may
 * hold the pipe open longer. */
static int collect(const struct cni_run *run, int timeout_ms,
		   struct strbuf *out)
{
	int64_t deadline = now_ms() + timeout_ms;
	cleanup_fd int stop = stop_fd();
	struct pollfd fds[] = {
		{.fd = run->pidfd, .events = POLLIN},
		{.fd = run->out, .events = POLLIN},
		{.fd = stop, .events = POLLIN},
	};

	for (;;) {
		int64_t left = deadline - now_ms();
		int r;

		if (left < 0)
			return -ETIMEDOUT;
		r = poll(fds, 3, (int)left);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			continue;
		if (fds[2].revents) {
			fds[2].fd = -1;
			hurry(&deadline);
		}
		r = drain(run->out, out);
		if (r < 0)
			return r;
		if (fds[0].revents)
			return 0;
		if (r == 0)
			fds[1].fd = -1;
	}
}

static int answer_check(int status, const struct strbuf *out, struct error *err)
{
	cleanup_free char *text = NULL;

	if (process_exit_code(status) == 0)
		return 0;
	text = cni_error_text(out->buf, out->len);
	return error_set(err, EIO, "%s", text);
}

static void run_end(struct cni_run *run)
{
	fd_close(&run->pidfd);
	fd_close(&run->out);
	free(run->name);
	*run = (struct cni_run)CNI_RUN_INIT;
}

int cni_run_finish(struct cni_run *run, int timeout_ms, struct strbuf *out,
		   struct error *err)
{
	int status = 0;
	int r = collect(run, timeout_ms, out);

	if (r < 0)
		(void)sys_pidfd_send_signal(run->pidfd, SIGKILL);
	(void)process_wait(run->pidfd, &status);
	if (r == -ETIMEDOUT)
		(void)error_set(err, ETIMEDOUT, "plugin %s does not end",
				run->name);
	else if (r < 0)
		(void)error_sys(err, -r, "read the answer of plugin %s",
				run->name);
	else
		r = answer_check(status, out, err);
	run_end(run);
	return r;
}

int cni_lock(int fd, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	cleanup_fd int stop = stop_fd();
	struct pollfd p = {.fd = stop, .events = POLLIN};
	bool is_said = false;
	int r;

	while ((r = lock_try(fd, LOCK_EX)) == -EBUSY) {
		if (!is_said)
			log_info("a network plugin that was left alone still "
				 "runs: waiting for it");
		is_said = true;
		if (poll(&p, 1, LOCK_MS) > 0) {
			p.fd = -1;
			hurry(&deadline);
		}
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}
	return r;
}
