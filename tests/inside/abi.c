/* SPDX-License-Identifier: Apache-2.0 */
/* Ways past a filter or a permission check that are not plain calls. */
#include "tests/inside/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child, since a filter may kill: KEY=ok|ENAME|SIGNAME. */
static void report_child(const char *key, long (*call)(long, long), long a,
			 long b)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		long r = call(a, b);

		_exit(r < 0 ? (int)-r : 0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s=SIG%s\n", key, sigabbrev_np(WTERMSIG(status)));
	else
		printf("%s=%s\n", key,
		       WEXITSTATUS(status)
			       ? strerrorname_np(WEXITSTATUS(status))
			       : "ok");
}

#ifdef __x86_64__
/* The i386 entry of the kernel, from a 64-bit program. */
static long call_i386(long nr, long arg)
{
	int r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"((int)nr), "b"((int)arg), "c"(0), "d"(0), "S"(0),
			   "D"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return r;
}
#else
static long call_i386(long nr, long arg)
{
	(void)nr;
	(void)arg;
	return -ENOSYS;
}
#endif

static long call_x32(long nr, long arg)
{
	long r = syscall(0x40000000 | nr, arg, 0, 0, 0, 0);

	return r < 0 ? -errno : 0;
}

/* clone with no stack is fork; the child of the child ends at once. */
static long call_clone(long flags, long unused)
{
	long r = syscall(SYS_clone, flags | 17 /* SIGCHLD */, 0, 0, 0, 0);

	(void)unused;
	if (r == 0)
		_exit(0);
	return r < 0 ? -errno : 0;
}

/* i386 NUMBER [ARG] */
static void cmd_i386(char **args)
{
	report_child("i386", call_i386, number(args[0]),
		     args[1] ? number(args[1]) : 0);
}

/* x32 NUMBER [ARG] */
static void cmd_x32(char **args)
{
	report_child("x32", call_x32, number(args[0]),
		     args[1] ? number(args[1]) : 0);
}

static void cmd_clone(char **args)
{
	report_child("clone", call_clone, number(args[0]), 0);
}

/* tiocsti: type into every terminal that can be had. */
static void cmd_tiocsti(char **args)
{
	static const char *const paths[] = {"/dev/tty", "/dev/console"};
	char c = '\n';
	int done = 0;

	(void)args;
	for (int fd = 0; fd < 3; fd++)
		done |= !ioctl(fd, TIOCSTI, &c);
	for (size_t i = 0; i < N_ELEMENTS(paths); i++) {
		int fd = open(paths[i], O_RDWR | O_CLOEXEC | O_NOCTTY);

		if (fd < 0)
			continue;
		done |= !ioctl(fd, TIOCSTI, &c);
		close(fd);
	}
	printf("tiocsti=%s\n", done ? "ok" : "no");
}

/* handle PATH: opens the file behind PATH by its handle, which no mount
 * namespace and no root holds back (Shocker). */
static void cmd_handle(char **args)
{
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = {.fh = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount_id;
	int dir;
	int fd;

	if (name_to_handle_at(AT_FDCWD, args[0], &h.fh, &mount_id, 0)) {
		report_error("handle", errno);
		return;
	}
	dir = open(args[0], O_RDONLY | O_CLOEXEC);
	fd = open_by_handle_at(dir, &h.fh, O_RDONLY | O_CLOEXEC);
	report_call("handle", fd);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
}

/* suid: what executing PATH, which is setuid root, makes of this uid. */
static void cmd_suid(char **args)
{
	char *argv[] = {args[0], (char *)(uintptr_t) "print-ids", NULL};
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		execv(args[0], argv);
		report_error("suid", errno);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

const struct command abi_commands[] = {
	{"clone", 1, cmd_clone},
	{"handle", 1, cmd_handle},
	{"i386", 1, cmd_i386},
	{"suid", 1, cmd_suid},
	{"tiocsti", 0, cmd_tiocsti},
	{"x32", 1, cmd_x32},
	{0},
};
