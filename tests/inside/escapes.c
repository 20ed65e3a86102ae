/* SPDX-License-Identifier: Apache-2.0 */
/* Known ways out of a container, tried for real. */
#include "tests/inside/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a foreign process gave away so far; each kind is reported once. */
struct hunt {
	struct stat own_root;
	unsigned int seen; /* bits of reported kinds */
	unsigned long tries;
};

enum hunt_kind {
	HUNT_ROOT,
	HUNT_CWD,
	HUNT_FD_DIR,
	HUNT_EXE_WRITE,
	HUNT_MEM,
	HUNT_PTRACE,
};

static void hunt_found(struct hunt *h, enum hunt_kind kind, const char *path,
		       const char *what)
{
	if (h->seen & (1U << kind))
		return;
	h->seen |= 1U << kind;
	printf("leak=%s %s\n", what, path);
}

static int is_foreign(const struct hunt *h, const char *path)
{
	struct stat st;

	return !stat(path, &st) && st.st_dev != h->own_root.st_dev;
}

/* A directory or executable of another root is a way to the host. */
static void hunt_links(struct hunt *h, const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/root", pid);
	if (is_foreign(h, path))
		hunt_found(h, HUNT_ROOT, path, "root");
	snprintf(path, sizeof(path), "/proc/%s/cwd", pid);
	if (is_foreign(h, path))
		hunt_found(h, HUNT_CWD, path, "cwd");
	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	/* Reading rkt's program is no way out; writing it is.
	 * CVE-2019-5736 keeps the file by a read-only descriptor and reopens
	 * that for writing as soon as the program has ended. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		int w = is_foreign(h, path) ? open(path, O_WRONLY) : -1;

		if (w >= 0) {
			hunt_found(h, HUNT_EXE_WRITE, pid, "writable exe");
			close(w);
		}
		close(fd);
	}
}

static void hunt_fds(struct hunt *h, const char *pid)
{
	char path[64];

	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%d/.", pid, fd);
		if (is_foreign(h, path))
			hunt_found(h, HUNT_FD_DIR, path, "directory");
	}
}

/* CVE-2016-9962: trace a process of the runtime while it enters. */
static void hunt_trace(struct hunt *h, const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/root", pid);
	if (!is_foreign(h, path))
		return;
	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		hunt_found(h, HUNT_MEM, path, "memory");
		close(fd);
	}
	if (!ptrace(PTRACE_SEIZE, (pid_t)number(pid), NULL, NULL)) {
		hunt_found(h, HUNT_PTRACE, pid, "ptrace");
		ptrace(PTRACE_DETACH, (pid_t)number(pid), NULL, NULL);
	}
}

/* What the apps of the pod share, covered like their own, and two covers.  Of
 * volumes only those in memory, and secrets, are there. */
static bool may_be_in_init_root(const char *name)
{
	static const char *const names[] = {
		".",   "..",  "proc",	    "sys",	   "volumes",
		"shm", "pts", "hidden-dir", "hidden-file",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void hunt_init_root(struct hunt *h)
{
	static const char *const read_only[] = {
		"/proc/1/root/",
		"/proc/1/root/hidden-file",
		"/proc/1/root/proc/sysrq-trigger",
		"/proc/1/root/proc/sys/kernel/core_pattern",
		"/proc/1/root/sys/",
		"/proc/1/root/sys/kernel/uevent_helper",
		"/proc/1/root/volumes/",
	};
	DIR *d = opendir("/proc/1/root/");
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!may_be_in_init_root(e->d_name))
			hunt_found(h, HUNT_ROOT, e->d_name, "init's root");
	if (!d)
		return;
	closedir(d);
	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
		if (access(read_only[i], W_OK) == 0)
			hunt_found(h, HUNT_ROOT, read_only[i], "writable");
}

/*
 * The pod's init may be looked at by who has CAP_SYS_PTRACE, and nothing in
 * it may be worth it: its root holds what every app of the pod has, it has no
 * capability, and its executable cannot be written.
 */
static void hunt_init(struct hunt *h)
{
	char line[128];
	FILE *f;

	hunt_init_root(h);
	f = fopen("/proc/1/status", "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Cap", 3) &&
		    strpbrk(line + 7, "123456789abcdef"))
			hunt_found(h, HUNT_PTRACE, line, "init's capabilities");
	if (f)
		fclose(f);
	hunt_fds(h, "1");
	for (int flags = 0; flags < 2; flags++) {
		int fd = open("/proc/1/exe", flags ? O_RDWR : O_WRONLY);

		if (fd < 0)
			continue;
		hunt_found(h, HUNT_EXE_WRITE, "1", "writable exe");
		close(fd);
	}
}

static void hunt_once(struct hunt *h)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' ||
		    number(e->d_name) == getpid())
			continue;
		h->tries++;
		if (!strcmp(e->d_name, "1")) {
			hunt_init(h);
			continue;
		}
		hunt_links(h, e->d_name);
		hunt_fds(h, e->d_name);
		hunt_trace(h, e->d_name);
	}
	closedir(d);
}

/*
 * hunt SECONDS: looks at every process of the pod, over and over, for
 * something of another file system than the app's own.
 */
static void cmd_hunt(char **args)
{
	uint64_t end = now_ms() + (uint64_t)number(args[0]) * 1000;
	struct hunt h = {0};

	if (stat("/", &h.own_root))
		return;
	puts("ready=1");
	do
		hunt_once(&h);
	while (now_ms() < end);
	printf("hunt=%s\n", h.seen ? "leaks" : "clean");
	printf("hunt.tries=%s\n", h.tries ? "some" : "none");
}

/* Still of rkt's program, with rights the app will not have? */
static int is_unexecuted(const char *pid)
{
	char path[64], exe[256] = "";

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	return readlink(path, exe, sizeof(exe) - 1) > 0 &&
	       strcmp(exe, "/inside") != 0;
}

/*
 * hunt-unexecuted SECONDS: tries to trace every process of the pod but its
 * init that has not executed its program yet.
 */
static void cmd_hunt_unexecuted(char **args)
{
	uint64_t end = now_ms() + (uint64_t)number(args[0]) * 1000;
	int seized = 0;

	while (now_ms() < end && !seized) {
		DIR *d = opendir("/proc");
		struct dirent *e;

		while (d && (e = readdir(d)) && !seized) {
			if (e->d_name[0] < '1' || e->d_name[0] > '9' ||
			    !strcmp(e->d_name, "1") ||
			    !is_unexecuted(e->d_name))
				continue;
			seized = !ptrace(PTRACE_SEIZE, (pid_t)number(e->d_name),
					 NULL, NULL);
		}
		if (d)
			closedir(d);
	}
	printf("hunt.unexecuted=%s\n", seized ? "seized" : "none");
	fflush(stdout);
}

/* swap A B SECONDS: exchanges two names as fast as it can. */
static void cmd_swap(char **args)
{
	uint64_t end = now_ms() + (uint64_t)number(args[2]) * 1000;

	while (now_ms() < end)
		for (int i = 0; i < 100; i++)
			renameat2(AT_FDCWD, args[0], AT_FDCWD, args[1],
				  RENAME_EXCHANGE);
}

/* find NAME: everything called NAME below "/", pseudo files left out. */
static void find_below(const char *dir, const char *name, dev_t dev, int depth)
{
	char path[4096];
	struct dirent *e;
	struct stat st;
	DIR *d = depth > 0 ? opendir(dir) : NULL;

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s",
			 strcmp(dir, "/") ? dir : "", e->d_name);
		if (!strcmp(e->d_name, name))
			printf("find=%s\n", path);
		if (!lstat(path, &st) && S_ISDIR(st.st_mode) &&
		    st.st_dev != dev)
			find_below(path, name, dev, depth - 1);
	}
	if (d)
		closedir(d);
}

static void cmd_find_in_sys(char **args)
{
	struct stat st;

	if (!stat("/proc", &st))
		find_below("/sys", args[0], st.st_dev, 6);
	puts("find.end=1");
}

/* cwd-escape: what "." and ".." of the working directory lead to. */
static void cmd_cwd_escape(char **args)
{
	char path[256] = ".";
	struct stat root, here;

	(void)args;
	stat("/", &root);
	if (stat(".", &here)) {
		report_error("cwd", errno);
		return;
	}
	for (int i = 0; i < 40; i++)
		strcat(path, "/..");
	printf("cwd.top=%s\n",
	       stat(path, &here) ? "unreadable"
	       : here.st_dev == root.st_dev && here.st_ino == root.st_ino
		       ? "own"
		       : "foreign");
}

const struct command escape_commands[] = {
	{"cwd-escape", 0, cmd_cwd_escape},
	{"find-in-sys", 1, cmd_find_in_sys},
	{"hunt", 1, cmd_hunt},
	{"hunt-unexecuted", 1, cmd_hunt_unexecuted},
	{"swap", 3, cmd_swap},
	{0},
};
