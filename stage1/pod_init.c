/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/pod_init.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/syscalls.h"
#include "stage1/caps.h"
#include "stage1/mounts.h"
#include "stage1/network.h"

/* What nobody owns and nothing may be done with: the overflow uid. */
#define POD_INIT_UID 65534

/* No errno has such a low byte, so no struct error begins with one. */
#define NAMESPACES "\xf1"
#define READY "\xf2"

/* Below the host's /proc, but of the network namespace we are in. */
static int apply_sysctls(const struct strv *sysctls, struct error *err)
{
	cleanup_fd int dir = -EBADF;

	if (sysctls->n == 0)
		return 0;
	dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_sys(err, errno, "open /proc/sys");
	for (size_t i = 0; i < sysctls->n; i++) {
		char *value = strchr(sysctls->v[i], '=');
		cleanup_free char *key = xstrndup(
			sysctls->v[i], (size_t)(value - sysctls->v[i]));
		cleanup_fd int fd = -EBADF;
		int r;

		fd = sys_openat2(dir, key, O_WRONLY | O_CLOEXEC, 0,
				 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		r = fd < 0 ? fd : write_full(fd, value + 1, strlen(value + 1));
		if (r < 0)
			return error_sys(err, -r, "set sysctl %s", key);
	}
	return 0;
}

/*
 * Connections waiting in the queue of a listener that is closed move to
 * another one of its group: updates count on it.  Linux 5.14; it must be set
 * before the first group is made.
 */
static int allow_migration(struct error *err)
{
	cleanup_fd int fd = open("/proc/sys/net/ipv4/tcp_migrate_req",
				 O_WRONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return 0;
	r = write_full(fd, "1", 1);
	return r < 0 ? error_sys(err, -r, "set tcp_migrate_req") : 0;
}

/* A root of its own: a read-only tmpfs with this pod's /proc in it. */
static int enter_own_root(struct error *err)
{
	const uint64_t safe =
		MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	cleanup_fd int root = -EBADF;
	cleanup_fd int proc = -EBADF;
	int r;

	r = mounts_make_private(err);
	if (r < 0)
		return r;
	root = mount_tmpfs("mode=0555,size=4k,nr_inodes=4", safe, err);
	if (root < 0)
		return root;
	if (mkdirat(root, "proc", 0555) < 0)
		return error_sys(err, errno, "create /proc of pod init");
	r = mount_attach(root, AT_FDCWD, "", err);
	if (r < 0)
		return r;
	proc = mount_new("proc", NULL, safe | MOUNT_ATTR_RDONLY, err);
	if (proc < 0)
		return proc;
	r = mount_attach(proc, root, "proc", err);
	if (r < 0)
		return r;
	r = mount_set_attr(root, MOUNT_ATTR_RDONLY, false, err);
	if (r < 0)
		return r;
	return mounts_pivot(root, err);
}

/*
 * Arguments and environment are the host's: paths, and whatever root has in
 * its environment.  Field 48 of proc_pid_stat(5) is where they start, 51
 * where they end.
 */
static int wipe_arguments(struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	unsigned long at[4] = {0};
	char *field;
	int r;

	r = read_file_at(AT_FDCWD, "/proc/self/stat", 4096, &text, err);
	if (r < 0)
		return r;
	/* The second field may hold anything up to the last ')'. */
	field = strrchr(text.buf, ')');
	for (int i = 2; field && i <= 51; i++) {
		if (i >= 48)
			at[i - 48] = strtoul(field, NULL, 10);
		field = strchr(field + 1, ' ');
	}
	if (at[0] && at[3] > at[0])
		memset((void *)at[0], 0, at[3] - at[0]);
	return 0;
}

static int drop_everything(struct error *err)
{
	int r = caps_drop_bounding(0, err);

	if (r < 0)
		return r;
	if (setgroups(0, NULL) < 0 ||
	    setresgid(POD_INIT_UID, POD_INIT_UID, POD_INIT_UID) < 0 ||
	    setresuid(POD_INIT_UID, POD_INIT_UID, POD_INIT_UID) < 0)
		return error_sys(err, errno, "drop the ids of pod init");
	/* setresuid() cleared what prepare() asked for. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_sys(err, errno, "harden pod init");
	return 0;
}

static int prepare(const struct pod_init_plan *plan, int ready,
		   struct error *err)
{
	int r;

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_sys(err, errno, "tie pod init to stage1");
	/* Takes longer than all other namespaces together, and stage1 has
	 * something to do meanwhile. */
	if (!plan->host_net && unshare(CLONE_NEWNET) < 0)
		return error_sys(err, errno, "create the network namespace");
	r = write_full(ready, NAMESPACES, 1);
	if (r < 0)
		return error_sys(err, -r, "report to stage1");
	(void)setsid();
	(void)prctl(PR_SET_NAME, "pod-init", 0, 0, 0);
	if (sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		return error_sys(err, errno, "set the host name %s",
				 plan->hostname);
	if (!plan->host_net) {
		r = network_loopback_up(err);
		if (r == 0)
			r = allow_migration(err);
		if (r == 0)
			r = apply_sysctls(plan->sysctls, err);
		if (r < 0)
			return r;
	}
	r = wipe_arguments(err);
	if (r == 0)
		r = enter_own_root(err);
	if (r < 0)
		return r;
	r = close_all_from(0, &ready, 1);
	if (r < 0)
		return error_sys(err, -r, "close descriptors");
	return drop_everything(err);
}

/* Failing is forbidden from here on: our death ends the pod. */
__attribute__((__noreturn__)) static void reap_forever(void)
{
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	for (;;) {
		int sig;

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		(void)sigwait(&child, &sig);
	}
}

__attribute__((__noreturn__)) static void
pod_init_child(const struct pod_init_plan *plan, int ready)
{
	struct error err = ERROR_INIT;
	sigset_t all;
	int r;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	r = prepare(plan, ready, &err);
	if (r < 0) {
		(void)write_full(ready, &err, sizeof(err));
		_exit(1);
	}
	/* stage1 may have died before PDEATHSIG was set; then nobody reads,
	 * and nobody would ever kill us. */
	if (write_full(ready, READY, 1) < 0)
		_exit(1);
	(void)close(ready);
	reap_forever();
}

int pod_init_start(const struct pod_init_plan *plan, struct pod_init *ret,
		   struct error *err)
{
	cleanup_fd int ready_read = -EBADF;
	cleanup_fd int ready_write = -EBADF;
	int pidfd = -EBADF, fds[2];
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS |
			 CLONE_NEWUTS | (plan->host_ipc ? 0 : CLONE_NEWIPC),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create pipe");
	ready_read = fds[0];
	ready_write = fds[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return error_sys(err, (int)-pid,
				 "create the namespaces of the pod");
	if (pid == 0) {
		fd_close(&ready_read);
		pod_init_child(plan, ready_write);
	}
	*ret = (struct pod_init){
		.pidfd = pidfd,
		.pid = pid,
		.ready = TAKE_FD(ready_read),
	};
	return 0;
}

/* Reads BYTE, or the error pod init sends instead. */
static int wait_byte(struct pod_init *init, char byte, struct error *err)
{
	union {
		char byte;
		struct error err;
	} message;
	ssize_t n = read_full(init->ready, &message.byte, 1);

	if (n == 1 && message.byte == byte)
		return 0;
	if (n == 1)
		n += read_full(init->ready, &message.byte + 1,
			       sizeof(message) - 1);
	if (n != (ssize_t)sizeof(message))
		return error_set(err, ECHILD, "pod init died while starting");
	if (err)
		*err = message.err;
	return error_wrap(err, -message.err.code, "start pod init");
}

int pod_init_wait_namespaces(struct pod_init *init, struct error *err)
{
	int r;

	if (init->has_namespaces)
		return 0;
	r = wait_byte(init, NAMESPACES[0], err);
	init->has_namespaces = r == 0;
	return r;
}

int pod_init_wait_ready(struct pod_init *init, struct error *err)
{
	int r;

	if (init->ready < 0)
		return 0;
	r = pod_init_wait_namespaces(init, err);
	if (r == 0)
		r = wait_byte(init, READY[0], err);
	fd_close(&init->ready);
	return r;
}

void pod_init_doom(struct pod_init *init)
{
	if (init->pidfd >= 0)
		(void)sys_pidfd_send_signal(init->pidfd, SIGKILL);
}

void pod_init_kill(struct pod_init *init)
{
	int status;

	fd_close(&init->ready);
	if (init->pidfd < 0)
		return;
	pod_init_doom(init);
	(void)process_wait(init->pidfd, &status);
	fd_close(&init->pidfd);
}
