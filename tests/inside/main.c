/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command and runs it; what the commands share. */
#include "tests/inside/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void report_error(const char *key, int e)
{
	printf("%s.error=%s\n", key, strerrorname_np(e));
}

/* "KEY=ok" or "KEY.error=ENAME" for a call that returned R and set errno. */
void report_call(const char *key, long r)
{
	if (r < 0)
		report_error(key, errno);
	else
		printf("%s=ok\n", key);
}

long number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 0);

	if (!*s || *end) {
		fprintf(stderr, "inside: %s is not a number\n", s);
		exit(99);
	}
	return n;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Reads up to SIZE - 1 bytes of PATH; the length or -1 with errno. */
ssize_t slurp(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = 0;
	int e = errno;
	close(fd);
	errno = e;
	return n < 0 ? -1 : (ssize_t)len;
}

void print_link(const char *key, const char *path)
{
	char buf[4096];
	ssize_t n = readlink(path, buf, sizeof(buf) - 1);

	if (n < 0) {
		report_error(key, errno);
		return;
	}
	buf[n] = 0;
	printf("%s=%s\n", key, buf);
}

void print_lines(const char *key, const char *path)
{
	char line[4096];
	FILE *f = fopen(path, "re");

	if (!f) {
		report_error(key, errno);
		return;
	}
	while (fgets(line, sizeof(line), f))
		printf("%s=%s", key, line);
	fclose(f);
}

void sleep_ms(uint64_t ms)
{
	uint64_t end = now_ms() + ms, now;

	while ((now = now_ms()) < end) {
		uint64_t left = end - now;

		poll(NULL, 0, left > 1000 ? 1000 : (int)left);
	}
}

static const struct command *const tables[] = {
	identity_commands, file_commands,   process_commands, attempt_commands,
	socket_commands,   server_commands, escape_commands,  abi_commands,
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(tables); i++)
		for (const struct command *c = tables[i]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

static int run_command(const char *name, char **args)
{
	const struct command *c = command_find(name);
	int n = 0;

	while (args[n])
		n++;
	if (!c) {
		fprintf(stderr, "inside: no command %s\n", name);
		return 99;
	}
	if (n < c->min_args) {
		fprintf(stderr, "inside: %s needs %d arguments\n", name,
			c->min_args);
		return 99;
	}
	c->run(args);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	int r = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc && !r;) {
		int end = i + 1;

		while (end < argc && strcmp(argv[end], "and"))
			end++;
		argv[end] = NULL; /* argv[argc] or the "and" */
		r = run_command(argv[i], argv + i + 1);
		i = end + 1;
	}
	return r;
}
