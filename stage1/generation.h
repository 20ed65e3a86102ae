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
	struct app_process handler;
	struct event_source handler_source;
	int mntns;	   /* kept from pre-start, and for post-stop */
	int output_fds[2]; /* writing ends of stdout and stderr */
	struct output_stream out, err;
	struct event_timer kill_timer;
	/* Looks again whether it may go on: may_start(). */
	struct event_timer wait_timer;

	struct generation *next; /* in pod->generations */
	bool has_frozen;	 /* tracing apps stand still because of us */
	bool is_frozen;		 /* and it is one of them */
	bool stop_sent;
	int exit_code; /* valid in POST_STOP and ENDED */
};

/*
 * Loads generations/APP/NUMBER over TREE_FD (taken), plans it and makes its
 * root, leaf and filters.
 */
int generation_new(struct pod_app *app, unsigned int number, int tree_fd,
		   const struct generation_ops *ops, struct generation **ret,
		   struct error *err);

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
 * Runs EXEC beside the main process of a RUNNING generation: in its
 * namespaces and with its privileges, except that it may not trace, in LEAF
 * and with /dev/null.  RET is the caller's.
 */
int generation_exec(struct generation *g, const struct strv *exec,
		    const struct cgroup_leaf *leaf, struct app_process *ret,
		    struct error *err);

/* HELD -> RUNNING: the main process executes. */
int generation_release(struct generation *g, struct error *err);

/*
 * SIGNAL to the main process; what is left of the generation after
 * TIMEOUT_MS is killed.  Works in every state; `ended` follows.
 */
void generation_stop(struct generation *g, int signal, uint64_t timeout_ms);

/* Kills everything at once and frees.  No callback follows. */
void generation_free(struct generation *g);

#endif
