/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CGROUP_H
#define STAGE1_CGROUP_H

/*
 * Control groups of one pod, on v1, v2 and hybrid hosts, decided for each
 * controller by itself (Documentation/admin-guide/cgroup-v1, cgroup-v2.rst).
 *
 * The pod's directory is BASE/rkt/UUID in each hierarchy used; BASE is the
 * cgroup of this process where systemd delegated it (xattr trusted.delegate
 * or user.delegate), else the root of the hierarchy.  Every app generation
 * has one leaf below it.  The leaf in the unified tree exists wherever
 * cgroup2 is mounted writable, also without controllers: it is what tracks,
 * kills, freezes and carries the device policy.  v1 directories are made
 * only for a limit that needs one.
 *
 * What cannot be applied never fails a pod.  It becomes a row "NAME: REASON"
 * in a struct strv, NAME being the isolator's.
 *
 * Order of calls that survives a kill at any point: cgroup_open() changes
 * nothing; write cgroup_dirs() to the pod's file `cgroup`; then make leaves.
 * `stage1 gc` hands that file to cgroup_remove_dirs().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "stage1/cgroup_layout.h"
#include "stage1/cgroup_limits.h"
#include "stage1/cgroup_remove.h"

struct error;
struct json_node;
struct state_writer;

/* --- a pod's groups --------------------------------------------------------
 */

struct cgroup;

/* Looks where the groups of pod UUID go; changes nothing. */
int cgroup_open(const char *uuid, struct cgroup **ret, struct error *err);
/*
 * The same for a pod that has its groups already: DIRS are the lines of its
 * file `cgroup`, and no other directory is used.  Where we are ourselves
 * (`rkt enter` is not in the pod's unit) does not matter, and the directory
 * of a pod that has ended meanwhile is not made again.
 */
int cgroup_open_pod(const char *uuid, const struct strv *dirs,
		    struct cgroup **ret, struct error *err);
/*
 * For a supervisor that goes on where another one was (stage1/state.h): it has
 * been moved since into another group, so DIRS say where the pod's are, and
 * what is missing of them is still made.
 */
void cgroup_save(const struct cgroup *cg, struct state_writer *w,
		 const char *key);
int cgroup_restore(const struct json_node *node, const char *uuid,
		   const struct strv *dirs, struct cgroup **ret,
		   struct error *err);
void cgroup_free(struct cgroup *cg);
DEFINE_CLEANUP(struct cgroup *, cgroup_free);
#define cleanup_cgroup cleanup_with(cgroup_free_cleanup)

/*
 * Absolute pod directories that may come into being, for the pod's file
 * `cgroup`; the unified one, if any, first.
 */
void cgroup_dirs(const struct cgroup *cg, struct strv *ret);

/*
 * Limits of the whole pod, above those of its leaves.  Must come before the
 * first leaf.  Rows of what could not be applied are added to IGNORED.
 */
int cgroup_limit_pod(struct cgroup *cg, const struct cgroup_limits *limits,
		     struct strv *ignored, struct error *err);

/* --- leaves ----------------------------------------------------------------
 */

struct cgroup_leaf {
	char *name; /* NULL: not made */
	char *why;  /* reason for dirfd -EBADF, NULL otherwise */
	int dirfd;  /* unified, for CLONE_INTO_CGROUP;
		     * -EBADF: no unified tree to use */
	int v1_dir[CGROUP_CONTROLLERS]; /* -EBADF where not entered */
	int v1_tasks[CGROUP_CONTROLLERS];
};

#define CGROUP_LEAF_INIT                                                       \
	{                                                                      \
		.dirfd = -EBADF,                                               \
		.v1_dir = {-EBADF, -EBADF, -EBADF, -EBADF, -EBADF},            \
		.v1_tasks = {-EBADF, -EBADF, -EBADF, -EBADF, -EBADF},          \
	}

/*
 * Makes the leaf NAME ("app.1", "init") with LIMITS (NULL: none).  Fails
 * only when NAME exists already (-EEXIST); everything else is a row in
 * IGNORED, and without any usable tree the leaf just has dirfd -EBADF.
 * LEAF must be CGROUP_LEAF_INIT.
 */
int cgroup_leaf_make(struct cgroup *cg, const char *name,
		     const struct cgroup_limits *limits,
		     struct cgroup_leaf *leaf, struct strv *ignored,
		     struct error *err);

/*
 * Opens an existing leaf to join or to control it, from the lines of the
 * pod's file `cgroup` alone (rkt enter, a second supervisor).  -ENOENT when
 * no directory has it.
 */
int cgroup_leaf_open(const struct strv *dirs, const char *name,
		     struct cgroup_leaf *leaf, struct error *err);

/*
 * Opens, making it if missing, the leaf's directory of a v1 controller, so
 * that cgroup_leaf_join() enters it, too.  -ENOTSUP when the host has no
 * such v1 hierarchy.  Returns the directory descriptor, owned by LEAF.
 */
int cgroup_leaf_v1(struct cgroup *cg, struct cgroup_leaf *leaf,
		   enum cgroup_controller which, struct error *err);

/*
 * Called by the app's process itself, single-threaded, before exec: enters
 * the v1 groups of LEAF by writing to their `tasks`.  A thread that moves
 * itself takes no global lock (Linux 5.5), so this costs microseconds where
 * a write to cgroup.procs waits 5-8 ms for an RCU grace period.  The unified
 * group is entered by CLONE_INTO_CGROUP.
 */
int cgroup_leaf_join(const struct cgroup_leaf *leaf, struct error *err);

/* Moves the single-threaded process PID into the v1 group of controller WHICH
 * that LEAF has, if it has one. */
int cgroup_leaf_add(const struct cgroup_leaf *leaf,
		    enum cgroup_controller which, pid_t pid, struct error *err);

/* Moves the calling process into the unified group as well: for those that
 * were not cloned into it.  Includes cgroup_leaf_join(). */
int cgroup_leaf_enter(const struct cgroup_leaf *leaf, struct error *err);

/* SIGKILL to everything below the leaf (cgroup.kill, Linux 5.14; else frozen
 * and one by one).  -ENOTSUP without any group to look at. */
int cgroup_leaf_kill(const struct cgroup_leaf *leaf, struct error *err);
/* Freezes or thaws; waits up to TIMEOUT_MS until it is so (-ETIMEDOUT). */
int cgroup_leaf_freeze(const struct cgroup_leaf *leaf, bool frozen,
		       int timeout_ms, struct error *err);

/* Closes the descriptors; the groups stay. */
void cgroup_leaf_release(struct cgroup_leaf *leaf);

/* Removes the leaf's directories; waits at most some 100 ms for processes
 * that are just dying (-EBUSY).  Releases LEAF in any case. */
int cgroup_leaf_remove(struct cgroup *cg, struct cgroup_leaf *leaf,
		       struct error *err);

/* Kills what is left, removes every directory of the pod that was made
 * through CG and, when empty, the `rkt` above it. */
int cgroup_remove(struct cgroup *cg, struct error *err);
#endif
