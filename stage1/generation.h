/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_GENERATION_H
#define STAGE1_GENERATION_H

/*
 * One running set of processes of an app: image, root, cgroup leaf, filter.
 *
 *	generation_new -> generation_start -> (pre-start) -> HELD
 *	generation_release -> RUNNING -> ended by itself or generation_stop
 *	-> (post-stop) -> ENDED -> generation_free
 *
 * HELD is fully prepared, one system call before execve.  The steps that
 * wait for a process are driven by the event loop and end in one of the
 * callbacks of struct generation_ops.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "spec/image_manifest.h"
#include "spec/pod_manifest.h"
#include "spec/service.h"
#include "stage1/app_process.h"
#include "stage1/event.h"
#include "stage1/output.h"
#include "stage1/plan.h"
#include "stage1/pod.h"
#include "stage1/rootfs.h"

/* SIGTERM to SIGKILL of an app when the pod stops. */
#define STOP_TIMEOUT_MS 10000

enum generation_state {
	GENERATION_NEW,
	GENERATION_PRE_START,
	GENERATION_PRE_STARTED, /* its main process waits for others */
	GENERATION_HELD,
	GENERATION_RUNNING,
	GENERATION_POST_STOP,
	GENERATION_ENDED,
};

/* Exit status of an app whose program could not be executed (systemd's and
 * so rkt's EXIT_EXEC). */
#define EXIT_EXEC_FAILED 203

struct generation_ops {
	/* Its seccomp listener is readable; source->data is it. */
	void (*notify)(struct event_source *source, uint32_t events);
	/* It stands at the barrier. */
	void (*held)(struct generation *g);
	/* It will never run: ERR says why.  State is ENDED. */
	void (*failed)(struct generation *g, const struct error *err);
	/* Its processes are past their last instruction, but not gone yet;
	 * may be NULL. */
	void (*ending)(struct generation *g);
	/* Its main process and its post-stop handler are over. */
	void (*ended)(struct generation *g);
};

struct json_node;
struct notify;
struct process_tree;
struct state_writer;

struct generation {
	struct pod_app *app;
	unsigned int number; /* of generations/APP/N */
	const struct generation_ops *ops;
	void *data; /* of whoever set ops */
	enum generation_state state;

	int dirfd;
	int tree_fd; /* image, kept for a restart of this generation */
	struct runtime_app runtime_app;
	struct image_manifest image;
	struct app_plan plan;
	struct service service; /* what its annotations say */
	struct rootfs rootfs;
	struct cgroup_leaf leaf;
	struct sock_fprog filter;	  /* with the notify rule */
	struct sock_fprog handler_filter; /* without; made when needed */

	struct app_process main;
	struct event_source main_source;     /* pidfd */
	struct event_source exec_source;     /* its exec_fd */
	struct event_source listener_source; /* seccomp notifications */
	/* The process that MAINPID= named, no child of ours: its end is the
	 * generation's.  -EBADF: main's is. */
	int adopted;
	pid_t adopted_pid; /* host number */
	struct event_source adopted_source;
	struct notify *notify; /* its notify socket */
	struct app_process handler;
	struct event_source handler_source;
	int mntns;	   /* kept from pre-start, and for post-stop */
	int tty_slave;	   /* its own terminal's, or -EBADF */
	int stdin_fd;	   /* a pipe it reads, or -EBADF */
	int input_fd;	   /* our end of either; does not block */
	int output_fds[2]; /* writing ends of stdout and stderr */
	struct output_stream out, err, tty;
	struct event_timer kill_timer;
	/* Looks again whether it may go on: may_start(). */
	struct event_timer wait_timer;

	struct generation *next; /* in pod->generations */
	bool has_frozen;	 /* tracing apps stand still because of us */
	bool is_frozen;		 /* and it is one of them */
	bool stop_sent;
	bool has_closed_devices; /* the policy of its leaf is in force */
	uint64_t mount_ns;	 /* its number; 0: not known */
	bool has_udp;		 /* it asked for a UDP port */
	bool may_uring; /* it may bind without our seeing it: unseen.h */
	int exit_code;	/* valid in POST_STOP and ENDED */
};

/*
 * Loads generations/APP/NUMBER over TREE_FD (taken), plans it and makes its
 * root, leaf and filters.
 */
int generation_new(struct pod_app *app, unsigned int number, int tree_fd,
		   const struct generation_ops *ops, struct generation **ret,
		   struct error *err);

/*
 * The processes of G: those of its control group.  Where it has none (without
 * root, unless one is delegated) those that its main process and theirs have
 * begun; and of those whose parents have ended, which are the pod init's now,
 * the ones in its mount namespace.
 */
int generation_processes(const struct generation *g, struct process_tree *ret,
			 struct error *err);

/* SIGKILL to all of them. */
void generation_kill(const struct generation *g);

/* An app that may trace others (CAP_SYS_PTRACE): nothing may be started in
 * the pod while it runs unhindered. */
bool generation_can_trace(const struct generation *g);

/*
 * Runs pre-start, then brings the main process to the barrier.  An app that
 * may trace others runs its handlers while nobody stands at a barrier: other
 * apps wait for its pre-start, so all generations of a pod that starts must
 * be there before the first is started.
 */
int generation_start(struct generation *g, struct error *err);

/*
 * For several that are to be started: begins what generation_start() then
 * waits for, if nothing is to come before it.  So they prepare themselves at
 * the same time.
 */
int generation_begin(struct generation *g, struct error *err);

/*
 * Runs EXEC beside the main process of a RUNNING generation: in its
 * namespaces and with its privileges, except that it may not trace, in LEAF
 * and with /dev/null.  RET is the caller's.
 */
int generation_exec(struct generation *g, const struct strv *exec,
		    const struct cgroup_leaf *leaf, struct app_process *ret,
		    struct error *err);

/* Its main process is about to be gone: `ended` follows. */
bool generation_is_ending(const struct generation *g);

/* HELD -> RUNNING: the main process executes. */
int generation_release(struct generation *g, struct error *err);
/* Waits until it executes, or cannot. */
void generation_wait_exec(struct generation *g);
/* Why its program could not be executed, which failed with CODE. */
void generation_diagnose(struct generation *g, int code, struct error *err);

/* PIDFD (taken), with host number PID, is the main process from now on;
 * -EBADF: the one that was started is again.  The generation is RUNNING. */
void generation_adopt(struct generation *g, int pidfd, pid_t pid);

/*
 * SIGNAL to the main process; what is left of the generation after
 * TIMEOUT_MS is killed.  Works in every state; `ended` follows.
 */
void generation_stop(struct generation *g, int signal, uint64_t timeout_ms);

/* --- its notify socket: stage1/notify.c -------------------------------------
 */

/* Makes the socket in its /dev, the directory DEV. */
int generation_notify_open(struct generation *g, int dev, struct error *err);
void generation_notify_close(struct generation *g);
/* For another supervisor (stage1/state.h). */
void generation_notify_save(const struct generation *g, struct state_writer *w,
			    const char *key);
int generation_notify_restore(struct generation *g,
			      const struct json_node *node, struct error *err);
/* Reads what is there: when the main process has ended, its last words
 * count. */
void generation_notify_drain(struct generation *g);
/* Its main process executes: the watchdog may begin. */
void generation_notify_released(struct generation *g);
/* It is its app's: what it has said is what rkt status shows. */
void generation_notify_serves(struct generation *g);
/* It is being stopped, or has ended: no watchdog any more. */
void generation_notify_ending(struct generation *g);

/* --- what its process inherits: stage1/listen_fds.c -------------------------
 */

/*
 * Gives its main process, which stands at its barrier, what is the pod's by
 * sd_listen_fds(3): the sockets of its socketActivated ports, then its fd
 * store, at 3 and up; and the variables that belong to its process number.
 */
int generation_give(struct generation *g, struct error *err);

/* Kills everything at once and frees.  No callback follows. */
void generation_free(struct generation *g);

#endif
