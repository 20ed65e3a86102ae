/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CNI_EXEC_H
#define STAGE1_CNI_EXEC_H

/*
 * One run of a CNI plugin: an environment of its own, its configuration on
 * stdin (a memfd), its answer collected from a pipe, nothing else open but
 * our stderr and a lock.
 */

#include <errno.h>

struct error;
struct strbuf;

struct cni_call {
	const char *command; /* "ADD" or "DEL" */
	const char *path;    /* of the plugin */
	const char *container_id;
	const char *netns;
	const char *ifname;
	const char *args;
	const char *cni_path;
	const char *conf; /* stdin */
	int lock;	  /* stays open in it and in what it starts, or -1 */
};

struct cni_run {
	int pidfd;
	int out;
	char *name; /* of the plugin, for messages */
};

#define CNI_RUN_INIT                                                           \
	{                                                                      \
		.pidfd = -EBADF, .out = -EBADF, .name = NULL                   \
	}

#define CNI_TIMEOUT_MS 60000
#define CNI_STOP_MS 5000

/* Starts the plugin.  RUN must be CNI_RUN_INIT. */
int cni_run_start(const struct cni_call *call, struct cni_run *run,
		  struct error *err);

/*
 * Waits at most TIMEOUT_MS, then kills (-ETIMEDOUT); at most CNI_STOP_MS when
 * a signal is pending that asks stage1 to end.  The answer goes to
 * OUT; a plugin that failed gives -EIO with the text of its answer.  Ends RUN
 * in any case.
 */
int cni_run_finish(struct cni_run *run, int timeout_ms, struct strbuf *out,
		   struct error *err);

/*
 * Takes the lock FD when no plugin that was started with it runs any more;
 * waits as cni_run_finish() does, then -ETIMEDOUT.
 */
int cni_lock(int fd, int timeout_ms);

#endif
