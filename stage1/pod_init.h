/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_POD_INIT_H
#define STAGE1_POD_INIT_H

/*
 * Pod init: PID 1 of the pod's pid namespace and owner of its ipc, uts and
 * net namespaces.  It reaps orphans, dies with stage1 (PDEATHSIG) and takes
 * every process of the pod with it.  Nothing in it is worth having: before
 * any app starts it has a read-only root of its own (pod_root.h), no
 * descriptor, no capability, and is not dumpable.  Only that of a machine
 * (machine.h) has one: the socket it says on that the host asks for the pod's
 * end.
 */

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;
struct strv;
struct users;

struct pod_init {
	int pidfd;
	pid_t pid; /* host number */
	/* Socket: NAMESPACES when they are made and filled, READY when it is
	 * hardened, a struct error instead of either; then, if it passes the
	 * end on, a byte each time somebody outside of the pod sends it one of
	 * the signals systemd ends containers with.  -EBADF: it does not. */
	int said;
	/* CLONE_NEW* of the namespaces that are the host's. */
	int shares;
	bool passes_end;
	bool is_ready;
	bool has_namespaces;
	bool is_elsewhere; /* kept off one of these until it has */
	cpu_set_t cpus;
};

#define POD_INIT_INIT                                                          \
	{                                                                      \
		.pidfd = -EBADF, .said = -EBADF                                \
	}

struct pod_init_plan {
	const char *hostname;
	bool host_net; /* share the caller's network namespace */
	int netns;     /* join this one instead of a new one, or -EBADF */
	bool host_ipc;
	bool insecure_paths; /* see pod_root_enter() */
	const struct users *users;
	bool passes_end; /* to stage1, when the host asks for it */
	int selffd;	 /* closed at once, so that the caller's is the last */
};

static inline int pod_init_shares(bool host_net, bool host_ipc)
{
	return (host_net ? CLONE_NEWNET : 0) | (host_ipc ? CLONE_NEWIPC : 0);
}

/* Starts pod init; returns before it is hardened, and before its network
 * namespace and its root are there. */
int pod_init_start(const struct pod_init_plan *plan, struct pod_init *ret,
		   struct error *err);

/* Tells it which sysctls to set: rows "net/x/y=value".  Once, and needed unless
 * host_net: it waits for them. */
int pod_init_send_sysctls(struct pod_init *init, const struct strv *sysctls,
			  struct error *err);

/* Waits for that: must be called before any namespace is joined. */
int pod_init_wait_namespaces(struct pod_init *init, struct error *err);

/* The pod's devpts: a directory descriptor.  Waits for the namespaces. */
int pod_init_open_pts(struct pod_init *init, struct error *err);

/* Waits until it is: must be called before any app is let go. */
int pod_init_wait_ready(struct pod_init *init, struct error *err);

/* `said` can be read: true if that is that the pod shall end.  False: it is
 * dead. */
bool pod_init_take_end(struct pod_init *init);

/* Kills it, and so everything in the pod, without waiting for it. */
void pod_init_doom(struct pod_init *init);

/* The same; returns when all of it is gone. */
void pod_init_kill(struct pod_init *init);

#endif
