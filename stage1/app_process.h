/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_APP_PROCESS_H
#define STAGE1_APP_PROCESS_H

/*
 * One process of an app: the main process, an event handler, an exec probe,
 * or what `rkt enter` runs.  It is a child of the caller in the pod's pid
 * namespace, born in the app's cgroup.
 *
 * The child's order (each step is a function in app_process_child.c):
 *   leaf and cgroup namespace, bounding set; then, with the pod there, its
 *   namespaces, root (built or joined), ids looked up in it, stdio, user
 *   namespace, groups and gid, uid with capabilities kept, CAP_SYS_ADMIN
 *   alone raised, filter, barrier, execve.
 * After the filter nothing but bind and execve is called, because the app's
 * filter may allow nothing else.
 *
 * Barrier: with a listener the child stops in bind(-1, ...) until
 * app_process_release(): fully prepared, not yet executed.
 */

#include <errno.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct app_plan;
struct cgroup_leaf;
struct error;
struct pod_init;
struct rlimit;
struct rootfs;
struct strv;
struct users;

struct app_process_request {
	const struct app_plan *plan;
	const struct strv *exec;
	const struct strv *env;
	/* The root to build, or NULL to join mount namespace mntns. */
	const struct rootfs *rootfs;
	int mntns;
	struct pod_init *init;	   /* its namespaces are joined */
	int own_pidns;		   /* of the caller, to come back to */
	const struct users *users; /* the pod's; entered before its ids are */
	/* Something in the leaf was killed by cgroup.kill: a process cloned
	 * into it would be, too (Linux 6.18 still compares the kill count of
	 * the parent's group with that of the new one).  Join by writing. */
	bool killed_leaf;
	const struct cgroup_leaf *leaf;
	const struct sock_fprog *filter;
	bool keep_mntns; /* open its mount namespace, to join it later */
	bool listener;	 /* filter has the notify rule: stop at the barrier */
	bool as_root;	 /* `rkt enter`: uid and gid 0 whatever the plan says */
	/* RLIM_NLIMITS of them; what exceeds the caller's is cut if he may not
	 * raise those.  NULL: the caller's. */
	const struct rlimit *limits;
	int stdio[3];	/* become the child's; -EBADF = /dev/null of the app */
	bool own_stdio; /* fchown() the pipes to the app's user */
	bool tty;	/* the terminal of stdio becomes the controlling one */
	/* Called, unless NULL, while the new process PID prepares itself,
	 * which takes longer: nothing of the app has run yet.  If it fails,
	 * nothing will. */
	int (*meanwhile)(void *data, pid_t pid, struct error *err);
	void *data;
};

struct app_barrier; /* memory shared with the child */

struct app_process {
	int pidfd;
	pid_t pid;     /* host number */
	pid_t pod_pid; /* in the pod's pid namespace */
	int listener;  /* seccomp notifications; -EBADF without */
	int mntns;     /* its mount namespace, if it is to be kept */
	struct app_barrier *barrier;
	uint64_t held; /* id of the notification that is the barrier */
	int exec_fd;   /* at its end once the program executes */
	bool has_barrier, keeps_mntns; /* what was asked for */
};

#define APP_PROCESS_INIT                                                       \
	{                                                                      \
		.pidfd = -EBADF, .listener = -EBADF, .mntns = -EBADF,          \
		.exec_fd = -EBADF                                              \
	}

/*
 * Starts the process and returns when it stands at the barrier (listener) or
 * executes its program.  What went wrong in the child is the error here.
 */
int app_process_start(const struct app_process_request *req,
		      struct app_process *ret, struct error *err);

/*
 * The same in two parts: between them the process prepares itself, beside
 * others.  Where the second fails, the process is gone.
 */
int app_process_begin(const struct app_process_request *req,
		      struct app_process *ret, struct error *err);
int app_process_finish(struct app_process *process, struct error *err);

/*
 * For a process at the barrier: puts N descriptors at 3, 4, ... of what it
 * executes, and adds ENV (NAME=VALUE) to its environment.  What is not known
 * before the process is prepared comes to it this way.  -E2BIG: too many
 * variables, or too long ones.
 */
int app_process_give(struct app_process *process, const int *fds, size_t n,
		     const struct strv *env, struct error *err);

/* The user and group a process that was prepared has, as the host numbers
 * them. */
void app_process_owner(const struct app_process *process, uid_t *ret_uid,
		       gid_t *ret_gid);

/* Lets a process at the barrier execute. */
int app_process_release(struct app_process *process, struct error *err);

/* Waits until a released process executes its program (or has died). */
void app_process_wait_exec(struct app_process *process);

/* True if the process has died because execve failed: *ret_errno is why. */
bool app_process_exec_failed(const struct app_process *process, int *ret_errno);

/* Closes descriptors and frees; the process itself is not touched. */
void app_process_close(struct app_process *process);

#endif
