/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages of an import, each alone, with the code rkt-fetch has:
 *
 *	image_stages inflate IMAGE          to nowhere
 *	image_stages sha256|sha512 FILE
 *	image_stages write|sync FILE NEW    a copy; and its fdatasync
 *	image_stages index TAR NEW          the index of a stored tar
 *	image_stages run COMMAND [ARG]...   any command
 *
 * prints "WALL CPU MiB": seconds, user and system seconds, and the largest
 * resident set of a process.  The exit code is the command's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "aci/decompress.h"
#include "aci/digest.h"
#include "aci/index_make.h"
#include "aci/index_plan.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/io.h"

#define CHUNK (1UL << 20)

static struct error error;

static int failed(const char *what)
{
	fprintf(stderr, "image_stages: %s: %s\n", what,
		error.code ? error.msg : strerror(errno));
	return 1;
}

static int inflate(char **argv)
{
	struct decompressor *d;
	char *buf = xmalloc(CHUNK);
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0 || decompressor_open(fd, -1, DIGEST_SHA256, &d, &error) < 0)
		return failed(argv[0]);
	while ((n = decompressor_read(d, buf, CHUNK, &error)) > 0)
		;
	return n < 0 ? failed(argv[0]) : 0;
}

static int digest(const char *path, enum digest_type type)
{
	struct digest d = DIGEST_INIT;
	uint8_t result[DIGEST_SHA512_SIZE];
	char *buf = xmalloc(CHUNK);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || digest_init(&d, type, &error) < 0)
		return failed(path);
	while ((n = read_full(fd, buf, CHUNK)) > 0)
		digest_update(&d, buf, (size_t)n);
	digest_final(&d, result);
	return n < 0 ? failed(path) : 0;
}

static int sha256(char **argv)
{
	return digest(argv[0], DIGEST_SHA256);
}

static int sha512(char **argv)
{
	return digest(argv[0], DIGEST_SHA512);
}

static int copy(char **argv, bool sync)
{
	int from = open(argv[0], O_RDONLY | O_CLOEXEC);
	int to = open(argv[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *buf = xmalloc(CHUNK);
	ssize_t n = 0;

	if (from < 0 || to < 0)
		return failed(argv[1]);
	while ((n = read_full(from, buf, CHUNK)) > 0)
		if (write_full(to, buf, (size_t)n) < 0)
			return failed(argv[1]);
	return n < 0 || (sync && fdatasync(to) < 0) ? failed(argv[1]) : 0;
}

static int write_copy(char **argv)
{
	return copy(argv, false);
}

static int sync_copy(char **argv)
{
	return copy(argv, true);
}

static int make_index(char **argv)
{
	struct index_layer layer = {.format = INDEX_LAYER_ACI};
	struct render_pass pass = {.image = 0};
	const struct index_plan plan = {
		.layers = &layer,
		.n_layers = 1,
		.passes = {.v = &pass, .n = 1},
	};
	int tar = open(argv[0], O_RDONLY | O_CLOEXEC);
	int to = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint64_t size;

	if (tar < 0 || to < 0 || index_make(&plan, &tar, to, &size, &error) < 0)
		return failed(argv[0]);
	return 0;
}

static int run_command(char **argv)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execvp(argv[0], argv);
		_exit(failed(argv[0]));
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return failed(argv[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static const struct stage {
	const char *name;
	int n_args;
	int (*run)(char **argv);
} stages[] = {
	{"inflate", 1, inflate}, {"sha256", 1, sha256},
	{"sha512", 1, sha512},	 {"write", 2, write_copy},
	{"sync", 2, sync_copy},	 {"index", 2, make_index},
	{"run", 1, run_command},
};

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static void report(const struct timespec *start)
{
	struct rusage self, children;
	struct timespec end;
	long kib;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	(void)getrusage(RUSAGE_SELF, &self);
	(void)getrusage(RUSAGE_CHILDREN, &children);
	kib = children.ru_maxrss > 0 ? children.ru_maxrss : self.ru_maxrss;
	fprintf(stderr, "%.3f %.3f %ld\n",
		(double)(end.tv_sec - start->tv_sec) +
			(double)(end.tv_nsec - start->tv_nsec) / 1e9,
		seconds(self.ru_utime) + seconds(self.ru_stime) +
			seconds(children.ru_utime) + seconds(children.ru_stime),
		kib / 1024);
}

int main(int argc, char **argv)
{
	struct timespec start;
	int code;

	for (size_t i = 0; i < sizeof(stages) / sizeof(*stages); i++) {
		if (argc < 2 + stages[i].n_args ||
		    strcmp(stages[i].name, argv[1]) != 0)
			continue;
		(void)clock_gettime(CLOCK_MONOTONIC, &start);
		code = stages[i].run(argv + 2);
		report(&start);
		return code;
	}
	fprintf(stderr, "usage: image_stages STAGE FILE...\n");
	return 2;
}
