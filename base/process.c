/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/syscalls.h"

#define NICE 5
/* In the flags of /proc/PID/stat: include/linux/sched.h, since Linux 2.6. */
#define PF_EXITING 0x4

void process_open_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free number, so FD itself. */
		if (open("/dev/null", mode) != fd)
			abort();
	}
}

int process_set_capabilities(uint64_t caps, struct error *err)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {0};

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(caps >> (32 * i));
		data[i].permitted = data[i].effective;
	}
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, data) < 0)
		return error_sys(err, errno, "reduce the capabilities");
	return 0;
}

int process_drop_capabilities(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, errno, "set no_new_privs");
	return process_set_capabilities(0, err);
}

static int compare_int(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void process_be_nice(void)
{
	if (getpriority(PRIO_PROCESS, 0) < NICE)
		(void)setpriority(PRIO_PROCESS, 0, NICE);
}

void process_be_nice_to_sessions(void)
{
	int nice = getpriority(PRIO_PROCESS, 0);
	cleanup_fd int fd = -EBADF;

	if (nice <= 0)
		return;
	(void)setsid();
	fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)dprintf(fd, "%d", nice);
}

int close_all_from(int first, const int *keep, size_t n_keep)
{
	int sorted[64];

	assert(n_keep <= sizeof(sorted) / sizeof(sorted[0]));
	if (n_keep) {
		memcpy(sorted, keep, n_keep * sizeof(*keep));
		qsort(sorted, n_keep, sizeof(*sorted), compare_int);
	}
	for (size_t i = 0; i < n_keep; i++) {
		if (sorted[i] < first)
			continue;
		if (sorted[i] > first &&
		    close_range((unsigned int)first,
				(unsigned int)sorted[i] - 1, 0) < 0)
			return -errno;
		first = sorted[i] + 1;
	}
	return close_range((unsigned int)first, ~0U, 0) < 0 ? -errno : 0;
}

/*
 * Moves MAP into place: first everything out of the way of the targets, then
 * onto them.  ERRFD ends as the lowest descriptor above all targets.
 */
static int apply_map(const struct fd_map *map, size_t n, int *errfd,
		     int *exec_fd)
{
	int above = 3, keep[64];
	size_t n_keep = 0;
	int moved[32];

	assert(n <= sizeof(moved) / sizeof(moved[0]));
	for (size_t i = 0; i < n; i++)
		if (map[i].fd_to >= above)
			above = map[i].fd_to + 1;
	for (size_t i = 0; i < n; i++) {
		moved[i] = fcntl(map[i].fd_from, F_DUPFD, above);
		if (moved[i] < 0)
			return -errno;
	}
	*errfd = fcntl(*errfd, F_DUPFD_CLOEXEC, above);
	if (*errfd < 0)
		return -errno;
	if (*exec_fd >= 0) {
		*exec_fd = fcntl(*exec_fd, F_DUPFD_CLOEXEC, above);
		if (*exec_fd < 0)
			return -errno;
		keep[n_keep++] = *exec_fd;
	}
	keep[n_keep++] = *errfd;
	for (size_t i = 0; i < n; i++) {
		if (dup2(moved[i], map[i].fd_to) < 0)
			return -errno;
		keep[n_keep++] = map[i].fd_to;
	}
	return close_all_from(0, keep, n_keep);
}

int process_start(uint64_t flags, void (*child)(const void *arg, int to_parent),
		  const void *arg, int *ret_said, pid_t *ret_pid,
		  struct error *err)
{
	cleanup_fd int ours = -EBADF;
	cleanup_fd int theirs = -EBADF;
	int pidfd = -EBADF, fds[2];
	struct clone_args args = {
		.flags = CLONE_PIDFD | flags,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	assert(!(flags & CLONE_FILES) || (flags & CLONE_VFORK));
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create a pipe");
	ours = fds[0];
	theirs = fds[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return error_sys(err, (int)-pid, "start a process");
	if (pid == 0) {
		child(arg, theirs);
		_exit(0);
	}
	*ret_said = TAKE_FD(ours);
	if (ret_pid)
		*ret_pid = pid;
	return pidfd;
}

struct spawn {
	const char *path;
	int exec_fd;
	char *const *argv, *const *envp;
	const struct fd_map *map;
	size_t n;
};

static void spawn_child(const void *arg, int errfd)
{
	const struct spawn *s = arg;
	struct error err = ERROR_INIT;
	int exec_fd = s->exec_fd;
	sigset_t none;
	int r;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	r = apply_map(s->map, s->n, &errfd, &exec_fd);
	if (r == 0) {
		if (s->path)
			(void)execve(s->path, s->argv, s->envp);
		else
			(void)execveat(exec_fd, "", s->argv, s->envp,
				       AT_EMPTY_PATH);
		r = -errno;
	}
	(void)error_sys(&err, -r, "execute %s", s->path ? s->path : s->argv[0]);
	(void)write_full(errfd, &err, sizeof(err));
	_exit(127);
}

int process_spawn(const char *path, int exec_fd, char *const argv[],
		  char *const envp[], const struct fd_map *map, size_t n,
		  pid_t *ret_pid, struct error *err)
{
	cleanup_fd int said = -EBADF;
	cleanup_fd int pidfd = -EBADF;
	const struct spawn spawn = {path, exec_fd, argv, envp, map, n};
	struct error child_err;
	pid_t pid = 0;

	pidfd = process_start(CLONE_CLEAR_SIGHAND, spawn_child, &spawn, &said,
			      &pid, err);
	if (pidfd < 0)
		return pidfd;
	if (read_full(said, &child_err, sizeof(child_err)) ==
	    (ssize_t)sizeof(child_err)) {
		int status;

		(void)process_wait(pidfd, &status);
		if (err)
			*err = child_err;
		return -child_err.code;
	}
	if (ret_pid)
		*ret_pid = pid;
	return TAKE_FD(pidfd);
}

int process_wait(int pidfd, int *ret_status)
{
	siginfo_t info = {0};

	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = info.si_code == CLD_EXITED
			      ? W_EXITCODE(info.si_status, 0)
			      : W_EXITCODE(0, info.si_status);
	return 0;
}

int process_exit_code(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 128 + WTERMSIG(status);
}

bool process_is_ending(pid_t pid)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	unsigned long flags;
	const char *after;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file_path(path, 4096, &text, NULL) < 0)
		return false;
	/* The name before it may have blanks and parentheses in it. */
	after = strrchr(text.buf, ')');
	return after &&
	       sscanf(after, ") %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 &&
	       flags & PF_EXITING;
}

const char *process_status_text(int status, char *buf, size_t size)
{
	if (WIFEXITED(status))
		(void)snprintf(buf, size, "exit code %d", WEXITSTATUS(status));
	else
		(void)snprintf(buf, size, "signal %d (%s)", WTERMSIG(status),
			       sigdescr_np(WTERMSIG(status))
				       ? sigdescr_np(WTERMSIG(status))
				       : "unknown");
	return buf;
}

int process_take_end_signals(struct error *err)
{
	sigset_t set;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_sys(err, errno, "block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? error_sys(err, errno, "take signals") : fd;
}
