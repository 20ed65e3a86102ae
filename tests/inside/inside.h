/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_INSIDE_INSIDE_H
#define TESTS_INSIDE_INSIDE_H

/*
 * The app of the black-box tests: a static program that runs inside a pod
 * and reports what it sees, one KEY=VALUE a line, never failing because of
 * what it sees: an error is reported as KEY.error=ENAME.  Several commands
 * in one run are separated by the word "and":
 *
 *     inside print-ids and read /etc/greeting and exit-code 3
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

struct command {
	const char *name; /* NULL ends a table */
	int min_args;
	void (*run)(char **args); /* NULL-terminated */
};

extern const struct command identity_commands[], file_commands[],
	process_commands[], attempt_commands[], socket_commands[],
	server_commands[], escape_commands[], abi_commands[];

/* Prints "KEY.error=ENAME". */
void report_error(const char *key, int e);
/* "KEY=ok" or "KEY.error=ENAME" for a call that returned R and set errno. */
void report_call(const char *key, long r);
/* Ends the program if S is no number. */
long number(const char *s);
uint64_t now_ms(void);
void sleep_ms(uint64_t ms);
/* Reads up to SIZE - 1 bytes of PATH; the length or -1 with errno. */
ssize_t slurp(const char *path, char *buf, size_t size);
/* "KEY=TARGET" of a symlink. */
void print_link(const char *key, const char *path);
/* "KEY=LINE" for each line of a file. */
void print_lines(const char *key, const char *path);
void cmd_print_tty(char **args);

/* --- tests/inside/uring.c ---------------------------------------------------
 */

/* bind and listen. */
int uring_listen(int fd, const void *addr, unsigned int len);
/* FD is closed and the ring alone has it; the next connection to it. */
int uring_hide(int fd);
int uring_accept_hidden(void);

#endif
