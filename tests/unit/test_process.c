/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process.h"

/* What its session's nice value is, or WANTED where sessions have none. */
static int session_nice(int wanted)
{
	char text[64] = "";
	cleanup_fd int fd = open("/proc/self/autogroup", O_RDONLY | O_CLOEXEC);
	const char *at;
	int nice;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return wanted;
	at = strstr(text, "nice ");
	return at && sscanf(at, "nice %d", &nice) == 1 ? nice : wanted;
}

/* A bit for each thing that is not as it should be. */
static int nice_child(void)
{
	pid_t session = getsid(0);
	int wrong = 0;

	(void)setpriority(PRIO_PROCESS, 0,
			  0); /* the tests may run under nice */
	process_be_nice_to_sessions();
	if (getsid(0) != session)
		wrong |= 1;
	process_be_nice();
	if (getpriority(PRIO_PROCESS, 0) != 5)
		wrong |= 2;
	process_be_nice_to_sessions();
	if (getsid(0) != getpid())
		wrong |= 4;
	if (session_nice(5) != 5)
		wrong |= 8;
	(void)setpriority(PRIO_PROCESS, 0, 15);
	process_be_nice();
	if (getpriority(PRIO_PROCESS, 0) != 15)
		wrong |= 16;
	return wrong;
}

Test(process, is_nice_if_asked_to_and_then_to_all)
{
	int status = -1;
	pid_t pid = fork();

	cr_assert(ge(int, pid, 0));
	if (pid == 0)
		_exit(nice_child());
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(eq(int, !!WIFEXITED(status), 1));
	cr_expect(eq(int, WEXITSTATUS(status), 0));
}

Test(process, one_that_exits_is_known_before_it_is_waited_for)
{
	char byte;
	int fds[2];
	siginfo_t info;
	pid_t pid;

	cr_assert(eq(int, pipe2(fds, O_CLOEXEC), 0));
	pid = fork();
	cr_assert(ge(int, pid, 0));
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, "a) S (b");
		close(fds[1]);
		_exit(read(fds[0], &byte, 1) < 0);
	}
	cr_expect(eq(int, process_is_ending(getpid()), 0));
	cr_expect(eq(int, process_is_ending(pid), 0));
	close(fds[1]);
	cr_assert(eq(int, waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0));
	cr_expect(eq(int, process_is_ending(pid), 1));
	cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
	cr_expect(eq(int, process_is_ending(pid), 0));
	close(fds[0]);
}

static void say_twice(const void *arg, int to_parent)
{
	(void)dprintf(to_parent, "%s %s", (const char *)arg, (const char *)arg);
}

static void ends_badly(const void *arg, int to_parent)
{
	(void)write_full(to_parent, arg, 1);
	_exit(3);
}

Test(process, hears_what_its_child_says)
{
	static const struct {
		void (*child)(const void *arg, int to_parent);
		const char *said;
		int status;
	} rows[] = {
		{say_twice, "word word", 0},
		{ends_badly, "w", 3},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_fd int said = -EBADF;
		pid_t pid = 0;
		cleanup_fd int pidfd = process_start(0, rows[i].child, "word",
						     &said, &pid, NULL);
		char text[32] = "";
		int status = -1;

		cr_assert(ge(int, pidfd, 0));
		cr_expect(gt(int, pid, 0));
		/* To the end of file: the parent does not write. */
		cr_expect(ge(int, (int)read_full(said, text, sizeof(text) - 1),
			     0));
		cr_expect(eq(str, text, (char *)(uintptr_t)rows[i].said));
		cr_assert(eq(int, process_wait(pidfd, &status), 0));
		cr_expect(eq(int, process_exit_code(status), rows[i].status));
	}
}

/* NAME's number is the parent's, too. */
static void open_one(const void *name, int to_parent)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	(void)write_full(to_parent, &fd, sizeof(fd));
}

Test(process, may_share_its_descriptors_with_its_child)
{
	cleanup_fd int said = -EBADF;
	cleanup_fd int pidfd =
		process_start(CLONE_FILES | CLONE_VFORK, open_one,
			      "/proc/version", &said, NULL, NULL);
	cleanup_fd int opened = -EBADF;
	char c = 0;
	int status = -1;

	cr_assert(ge(int, pidfd, 0));
	cr_assert(eq(int, (int)read_full(said, &opened, sizeof(opened)),
		     (int)sizeof(opened)));
	cr_assert(ge(int, opened, 0));
	cr_expect(eq(int, (int)read(opened, &c, 1), 1));
	cr_expect(eq(chr, c, 'L'));
	/* Nobody has the other end. */
	cr_expect(eq(int, (int)read(said, &c, 1), 0));
	cr_assert(eq(int, process_wait(pidfd, &status), 0));
}

Test(process, says_when_it_cannot_start_one)
{
	struct error err = ERROR_INIT;
	int said = -EBADF;

	cr_expect(lt(
		int,
		process_start(CLONE_SIGHAND, say_twice, "", &said, NULL, &err),
		0));
	cr_expect(eq(int, said, -EBADF));
	cr_expect(eq(str, err.msg,
		     (char *)(uintptr_t) "start a process: Invalid argument"));
}
