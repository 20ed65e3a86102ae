/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_RUN_H
#define STAGE0_RUN_H

/*
 * From a prepared or exited pod to a running one: this process becomes
 * stage1, or leaves one behind (--detach).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"

struct error;
struct pod;
struct pod_manifest;
struct pod_stage1;
struct treestore;

/* What `stage1 run` is told; strings are borrowed, NULL = not given. */
struct pod_run_options {
	const char *net; /* the --net list as one value */
	const char *hostname;
	const char *ipc;
	const char *dns_mode; /* resolv=...,hosts=... */
	const char *log;
	const char *local_config;
	const char *system_config;
	bool is_mutable;
	bool mds_register;
	bool interactive;
	bool insecure_capabilities;
	bool insecure_paths;
	bool insecure_seccomp;
};

/* Its arguments, without program, UUID and those of one start alone: pure. */
void pod_run_args_make(const struct pod_run_options *o, struct strv *ret);

/* The arguments of the pod's last run, which stage1 keeps in the pod, less
 * those of one start alone: `rkt start` runs it the same way. */
int pod_run_args_load(int poddir_fd, struct strv *ret, struct error *err);

/* The root file systems to hand to stage1. */
struct pod_trees {
	struct strv apps;
	int *fds; /* O_PATH; the same length */
};

#define POD_TREES_INIT                                                         \
	{                                                                      \
		.fds = NULL                                                    \
	}

void pod_trees_release(struct pod_trees *trees);
#define cleanup_pod_trees __attribute__((__cleanup__(pod_trees_release)))

/* Opens the tree of each app's committed generation; apps that have their
 * own copy are left out. */
int pod_trees_open(int poddir_fd, const struct pod_manifest *pm,
		   const struct treestore *ts, struct pod_trees *ret,
		   struct error *err);
/* Takes FD. */
void pod_trees_add(struct pod_trees *trees, const char *app, int fd);

struct pod_start {
	const char *libexec_dir;
	const struct pod_stage1 *stage1;
	const struct strv *args; /* of pod_run_args_make() */
	/* Those of them that STAGE1 knows; NULL: all. */
	const struct strv *known_args;
	const struct pod_trees *trees;
	bool debug;
	bool detach;
};

/*
 * Starts stage1 for a locked pod in `run`.  Without detach it returns only
 * on failure.  With detach: 0 once the apps run; else the pod is down and
 * stage1 said why on stderr (-ECHILD), or it could not be executed.
 */
int pod_start(struct pod *pod, const struct pod_start *start,
	      struct error *err);

/* Removes what an earlier run of the exited, locked pod left: processes,
 * cgroups, networks, status files. */
int pod_reset(struct pod *pod, const char *libexec_dir, struct error *err);

#endif
