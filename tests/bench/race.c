/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Races commands against each other on one machine, so that the ratio of two
 * numbers means something even when the machine is busy.
 *
 *     race rounds N FILE     each command once a round, N rounds
 *     race parallel N FILE   each command N times at once
 *     race sequence N FILE   each command N times, one after the other
 *     race pss PID...        proportional memory of processes, KiB
 *
 * FILE has one command a line: NAME, a tab, a mount namespace to enter or
 * "-", a tab, the words.  "%i" in a word becomes a number used only once.
 * A result is one line: NAME, tab, then median p10 p90 min in milliseconds,
 * failures and the median of the processor time in milliseconds; for parallel
 * and sequence commands per second and failures.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 32
#define WORDS_MAX 128
#define ROUNDS_MAX 10000

struct command {
	char *name;
	int mntns; /* or -1 */
	char *words[WORDS_MAX + 1];
	double *ms;	/* one a round */
	double *cpu_ms; /* user and system time of all it reaped */
	size_t failed;
};

struct race {
	struct command commands[COMMANDS_MAX];
	size_t n;
	size_t rounds;
	unsigned long serial;
};

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void command_parse(struct command *c, char *line, size_t rounds)
{
	char *save = NULL, *ns, *word;
	size_t n = 0;

	c->name = strtok_r(line, "\t", &save);
	ns = strtok_r(NULL, "\t", &save);
	if (!c->name || !ns)
		errx(1, "a line is NAME, tab, namespace, tab, words");
	c->mntns = strcmp(ns, "-") ? open(ns, O_RDONLY | O_CLOEXEC) : -1;
	if (strcmp(ns, "-") && c->mntns < 0)
		err(1, "%s", ns);
	while (n < WORDS_MAX && (word = strtok_r(NULL, "\t ", &save)))
		c->words[n++] = word;
	if (!n)
		errx(1, "%s has no command", c->name);
	c->ms = calloc(rounds, sizeof(*c->ms));
	c->cpu_ms = calloc(rounds, sizeof(*c->cpu_ms));
	if (!c->ms || !c->cpu_ms)
		err(1, "memory");
}

static void race_load(struct race *r, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (!f)
		err(1, "%s", path);
	while (r->n < COMMANDS_MAX && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (!*line)
			continue;
		command_parse(&r->commands[r->n++], line, r->rounds);
		line = NULL; /* the words point into it */
		size = 0;
	}
	fclose(f);
}

/* In the child: "%i" of each word, then exec. */
static void command_exec(const struct command *c, unsigned long serial)
{
	char *argv[WORDS_MAX + 1] = {0};

	for (size_t i = 0; c->words[i]; i++) {
		char *at = strstr(c->words[i], "%i");

		if (!at) {
			argv[i] = c->words[i];
			continue;
		}
		if (asprintf(&argv[i], "%.*s%lu%s", (int)(at - c->words[i]),
			     c->words[i], serial, at + 2) < 0)
			_exit(126);
	}
	int null = open("/dev/null", O_WRONLY);
	if (null < 0 || dup2(null, 1) < 0)
		_exit(126);
	if (c->mntns >= 0 && setns(c->mntns, CLONE_NEWNS))
		_exit(126);
	execvp(argv[0], argv);
	fprintf(stderr, "race: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static pid_t command_start(const struct command *c, unsigned long serial)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid)
		command_exec(c, serial);
	return pid;
}

static int wait_failed(pid_t pid, double *cpu_ms)
{
	struct rusage u;
	int status;

	while (wait4(pid, &status, 0, &u) < 0)
		if (errno != EINTR)
			err(1, "wait");
	*cpu_ms = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
		  (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

static double run_once(struct race *r, struct command *c, double *cpu_ms)
{
	double start = now_ms();
	pid_t pid = command_start(c, ++r->serial);

	c->failed += (size_t)wait_failed(pid, cpu_ms);
	return now_ms() - start;
}

static int cmp_double(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void race_rounds(struct race *r)
{
	/* One lap for the page cache. */
	for (size_t i = 0; i < r->n; i++)
		run_once(r, &r->commands[i], r->commands[i].cpu_ms);
	for (size_t round = 0; round < r->rounds; round++) {
		for (size_t i = 0; i < r->n; i++) {
			struct command *c = &r->commands[i];

			c->ms[round] = run_once(r, c, c->cpu_ms + round);
		}
	}
	for (size_t i = 0; i < r->n; i++) {
		struct command *c = &r->commands[i];
		size_t n = r->rounds;

		qsort(c->ms, n, sizeof(*c->ms), cmp_double);
		qsort(c->cpu_ms, n, sizeof(*c->cpu_ms), cmp_double);
		printf("%s\t%.2f\t%.2f\t%.2f\t%.2f\t%zu\t%.2f\n", c->name,
		       c->ms[n / 2], c->ms[n / 10], c->ms[n * 9 / 10], c->ms[0],
		       c->failed, c->cpu_ms[n / 2]);
	}
}

static double run_parallel(struct race *r, struct command *c)
{
	static pid_t pids[ROUNDS_MAX];
	double start = now_ms();

	for (size_t i = 0; i < r->rounds; i++)
		pids[i] = command_start(c, ++r->serial);
	for (size_t i = 0; i < r->rounds; i++)
		c->failed += (size_t)wait_failed(pids[i], c->cpu_ms);
	return now_ms() - start;
}

static double run_sequence(struct race *r, struct command *c)
{
	double start = now_ms();

	for (size_t i = 0; i < r->rounds; i++)
		run_once(r, c, c->cpu_ms);
	return now_ms() - start;
}

static void race_throughput(struct race *r,
			    double (*run)(struct race *, struct command *))
{
	for (size_t i = 0; i < r->n; i++) {
		struct command *c = &r->commands[i];
		double ms = run(r, c);

		printf("%s\t%.1f\t%zu\n", c->name, (double)r->rounds * 1e3 / ms,
		       c->failed);
	}
}

static int print_pss(char **pids)
{
	long total = 0;

	for (; *pids; pids++) {
		char path[64], line[256];
		long kib;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", *pids);
		f = fopen(path, "re");
		if (!f)
			err(1, "%s", path);
		while (fgets(line, sizeof(line), f))
			if (sscanf(line, "Pss: %ld", &kib) == 1)
				total += kib;
		fclose(f);
	}
	printf("%ld\n", total);
	return 0;
}

static void race_release(struct race *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->commands[i].ms);
		free(r->commands[i].cpu_ms);
	}
}

int main(int argc, char **argv)
{
	struct race r = {.serial = (unsigned long)getpid() * 100000};
	char *end;

	if (argc > 2 && !strcmp(argv[1], "pss"))
		return print_pss(argv + 2);
	if (argc != 4)
		errx(2, "usage: race rounds|parallel|sequence N FILE");
	r.rounds = strtoul(argv[2], &end, 10);
	if (*end || !r.rounds || r.rounds > ROUNDS_MAX)
		errx(2, "%s is not a number of rounds", argv[2]);
	race_load(&r, argv[3]);
	if (!strcmp(argv[1], "rounds"))
		race_rounds(&r);
	else if (!strcmp(argv[1], "parallel"))
		race_throughput(&r, run_parallel);
	else if (!strcmp(argv[1], "sequence"))
		race_throughput(&r, run_sequence);
	else
		errx(2, "no mode %s", argv[1]);
	race_release(&r);
	return 0;
}
