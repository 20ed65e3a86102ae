/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/syscalls.h"

#define USERS_FILE "users"     /* "PID INODE" of the holder; shared lock */
#define LOCK_FILE "users.lock" /* who looks for it, or makes it */
#define USERS_MAX 64
#define FILE_MAX (4UL * 1024 * 1024)
/* 0 to nobody, with which every image is content. */
#define USERS_WANTED 65536U

/* --- who may be whom ------------------------------------------------------ */

static bool is_line_of(const struct strv *fields, const char *name, uint32_t id)
{
	uint64_t number;

	return (name && strcmp(fields->v[0], name) == 0) ||
	       (parse_uint(fields->v[0], UINT32_MAX, &number) == 0 &&
		number == id);
}

struct rootless_range rootless_range_find(const char *text, const char *name,
					  uint32_t id)
{
	cleanup_strv struct strv lines = STRV_INIT;

	strv_split(&lines, text, '\n');
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv fields = STRV_INIT;
		uint64_t first, count;

		strv_split(&fields, lines.v[i], ':');
		if (fields.n == 3 && is_line_of(&fields, name, id) &&
		    parse_uint(fields.v[1], UINT32_MAX, &first) == 0 &&
		    parse_uint(fields.v[2], UINT32_MAX, &count) == 0 &&
		    count > 0 && first > 0 && first + count <= UINT32_MAX)
			return (struct rootless_range){(uint32_t)first,
						       (uint32_t)count};
	}
	return (struct rootless_range){0};
}

char *rootless_name_find(const char *text, uint32_t id)
{
	cleanup_strv struct strv lines = STRV_INIT;

	strv_split(&lines, text, '\n');
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv fields = STRV_INIT;
		uint64_t number;

		strv_split(&fields, lines.v[i], ':');
		if (fields.n >= 4 && *fields.v[0] &&
		    parse_uint(fields.v[2], UINT32_MAX, &number) == 0 &&
		    number == id)
			return xstrdup(fields.v[0]);
	}
	return NULL;
}

/* The environment's where /etc/passwd does not know the user: newuidmap checks
 * whose range it is. */
static char *own_name(void)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	const char *given = getenv("LOGNAME");
	char *name = NULL;

	if (read_file_path("/etc/passwd", FILE_MAX, &text, NULL) == 0)
		name = rootless_name_find(text.buf, getuid());
	return name || !given ? name : xstrdup(given);
}

static struct rootless_range own_range(const char *path, const char *name)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (read_file_path(path, FILE_MAX, &text, NULL) < 0)
		return (struct rootless_range){0};
	return rootless_range_find(text.buf, name, getuid());
}

/* --- the maps of a new one ------------------------------------------------ */

/* PROGRAM PID 0 OWN 1 1 FIRST COUNT. */
static int run_helper(const char *program, pid_t pid, uint32_t own,
		      const struct rootless_range *range, struct error *err)
{
	uint32_t n = range->count < USERS_WANTED ? range->count : USERS_WANTED;
	cleanup_free char *path = xasprintf("/usr/bin/%s", program);
	cleanup_strv struct strv argv = STRV_INIT;
	char *envp[] = {NULL};
	const struct fd_map map[] = {{0, 0}, {2, 1}, {2, 2}};
	int pidfd, status;

	strv_push(&argv, program);
	strv_pushf(&argv, "%d", (int)pid);
	strv_pushf(&argv, "0");
	strv_pushf(&argv, "%u", own);
	strv_pushf(&argv, "1");
	strv_pushf(&argv, "1");
	strv_pushf(&argv, "%u", range->first);
	strv_pushf(&argv, "%u", n);
	pidfd = process_spawn(path, -1, argv.v, envp, map, 3, NULL, err);
	if (pidfd < 0)
		return pidfd;
	(void)process_wait(pidfd, &status);
	(void)close(pidfd);
	if (status != 0)
		return error_set(err, EPERM,
				 "%s could not map the users of /etc/subuid "
				 "and /etc/subgid",
				 program);
	return 0;
}

static int write_proc(pid_t pid, const char *name, const char *text,
		      struct error *err)
{
	cleanup_free char *path = xasprintf("/proc/%d/%s", (int)pid, name);
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : write_full(fd, text, strlen(text));

	return r < 0 ? error_sys(err, -r, "write %s", path) : 0;
}

/* What the kernel lets anybody do. */
static int map_one(pid_t pid, struct error *err)
{
	cleanup_free char *uid = xasprintf("0 %u 1\n", geteuid());
	cleanup_free char *gid = xasprintf("0 %u 1\n", getegid());
	int r = write_proc(pid, "setgroups", "deny", err);

	if (r == 0)
		r = write_proc(pid, "uid_map", uid, err);
	return r == 0 ? write_proc(pid, "gid_map", gid, err) : r;
}

static int map_users(pid_t pid, struct error *err)
{
	cleanup_free char *name = own_name();
	struct rootless_range uids = own_range("/etc/subuid", name);
	struct rootless_range gids = own_range("/etc/subgid", name);
	int r;

	if (!uids.count || !gids.count ||
	    access("/usr/bin/newuidmap", X_OK) < 0 ||
	    access("/usr/bin/newgidmap", X_OK) < 0)
		return map_one(pid, err);
	r = run_helper("newuidmap", pid, geteuid(), &uids, err);
	return r < 0 ? r : run_helper("newgidmap", pid, getegid(), &gids, err);
}

/* --- the holder ----------------------------------------------------------- */

/* Until nobody has the shared lock any more.  GO: may begin. */
__attribute__((__noreturn__)) static void hold(int dirfd, int go)
{
	int keep[2] = {go, -EBADF};
	int fd = openat(dirfd, USERS_FILE, O_RDWR | O_CLOEXEC);
	char c;

	keep[1] = fd;
	if (fd < 0 || close_all_from(0, keep, 2) < 0)
		_exit(1);
	(void)setsid();
	if (chdir("/") < 0)
		_exit(1);
	(void)prctl(PR_SET_NAME, "rkt-users", 0, 0, 0);
	for (int sig = 1; sig < 32; sig++)
		(void)signal(sig, sig == SIGTERM ? SIG_DFL : SIG_IGN);
	if (read_full(go, &c, 1) != 1)
		_exit(1);
	(void)close(go);
	while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	_exit(0);
}

static int clone_failed(int code, struct error *err)
{
	if (code == ENOSPC || code == EPERM || code == EACCES)
		return error_set(
			err, code,
			"create a user namespace: %s: the host forbids "
			"that to users (sysctl "
			"user.max_user_namespaces, "
			"kernel.unprivileged_userns_clone, or "
			"kernel.apparmor_restrict_unprivileged_userns)",
			strerrordesc_np(code));
	return error_sys(err, code, "create a user namespace");
}

static int open_ns(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Those of process PID; -ESRCH if its user namespace is not INODE. */
static int enter(pid_t pid, uint64_t inode)
{
	cleanup_fd int users = open_ns(pid, "user");
	cleanup_fd int mounts = open_ns(pid, "mnt");
	cleanup_free char *dir = getcwd(NULL, 0);
	struct stat st;

	if (users < 0 || mounts < 0 || fstat(users, &st) < 0 ||
	    st.st_ino != inode)
		return -ESRCH;
	/* The second leaves the working directory. */
	if (setns(users, CLONE_NEWUSER) < 0 || setns(mounts, CLONE_NEWNS) < 0 ||
	    (dir && chdir(dir) < 0))
		return -errno;
	return 0;
}

static int write_users(int users, pid_t pid, uint64_t *ret_inode,
		       struct error *err)
{
	cleanup_fd int ns = open_ns(pid, "user");
	char text[USERS_MAX];
	struct stat st;
	int n;

	if (ns < 0 || fstat(ns, &st) < 0)
		return error_sys(err, ns < 0 ? -ns : errno,
				 "look at the user namespace");
	*ret_inode = st.st_ino;
	n = snprintf(text, sizeof(text), "%d %" PRIu64 "\n", (int)pid,
		     (uint64_t)st.st_ino);
	if (ftruncate(users, 0) < 0 || pwrite(users, text, (size_t)n, 0) != n)
		return error_sys(err, errno, "write " USERS_FILE);
	return 0;
}

/* In new namespaces (FLAGS CLONE_NEW*), or in the caller's (0): its number, and
 * the INODE of the user namespace. */
static pid_t start_holder(int dirfd, int users, uint64_t flags,
			  uint64_t *ret_inode, struct error *err)
{
	struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
	cleanup_fd int go = -EBADF;
	cleanup_fd int theirs = -EBADF;
	int fds[2], r = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create a pipe");
	theirs = fds[0];
	go = fds[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return clone_failed((int)-pid, err);
	if (pid == 0) {
		fd_close(&go);
		hold(dirfd, theirs);
	}
	if (flags)
		r = map_users(pid, err);
	if (r == 0)
		r = write_users(users, pid, ret_inode, err);
	if (r == 0 && write_full(go, "G", 1) < 0)
		r = error_set(err, ECHILD, "the holder of the users died");
	return r < 0 ? r : pid;
}

/* --- one that is there ---------------------------------------------------- */

/* Of the process PID, or 0. */
static pid_t parent_of(pid_t pid)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_free char *path = xasprintf("/proc/%d/stat", (int)pid);
	const char *after;
	int parent;

	if (read_file_path(path, FILE_MAX, &text, NULL) < 0)
		return 0;
	/* The name before it may have blanks and parentheses in it. */
	after = strrchr(text.buf, ')');
	return after && sscanf(after, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* The holder was killed: the supervisors of pods, whose number is that of the
 * parent of the pod's init. */
static int enter_by_pod(int dirfd, uint64_t inode)
{
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_fd int run =
		openat(dirfd, "pods/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = -ESRCH;

	if (run < 0 || dir_names(run, &names) < 0)
		return -ESRCH;
	for (size_t i = 0; i < names.n && r == -ESRCH; i++) {
		cleanup_strbuf struct strbuf text = STRBUF_INIT;
		cleanup_free char *path = xasprintf("%s/pid", names.v[i]);
		uint64_t pid;

		if (read_file_at(run, path, USERS_MAX, &text, NULL) < 0)
			continue;
		text.buf[strcspn(text.buf, "\n")] = '\0';
		if (parse_uint(text.buf, INT32_MAX, &pid) == 0 && pid)
			r = enter(parent_of((pid_t)pid), inode);
	}
	return r;
}

/* 0; -ESRCH if there is none. */
static int join(int dirfd, int users)
{
	char text[USERS_MAX] = "";
	ssize_t n = pread(users, text, sizeof(text) - 1, 0);
	uint64_t inode;
	int pid, r;

	if (n <= 0 || sscanf(text, "%d %" SCNu64, &pid, &inode) != 2 ||
	    pid <= 0)
		return -ESRCH;
	r = process_is_ending(pid) ? -ESRCH : enter(pid, inode);
	if (r != -ESRCH)
		return r;
	r = enter_by_pod(dirfd, inode);
	if (r == 0)
		(void)start_holder(dirfd, users, 0, &inode, NULL);
	return r;
}

static int make_and_join(int dirfd, int users, struct error *err)
{
	uint64_t inode;
	pid_t pid = start_holder(dirfd, users, CLONE_NEWUSER | CLONE_NEWNS,
				 &inode, err);

	return pid < 0 ? pid : enter(pid, inode);
}

static int open_locked(int dirfd, const char *name, int flags, int how,
		       struct error *err)
{
	cleanup_fd int fd = openat(dirfd, name, O_RDWR | O_CREAT | flags, 0600);
	int r = fd < 0 ? -errno : lock_wait(fd, how);

	return r < 0 ? error_sys(err, -r, "lock %s", name) : TAKE_FD(fd);
}

int rootless_enter(int dirfd, struct error *err)
{
	cleanup_fd int lock =
		open_locked(dirfd, LOCK_FILE, O_CLOEXEC, LOCK_EX, err);
	/* Not closed by exec: it is how the holder knows of us. */
	cleanup_fd int users =
		lock < 0 ? lock
			 : open_locked(dirfd, USERS_FILE, 0, LOCK_SH, err);
	int r = users < 0 ? users : join(dirfd, users);

	if (r == -ESRCH && users >= 0)
		r = make_and_join(dirfd, users, err);
	if (users < 0)
		return r;
	if (r < 0)
		return err && err->msg[0]
			       ? r
			       : error_sys(err, -r, "enter the user namespace");
	(void)TAKE_FD(users);
	return 0;
}
