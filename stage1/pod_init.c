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
#include <sys/socket.h>
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
#include "stage1/netns.h"
#include "stage1/pod_root.h"
#include "stage1/users.h"

/* What nobody owns and nothing may be done with: the overflow uid. */
#define POD_INIT_UID 65534
#define NAME "pod-init"

/* No errno has such a low byte, so no struct error begins with one. */
#define NAMESPACES "\xf1"
#define READY "\xf2"
#define END "\xf3"

/* What a socket holds without anybody reading. */
#define SYSCTLS_MAX 65536

/*
 * Below the host's /proc, because ours has a read-only one; but of the
 * network namespace we are in.
 */
static int apply_sysctls(int proc_sys, const struct strv *sysctls,
			 struct error *err)
{
	for (size_t i = 0; i < sysctls->n; i++) {
		char *value = strchr(sysctls->v[i], '=');
		cleanup_free char *key = xstrndup(
			sysctls->v[i], (size_t)(value - sysctls->v[i]));
		cleanup_fd int fd = -EBADF;
		int r;

		fd = sys_openat2(proc_sys, key, O_WRONLY | O_CLOEXEC, 0,
				 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		r = fd < 0 ? fd : write_full(fd, value + 1, strlen(value + 1));
		if (r < 0)
			return error_sys(err, -r, "set sysctl %s", key);
	}
	return 0;
}

/* What pod_init_send_sysctls() sends. */
static int read_sysctls(int stage1, struct strv *ret, struct error *err)
{
	cleanup_free char *text = NULL;
	uint32_t len = 0;

	if (read_full(stage1, &len, sizeof(len)) != sizeof(len) ||
	    len > SYSCTLS_MAX)
		return error_set(err, ECHILD, "stage1 is gone");
	text = xcalloc(1, (size_t)len + 1);
	if (read_full(stage1, text, len) != (ssize_t)len)
		return error_set(err, ECHILD, "stage1 is gone");
	for (char *row = text; row < text + len; row += strlen(row) + 1)
		strv_push(ret, row);
	return 0;
}

/*
 * Connections waiting in the queue of a listener that is closed move to
 * another one of its group: updates count on it.  Linux 5.14; it must be set
 * before the first group is made.
 */
static int allow_migration(int proc_sys, struct error *err)
{
	cleanup_fd int fd = openat(proc_sys, "net/ipv4/tcp_migrate_req",
				   O_WRONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return 0;
	r = write_full(fd, "1", 1);
	return r < 0 ? error_sys(err, -r, "set tcp_migrate_req") : 0;
}

static int set_up_network(const struct pod_init_plan *plan, int proc_sys,
			  int stage1, struct error *err)
{
	cleanup_strv struct strv sysctls = STRV_INIT;
	int r;

	if (plan->host_net)
		return 0;
	r = netns_loopback_up(err);
	if (r == 0)
		r = allow_migration(proc_sys, err);
	if (r == 0)
		r = read_sysctls(stage1, &sysctls, err);
	return r < 0 ? r : apply_sysctls(proc_sys, &sysctls, err);
}

/*
 * Arguments and environment are the host's: paths, and whatever root has in
 * its environment.  Its name is all that is left for ps(1) to show.  Field 48
 * of proc_pid_stat(5) is where they start, 51 where they end.
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
	if (at[0] && at[3] > at[0]) {
		memset((void *)at[0], 0, at[3] - at[0]);
		memcpy((void *)at[0], NAME,
		       at[3] - at[0] < sizeof(NAME) ? 0 : sizeof(NAME));
	}
	return 0;
}

/* A change of ids clears what prepare() asked for. */
static int harden(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_sys(err, errno, "harden pod init");
	return 0;
}

static int become_unable(struct error *err)
{
	int r = caps_drop_permitted(err);

	return r < 0 ? r : harden(err);
}

static int drop_everything(const struct users *users, struct error *err)
{
	int r = caps_drop_bounding(0, err);

	if (r < 0)
		return r;
	/* A user without a range of users is nobody else. */
	if (setgroups(0, NULL) < 0)
		return errno == EPERM
			       ? become_unable(err)
			       : error_sys(err, errno, "drop the groups");
	if (setresgid(POD_INIT_UID, POD_INIT_UID, POD_INIT_UID) < 0 ||
	    setresuid(POD_INIT_UID, POD_INIT_UID, POD_INIT_UID) < 0)
		return error_sys(err, errno, "drop the ids of pod init");
	/* Leaving uid 0 dropped the capabilities; but who enters a user
	 * namespace from outside has never been its root. */
	r = users_are_private(users) ? caps_drop_permitted(err) : 0;
	if (r < 0)
		return r;
	return harden(err);
}

static int enter_namespaces(const struct pod_init_plan *plan, struct error *err)
{
	int new_net = plan->host_net || plan->netns >= 0 ? 0 : CLONE_NEWNET;
	int r = 0;

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_sys(err, errno, "tie pod init to stage1");
	/* A new network takes longer than all other namespaces together, and
	 * stage1 has something to do meanwhile. */
	if (users_are_private(plan->users))
		r = users_move(plan->users,
			       CLONE_NEWUTS | new_net |
				       (plan->host_ipc ? 0 : CLONE_NEWIPC),
			       err);
	else if (new_net && unshare(CLONE_NEWNET) < 0)
		r = error_sys(err, errno, "create the network namespace");
	if (r == 0 && plan->netns >= 0 && setns(plan->netns, CLONE_NEWNET) < 0)
		r = error_sys(err, errno, "join the pod's network namespace");
	return r;
}

static int prepare(const struct pod_init_plan *plan, int ready,
		   struct error *err)
{
	const int keep[] = {ready, plan->users->maker};
	cleanup_fd int proc_sys = -EBADF;
	int r;

	if (plan->selffd >= 0)
		(void)close(plan->selffd);
	r = enter_namespaces(plan, err);
	if (r < 0)
		return r;
	proc_sys = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_sys < 0)
		return error_sys(err, errno, "open /proc/sys");
	r = users_act(plan->users, err);
	if (r == 0)
		r = pod_root_enter(plan->insecure_paths, plan->users, err);
	if (r < 0)
		return r;
	users_rest(plan->users);
	/* The host's root is gone at once, its unmounting then waits for an
	 * RCU grace period: an app sees for itself that it is (join_root() of
	 * app_process.c). */
	r = write_full(ready, NAMESPACES, 1);
	if (r < 0)
		return error_sys(err, -r, "report to stage1");
	r = mounts_leave_old(err);
	if (r < 0)
		return r;
	(void)setsid();
	(void)prctl(PR_SET_NAME, NAME, 0, 0, 0);
	if (sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		return error_sys(err, errno, "set the host name %s",
				 plan->hostname);
	r = set_up_network(plan, proc_sys, ready, err);
	if (r == 0)
		r = wipe_arguments(err);
	if (r == 0)
		r = users_enter(plan->users, 0, err);
	if (r < 0)
		return r;
	r = close_all_from(0, keep, 2);
	if (r < 0)
		return error_sys(err, -r, "close descriptors");
	/* Closed with all the others. */
	(void)TAKE_FD(proc_sys);
	r = drop_everything(plan->users, err);
	return r < 0 ? r : users_check_maker(plan->users, err);
}

/* What systemd's tools send to PID 1 of a container so that it ends:
 * systemd(1), "Signals".  Here they all mean the same. */
static void signals_make(sigset_t *ret)
{
	(void)sigemptyset(ret);
	(void)sigaddset(ret, SIGCHLD);
	(void)sigaddset(ret, SIGTERM);
	(void)sigaddset(ret, SIGINT);
	(void)sigaddset(ret, SIGRTMIN + 3);
	(void)sigaddset(ret, SIGRTMIN + 4);
}

/* Failing is forbidden from here on: our death ends the pod. */
__attribute__((__noreturn__)) static void reap_forever(int stage1)
{
	sigset_t set;

	signals_make(&set);
	for (;;) {
		siginfo_t info = {0};

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		/* Who is not in the pod has no number in it: an app does not
		 * end the others. */
		if (sigwaitinfo(&set, &info) > 0 && info.si_signo != SIGCHLD &&
		    info.si_code == SI_USER && info.si_pid == 0 && stage1 >= 0)
			(void)send(stage1, END, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
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
	if (!plan->passes_end)
		fd_close(&ready);
	reap_forever(ready);
}

/*
 * A scheduler that packs tasks leaves a new process behind its parent, which
 * has work for a millisecond: pod init begins on another processor, and may
 * run anywhere again when it has made its namespaces.
 */
static void start_elsewhere(struct pod_init *init)
{
	cpu_set_t others;
	int cpu = sched_getcpu();

	if (cpu < 0 ||
	    sched_getaffinity(0, sizeof(init->cpus), &init->cpus) < 0)
		return;
	others = init->cpus;
	CPU_CLR((size_t)cpu, &others);
	init->is_elsewhere =
		CPU_COUNT(&others) > 0 &&
		sched_setaffinity(init->pid, sizeof(others), &others) == 0;
}

static void allow_everywhere(struct pod_init *init)
{
	if (init->is_elsewhere)
		(void)sched_setaffinity(init->pid, sizeof(init->cpus),
					&init->cpus);
	init->is_elsewhere = false;
}

int pod_init_start(const struct pod_init_plan *plan, struct pod_init *ret,
		   struct error *err)
{
	cleanup_fd int ours = -EBADF;
	cleanup_fd int theirs = -EBADF;
	int pidfd = -EBADF, fds[2];
	/* Those of private users it makes itself: users_move(). */
	uint64_t flags = users_are_private(plan->users) ? 0
			 : plan->host_ipc		? CLONE_NEWUTS
					  : CLONE_NEWUTS | CLONE_NEWIPC;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS | flags,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_sys(err, errno, "create a socket pair");
	ours = fds[0];
	theirs = fds[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return error_sys(err, (int)-pid,
				 "create the namespaces of the pod");
	if (pid == 0) {
		fd_close(&ours);
		pod_init_child(plan, theirs);
	}
	*ret = (struct pod_init){
		.pidfd = pidfd,
		.pid = pid,
		.said = TAKE_FD(ours),
		.shares = pod_init_shares(plan->host_net, plan->host_ipc),
		.passes_end = plan->passes_end,
	};
	start_elsewhere(ret);
	return 0;
}

int pod_init_send_sysctls(struct pod_init *init, const struct strv *sysctls,
			  struct error *err)
{
	cleanup_strbuf struct strbuf message = STRBUF_INIT;
	uint32_t len = 0;
	int r;

	strbuf_add(&message, &len, sizeof(len));
	for (size_t i = 0; i < sysctls->n; i++)
		strbuf_add(&message, sysctls->v[i], strlen(sysctls->v[i]) + 1);
	if (message.len > SYSCTLS_MAX)
		return error_set(err, E2BIG, "the pod sets too many sysctls");
	len = (uint32_t)(message.len - sizeof(len));
	memcpy(message.buf, &len, sizeof(len));
	r = write_full(init->said, message.buf, message.len);
	/* One that died has said why, for wait_byte(). */
	return r < 0 && r != -EPIPE ? error_sys(err, -r, "set the sysctls") : 0;
}

/* Reads BYTE, or the error pod init sends instead. */
static int wait_byte(struct pod_init *init, char byte, struct error *err)
{
	union {
		char byte;
		struct error err;
	} message;
	ssize_t n = read_full(init->said, &message.byte, 1);

	if (n == 1 && message.byte == byte)
		return 0;
	if (n == 1)
		n += read_full(init->said, &message.byte + 1,
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
	allow_everywhere(init);
	init->has_namespaces = r == 0;
	return r;
}

bool pod_init_take_end(struct pod_init *init)
{
	char c;

	return recv(init->said, &c, 1, MSG_DONTWAIT) == 1 && c == END[0];
}

int pod_init_open_pts(struct pod_init *init, struct error *err)
{
	cleanup_free char *path =
		xasprintf("/proc/%d/root" POD_ROOT_PTS, (int)init->pid);
	int r = pod_init_wait_namespaces(init, err);
	int fd;

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_sys(err, errno, "open the pod's terminals") : fd;
}

int pod_init_wait_ready(struct pod_init *init, struct error *err)
{
	int r;

	if (init->is_ready)
		return 0;
	r = pod_init_wait_namespaces(init, err);
	if (r == 0)
		r = wait_byte(init, READY[0], err);
	init->is_ready = true;
	if (!init->passes_end)
		fd_close(&init->said);
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

	fd_close(&init->said);
	if (init->pidfd < 0)
		return;
	pod_init_doom(init);
	(void)process_wait(init->pidfd, &status);
	fd_close(&init->pidfd);
}
