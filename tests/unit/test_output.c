/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "stage1/event.h"
#include "stage1/output.h"

#define STAMP (sizeof("2006-01-02T15:04:05.000000000Z stdout F ") - 1)

static char dir_path[64];
static int dir, terminal[2], out[2];
static struct event_loop loop;
static struct output output;
static struct output_log app_log;
static struct output_stream stream;

static void init(void)
{
	strcpy(dir_path, "/tmp/test-output.XXXXXX");
	cr_assert(mkdtemp(dir_path));
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(event_loop_init(&loop, NULL), 0);
	cr_assert_eq(pipe2(terminal, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	(void)fcntl(out[1], F_SETPIPE_SZ, 1 << 20);
	(void)fcntl(terminal[1], F_SETPIPE_SZ, 1 << 20);
	cr_assert_eq(output_init(&output, &loop, dir, terminal[1],
				 OUTPUT_KEPT_ALL, NULL),
		     0);
	cr_assert_eq(output_log_open(&app_log, &output, "web", NULL), 0);
	cr_assert_eq(
		output_stream_open(&stream, &app_log, "stdout", out[0], NULL),
		0);
	stream.pid = 42;
}

static void fini(void)
{
	output_log_close(&app_log);
	output_release(&output);
	event_loop_release(&loop);
	(void)close(dir);
	(void)close(terminal[0]);
	(void)close(terminal[1]);
	cr_assert_eq(remove_tree_at(AT_FDCWD, dir_path, NULL), 0);
}

TestSuite(output, .init = init, .fini = fini);

static void say(const char *text)
{
	cr_assert_eq(write_full(out[1], text, strlen(text)), 0);
}

static void stop(struct event_timer *timer)
{
	loop.stop = timer != NULL;
}

static void run_ms(unsigned int ms)
{
	struct event_timer timer = {.fn = stop};

	loop.stop = false;
	event_timer_set(&loop, &timer, ms);
	cr_assert_eq(event_loop_run(&loop), 0);
}

static void read_log(const char *name, struct strbuf *text)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "logs/%s", name);
	strbuf_reset(text);
	cr_assert_eq(read_file_at(dir, path, 64 << 20, text, NULL), 0, "%s",
		     path);
}

Test(output, lines)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char shown[4096] = "";

	say("one\ntw");
	run_ms(20);
	read_log("web", &text);
	cr_expect_eq(text.len, STAMP + 4);
	cr_expect_str_eq(text.buf + STAMP - 9, "stdout F one\n");
	say("o\n\nthree");
	cr_assert_eq(close(out[1]), 0);
	run_ms(20);
	cr_expect_lt(stream.source.fd, 0, "closed at its end");
	read_log("web", &text);
	cr_expect(strstr(text.buf, " stdout F two\n"));
	cr_expect(strstr(text.buf, " stdout F \n"));
	cr_expect(strstr(text.buf, " stdout F three\n"));
	cr_assert_gt(read(terminal[0], shown, sizeof(shown) - 1), 0);
	cr_expect(strstr(shown, "] web[42]: one\n["), "%s", shown);
	cr_expect(strstr(shown, "] web[42]: two\n["), "%s", shown);
	cr_expect(strstr(shown, "] web[42]: three\n"), "%s", shown);
}

Test(output, long_lines)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	size_t n = 2UL * OUTPUT_LINE_MAX + 5, sum = 0;
	char *line = calloc(1, n + 2), *next, *record;
	unsigned int partial = 0;

	memset(line, 'x', n);
	line[n] = '\n';
	output_detach_terminal(&output);
	say(line);
	run_ms(50);
	cr_assert_eq(close(out[1]), 0);
	output_stream_close(&stream);
	read_log("web", &text);
	next = text.buf;
	while ((record = strsep(&next, "\n")) && *record) {
		cr_assert_gt(strlen(record), STAMP);
		partial += record[STAMP - 2] == 'P';
		sum += strlen(record) - STAMP;
	}
	cr_expect_eq(partial, 2);
	cr_expect_eq(sum, n);
	free(line);
}

Test(output, rotation)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char path[64];
	struct stat st;

	output_detach_terminal(&output);
	for (int i = 1; i <= OUTPUT_LOGS_KEPT + 2; i++) {
		char line[16];

		(void)snprintf(line, sizeof(line), "%d\n", i);
		say(line);
		run_ms(10);
		app_log.size = OUTPUT_LOG_MAX;
	}
	read_log("web", &text);
	cr_expect(strstr(text.buf, " F 6\n"), "%s", text.buf);
	for (int i = 1; i <= OUTPUT_LOGS_KEPT; i++) {
		char line[16];

		(void)snprintf(path, sizeof(path), "web.%d", i);
		(void)snprintf(line, sizeof(line), " F %d\n", 6 - i);
		read_log(path, &text);
		cr_expect(strstr(text.buf, line), "%s: %s", path, text.buf);
	}
	(void)snprintf(path, sizeof(path), "logs/web.%d", OUTPUT_LOGS_KEPT + 1);
	cr_expect_lt(fstatat(dir, path, &st, 0), 0);
	cr_assert_eq(close(out[1]), 0);
	output_stream_close(&stream);
}

/* A terminal nobody reads stops the app, not us; then nothing is lost. */
Test(output, a_stuck_terminal)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf shown = STRBUF_INIT;
	char buf[65536];
	unsigned int n = 0;

	(void)fcntl(terminal[1], F_SETPIPE_SZ, 4096);
	for (int i = 0; i < 2000; i++)
		say("0123456789012345678901234567890123456789\n");
	run_ms(50);
	cr_expect_gt(output.pending.len, 0);
	(void)set_nonblock(terminal[0]);
	for (int i = 0; i < 500; i++) {
		ssize_t got = read(terminal[0], buf, sizeof(buf));

		if (got > 0)
			strbuf_add(&shown, buf, (size_t)got);
		else if (output.pending.len == 0)
			break;
		run_ms(1);
	}
	cr_expect_eq(output.pending.len, 0);
	for (const char *p = shown.buf; (p = strchr(p, '\n')); p++)
		n++;
	cr_expect_eq(n, 2000);
	cr_assert_eq(close(out[1]), 0);
	output_stream_close(&stream);
	read_log("web", &text);
	cr_expect_eq(text.len, 2000 * (STAMP + 41));
}

/* Apps that end again and again, and nobody who takes what they say. */
Test(output, what_waits_is_bounded)
{
	static const char lines[] = "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n";
	struct output_stream other;
	unsigned int n = 0;
	int fds[2];

	(void)fcntl(terminal[1], F_SETPIPE_SZ, 4096);
	while (output.n_unshown == 0 && n < 1000000) {
		cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
		cr_assert_eq(output_stream_open(&other, &app_log, "stdout",
						fds[0], NULL),
			     0);
		for (int i = 0; i < 1000; i++)
			cr_assert_eq(write_full(fds[1], lines, 16), 0);
		(void)close(fds[1]);
		output_stream_close(&other);
		n += 16000;
	}
	cr_expect_gt(output.pending.len, OUTPUT_WAITING_MAX);
	cr_expect_lt(output.pending.len, OUTPUT_WAITING_MAX + (1 << 20));
	cr_expect_eq(output.n_unshown, 16000);
	output_detach_terminal(&output);
	cr_assert_eq(close(out[1]), 0);
	output_stream_close(&stream);
}

/* Whoever waits for the terminal waits for the journal, too; and so does an app
 * that is started meanwhile. */
Test(output, what_waits_stays_with_the_apps)
{
	static const char line[] = "0123456789012345678901234567890123456789\n";
	struct output_stream late;
	size_t waiting;
	int fds[2];

	(void)fcntl(terminal[1], F_SETPIPE_SZ, 4096);
	for (int i = 0; i < 2000; i++)
		say(line);
	run_ms(50);
	waiting = output.pending.len;
	cr_assert_gt(waiting, 0);
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	cr_assert_eq(
		output_stream_open(&late, &app_log, "stderr", fds[0], NULL), 0);
	cr_assert_eq(write_full(fds[1], line, strlen(line)), 0);
	run_ms(50);
	cr_expect_eq(output.pending.len, waiting);
	output.journal.is_full = true;
	output_detach_terminal(&output);
	app_log.size = 0;
	run_ms(50);
	cr_expect_eq(app_log.size, 0);
	output.journal.is_full = false;
	output.journal.on_full(&output.journal, false);
	run_ms(50);
	cr_expect_gt(app_log.size, 0);
	cr_assert_eq(close(out[1]), 0);
	cr_assert_eq(close(fds[1]), 0);
	output_stream_close(&stream);
	output_stream_close(&late);
}
