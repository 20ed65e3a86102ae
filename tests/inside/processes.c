/* SPDX-License-Identifier: Apache-2.0 */
/* Output, signals, memory, time and children. */
#include "tests/inside/inside.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void cmd_echo(char **args)
{
	for (; *args; args++)
		printf("%s%s", *args, args[1] ? " " : "\n");
}

static void cmd_stderr(char **args)
{
	for (; *args; args++)
		fprintf(stderr, "%s%s", *args, args[1] ? " " : "\n");
}

static void cmd_exit_code(char **args)
{
	exit((int)number(args[0]));
}

static void cmd_kill_self(char **args)
{
	kill(getpid(), (int)number(args[0]));
}

static void cmd_kill(char **args)
{
	report_call("kill", kill((pid_t)number(args[0]), (int)number(args[1])));
}

static void cmd_sleep(char **args)
{
	sleep_ms((uint64_t)(strtod(args[0], NULL) * 1000));
}

static void cmd_ready(char **args)
{
	(void)args;
	puts("ready=1");
}

static volatile sig_atomic_t last_signal;

static void remember_signal(int sig)
{
	last_signal = sig;
}

/* signals SECONDS: prints each signal it gets; TERM ends it with code 0. */
static void cmd_signals(char **args)
{
	uint64_t end = now_ms() + (uint64_t)number(args[0]) * 1000;
	static const int sigs[] = {SIGTERM, SIGINT,  SIGHUP,
				   SIGUSR1, SIGUSR2, SIGWINCH};

	for (size_t i = 0; i < N_ELEMENTS(sigs); i++)
		signal(sigs[i], remember_signal);
	puts("ready=1");
	while (now_ms() < end) {
		int sig = last_signal;

		if (!sig) {
			poll(NULL, 0, 20);
			continue;
		}
		last_signal = 0;
		printf("signal=%s\n", sigabbrev_np(sig));
		if (sig == SIGWINCH)
			cmd_print_tty(NULL);
		if (sig == SIGTERM)
			exit(0);
	}
}

static void cmd_ignore_term(char **args)
{
	(void)args;
	signal(SIGTERM, SIG_IGN);
	puts("ready=1");
}

/* oom MIB: touches that much memory; the last line tells how far it came. */
static void cmd_oom(char **args)
{
	long n = number(args[0]);

	for (long i = 1; i <= n; i++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			report_error("oom", errno);
			return;
		}
		memset(p, 1, 1 << 20);
		if (i % 8 == 0)
			printf("allocated_mib=%ld\n", i);
	}
	puts("oom=survived");
}

/* burn SECONDS: spins; the share of a cpu it got, in percent. */
static void cmd_burn(char **args)
{
	uint64_t start = now_ms(), ms = (uint64_t)number(args[0]) * 1000;
	struct rusage u;

	while (now_ms() - start < ms)
		for (volatile int i = 0; i < 10000; i++)
			;
	getrusage(RUSAGE_SELF, &u);
	uint64_t cpu = (uint64_t)u.ru_utime.tv_sec * 1000 +
		       (uint64_t)u.ru_utime.tv_usec / 1000 +
		       (uint64_t)u.ru_stime.tv_sec * 1000 +
		       (uint64_t)u.ru_stime.tv_usec / 1000;
	printf("burn_percent=%llu\n",
	       (unsigned long long)(cpu * 100 / (now_ms() - start)));
}

/* fork-orphans N: N grandchildren lose their parent; does PID 1 reap them? */
static void cmd_fork_orphans(char **args)
{
	long n = number(args[0]);
	char path[64], buf[512];
	int zombies = 0;

	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid) {
			if (!fork()) {
				sleep_ms(20);
				_exit(0);
			}
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	sleep_ms(500);
	for (int pid = 2; pid < 32768; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		if (slurp(path, buf, sizeof(buf)) > 0 && strstr(buf, ") Z "))
			zombies++;
	}
	printf("zombies=%d\n", zombies);
}

static void cmd_print_pids(char **args)
{
	char path[64], buf[512];

	(void)args;
	printf("pids=");
	for (int pid = 1; pid < 4096; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		ssize_t n = slurp(path, buf, sizeof(buf));
		if (n > 0)
			printf("%s%d:%.*s", pid == 1 ? "" : ",", pid,
			       (int)(n - 1), buf);
	}
	putchar('\n');
}

static void cmd_stdin(char **args)
{
	char buf[4096];

	(void)args;
	while (fgets(buf, sizeof(buf), stdin))
		printf("stdin=%s", buf);
	puts("stdin.end=1");
}

/* lines N TEXT: N numbered lines, for the log tests. */
static void cmd_lines(char **args)
{
	long n = number(args[0]);

	for (long i = 1; i <= n; i++)
		printf("%s %ld\n", args[1], i);
}

const struct command process_commands[] = {
	{"burn", 1, cmd_burn},
	{"echo", 0, cmd_echo},
	{"exit-code", 1, cmd_exit_code},
	{"fork-orphans", 1, cmd_fork_orphans},
	{"ignore-term", 0, cmd_ignore_term},
	{"kill", 2, cmd_kill},
	{"kill-self", 1, cmd_kill_self},
	{"lines", 2, cmd_lines},
	{"oom", 1, cmd_oom},
	{"print-pids", 0, cmd_print_pids},
	{"ready", 0, cmd_ready},
	{"signals", 1, cmd_signals},
	{"sleep", 1, cmd_sleep},
	{"stderr", 0, cmd_stderr},
	{"stdin", 0, cmd_stdin},
	{0},
};
