/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the update rule costs an app that is not updated.
 *
 *	filter_cost calls RUNS        ns of a getppid, the least of RUNS
 *	                              interleaved runs: without a filter, with
 *	                              an app's default filter, and with the
 *	                              update rule in it
 *	filter_cost exec with|without PROGRAM [ARG...]
 *	                              runs PROGRAM below that filter; with: its
 *	                              bind(2) is let go on, as for a pod's first
 *	                              generation
 *
 * Prints KEY=VALUE lines.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "stage1/seccomp.h"

#define CALLS 5000 /* about a millisecond: seldom interrupted */
#define CHUNKS 100 /* of a run; the least counts */
#define RUNS_MAX 1000
/* Those an app has by default that decide about calls. */
#define CAPS                                                                   \
	(1ULL << 0 | 1ULL << 1 | 1ULL << 5 | 1ULL << 6 | 1ULL << 7 |           \
	 1ULL << 10 | 1ULL << 13 | 1ULL << 18)

enum variant { BARE, WITHOUT, WITH, N_VARIANTS };

static const char *const names[N_VARIANTS] = {"bare", "without", "with"};

static double now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void make_program(bool notify, struct sock_fprog *ret)
{
	const struct seccomp_request request = {
		.policy = SECCOMP_POLICY_DEFAULT,
		.caps = CAPS,
		.notify_bind = notify,
	};
	cleanup_seccomp_plan struct seccomp_plan plan = SECCOMP_PLAN_INIT;
	struct error error = ERROR_INIT;

	if (seccomp_plan_make(&request, &plan, &error) < 0 ||
	    seccomp_program_get(-1, &plan, ret, &error) < 0)
		errx(1, "%s", error.msg);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		err(1, "pin to a processor");
}

static double chunk(void)
{
	double start = now_ns();

	for (int i = 0; i < CALLS; i++)
		(void)syscall(SYS_getppid);
	return (now_ns() - start) / CALLS;
}

/* A filter stays, so each run is a process. */
static double run_once(const struct sock_fprog *prog, bool listener)
{
	double result = 0;
	int pipe_fds[2];
	pid_t pid;

	if (pipe(pipe_fds) < 0 || (pid = fork()) < 0)
		err(1, "start a run");
	if (pid == 0) {
		if (prog && seccomp_install(prog, listener) < 0)
			_exit(1);
		result = chunk();
		for (int i = 1; i < CHUNKS; i++) {
			double ns = chunk();

			result = ns < result ? ns : result;
		}
		_exit(write(pipe_fds[1], &result, sizeof(result)) !=
		      sizeof(result));
	}
	(void)close(pipe_fds[1]);
	if (read(pipe_fds[0], &result, sizeof(result)) != sizeof(result))
		errx(1, "a run failed");
	(void)close(pipe_fds[0]);
	(void)waitpid(pid, NULL, 0);
	return result;
}

static int calls(long runs)
{
	struct sock_fprog progs[N_VARIANTS] = {{0}};
	double least[N_VARIANTS] = {1e9, 1e9, 1e9};

	make_program(false, &progs[WITHOUT]);
	make_program(true, &progs[WITH]);
	pin(sched_getcpu());
	for (long i = 0; i < runs; i++) {
		for (int v = 0; v < N_VARIANTS; v++) {
			double ns = run_once(v == BARE ? NULL : &progs[v],
					     v == WITH);

			if (ns < least[v])
				least[v] = ns;
		}
	}
	for (int v = 0; v < N_VARIANTS; v++)
		printf("%s_ns=%.2f\n", names[v], least[v]);
	printf("added_ns=%.2f\n", least[WITH] - least[WITHOUT]);
	seccomp_program_release(&progs[WITHOUT]);
	seccomp_program_release(&progs[WITH]);
	return 0;
}

/* Lets every bind go on until nobody is left who could ask. */
static void answer(int listener)
{
	for (;;) {
		struct seccomp_notif ask = {0};
		struct seccomp_notif_resp say = {0};

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			_exit(0);
		}
		say.id = ask.id;
		say.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &say);
	}
}

/* The program is this process, so a signal to it is one to the program; the
 * one that answers is a child made before, which gets the listener by its
 * number. */
static int exec_below(bool with, char **argv)
{
	struct sock_fprog prog = {0};
	int fds[2], taken[2], listener;
	char byte;
	pid_t self = getpid(), pid;

	make_program(with, &prog);
	if (pipe2(fds, O_CLOEXEC) < 0 || pipe2(taken, O_CLOEXEC) < 0)
		err(1, "pipe");
	pid = with ? fork() : 1;
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		int fd = -1, pidfd = (int)syscall(SYS_pidfd_open, self, 0);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(fds[0], &fd, sizeof(fd)) != sizeof(fd))
			_exit(1);
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		if (fd < 0 || write(taken[1], "", 1) != 1)
			err(1, "take the listener");
		answer(fd);
	}
	listener = seccomp_install(&prog, with);
	if (listener < 0)
		errx(1, "install the filter: %s", strerror(-listener));
	/* execve closes it here. */
	if (with && (write(fds[1], &listener, sizeof(listener)) < 0 ||
		     read(taken[0], &byte, 1) != 1))
		err(1, "pass the listener");
	(void)execv(argv[0], argv);
	err(1, "%s", argv[0]);
}

int main(int argc, char **argv)
{
	long runs = argc == 3 ? strtol(argv[2], NULL, 10) : 0;

	if (argc == 3 && !strcmp(argv[1], "calls") && runs > 0 &&
	    runs <= RUNS_MAX)
		return calls(runs);
	if (argc >= 4 && !strcmp(argv[1], "exec"))
		return exec_below(!strcmp(argv[2], "with"), argv + 3);
	fprintf(stderr, "usage: filter_cost calls RUNS | "
			"exec with|without PROGRAM [ARG...]\n");
	return 2;
}
