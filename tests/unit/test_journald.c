/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "stage1/journald.h"

#define N_LINES 5000

static char dir_path[64], path[96];
static int host;
static struct event_loop loop;
static struct journald journal;
static int n_full, n_not_full;

static void listen_at_path(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	(void)unlink(path);
	host = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(host, (struct sockaddr *)&address, sizeof(address)),
		     0);
}

static void on_full(struct journald *j, bool is_full)
{
	cr_assert_eq(j, &journal);
	if (is_full)
		n_full++;
	else
		n_not_full++;
}

static void init(void)
{
	strcpy(dir_path, "/tmp/test-journald.XXXXXX");
	cr_assert(mkdtemp(dir_path));
	(void)snprintf(path, sizeof(path), "%s/socket", dir_path);
	listen_at_path();
	cr_assert_eq(event_loop_init(&loop, NULL), 0);
	journal = (struct journald)JOURNALD_INIT;
	journal.on_full = on_full;
	cr_assert_eq(journald_open(&journal, &loop, path), 0);
}

static void fini(void)
{
	journald_close(&journal);
	event_loop_release(&loop);
	(void)close(host);
	cr_assert_eq(remove_tree_at(AT_FDCWD, dir_path, NULL), 0);
}

TestSuite(journald, .init = init, .fini = fini);

static void send_number(int i)
{
	strbuf_addf(journald_begin(&journal), "MESSAGE=%d\n", i);
	journald_end(&journal);
	journald_flush(&journal);
}

/* The number received next, or -1. */
static int receive(void)
{
	char buf[256];
	ssize_t n = recv(host, buf, sizeof(buf) - 1, 0);
	int i = -1;

	if (n < 0)
		return -1;
	buf[n] = '\0';
	cr_assert_eq(sscanf(buf, "MESSAGE=%d\n", &i), 1, "%s", buf);
	return i;
}

static void stop(struct event_timer *timer)
{
	(void)timer;
	loop.stop = true;
}

static void run_once(void)
{
	struct event_timer timer = {.fn = stop};

	loop.stop = false;
	event_timer_set(&loop, &timer, 1);
	cr_assert_eq(event_loop_run(&loop), 0);
}

Test(journald, waits_and_keeps_the_order)
{
	int next = 0;

	for (int i = 0; i < N_LINES; i++)
		send_number(i);
	cr_assert_eq(n_full, 1);
	cr_assert_eq(n_not_full, 0);
	/* As often as it takes: each round empties the socket. */
	for (int round = 0; round < N_LINES && next < N_LINES; round++) {
		for (int i = receive(); i >= 0; i = receive())
			cr_assert_eq(i, next++);
		run_once();
	}
	cr_assert_eq(next, N_LINES);
	cr_assert_eq(n_not_full, 1);
	cr_assert_eq(journal.n_lost, 0);
	send_number(7);
	cr_assert_eq(receive(), 7);
}

Test(journald, one_that_was_started_anew_is_found)
{
	send_number(1);
	cr_assert_eq(receive(), 1);
	(void)close(host);
	send_number(2);
	cr_assert_eq(journal.n_lost, 1);
	listen_at_path();
	send_number(3);
	cr_assert_eq(receive(), 3);
	cr_assert_eq(journal.n_lost, 0);
	cr_assert_eq(n_full, 0);
}

Test(journald, one_that_goes_while_lines_wait)
{
	int next = -1;

	for (int i = 0; i < N_LINES; i++)
		send_number(i);
	cr_assert_eq(n_full, 1);
	/* With what it had not read. */
	(void)close(host);
	listen_at_path();
	for (int round = 0; round < N_LINES && next < N_LINES - 1; round++) {
		run_once();
		for (int i = receive(); i >= 0; i = receive()) {
			cr_assert_gt(i, next);
			next = i;
		}
	}
	cr_assert_eq(next, N_LINES - 1);
	cr_assert_eq(n_full, 1);
	cr_assert_eq(n_not_full, 1);
	cr_assert_eq(journal.n_lost, 0);
}

Test(journald, one_line_too_large_is_lost)
{
	cleanup_free char *text = calloc(1, 1024 * 1024);

	strbuf_add(journald_begin(&journal), text, 1024 * 1024);
	journald_end(&journal);
	cr_assert_eq(journal.n_lost, 1);
	send_number(1);
	cr_assert_eq(receive(), 1);
	cr_assert_eq(journal.n_lost, 0);
}

Test(journald, closing_sends_what_waits)
{
	int next = 0;
	pid_t pid;

	for (int i = 0; i < N_LINES; i++)
		send_number(i);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		journald_close(&journal);
		_exit(0);
	}
	while (next < N_LINES) {
		int i = receive();

		if (i >= 0)
			cr_assert_eq(i, next++);
	}
	strbuf_reset(&journal.pending);
}

Test(journald, lines)
{
	static const struct {
		const char *line;
		bool is_complete;
		const char *fields;
	} tests[] = {
		{"text", true, "PRIORITY=6\nMESSAGE=text\n"},
		{"<3>bad", true, "PRIORITY=3\nMESSAGE=bad\n"},
		{"<0>", true, "PRIORITY=0\nMESSAGE=\n"},
		{"<8>odd", true, "PRIORITY=6\nMESSAGE=<8>odd\n"},
		{"<3", true, "PRIORITY=6\nMESSAGE=<3\n"},
		{"<31>x", true, "PRIORITY=6\nMESSAGE=<31>x\n"},
		{"", true, "PRIORITY=6\nMESSAGE=\n"},
		{"a=b", false,
		 "PRIORITY=6\nCONTAINER_PARTIAL_MESSAGE=true\nMESSAGE=a=b\n"},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;

		journald_line(&sb, tests[i].line, strlen(tests[i].line),
			      tests[i].is_complete);
		cr_expect_str_eq(sb.buf, tests[i].fields);
	}
}

Test(journald, a_field_is_one_line)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;

	journald_field(&sb, "RKT_IMAGE", "a\nPRIORITY=0");
	cr_expect_str_eq(sb.buf, "RKT_IMAGE=a\n");
}

Test(journald, is_stream)
{
	char name[64];
	struct stat st;

	cr_assert_eq(fstat(STDOUT_FILENO, &st), 0);
	(void)snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino);
	cr_expect(journald_is_stream(STDOUT_FILENO, name));
	cr_expect(!journald_is_stream(STDOUT_FILENO, "1:2"));
	cr_expect(!journald_is_stream(STDOUT_FILENO, NULL));
	cr_expect(!journald_is_stream(-1, name));
}
