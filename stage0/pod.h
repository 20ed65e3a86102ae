/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_H
#define STAGE0_POD_H

/*
 * Pods on disk: DATA/pods/PHASE/UUID/ and DATA/names/NAME -> UUID.
 *
 * A pod's state is the directory it is in and whether somebody holds flock(2)
 * on it; nothing else, so a kill at any instant leaves a state that means
 * something and that pod_gc() or the next command settles:
 *
 *	directory       locked             unlocked
 *	embryo          -                  embryo (killed while being made)
 *	prepare         preparing          aborted prepare
 *	prepared        -                  prepared
 *	run             running            exited
 *	exited-garbage  exited deleting    exited garbage
 *	garbage         deleting           garbage
 *
 * Moves are rename(2) under the lock.  Moves of named pods are synced;
 * anonymous ones are not worth a disk's write.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/uuid.h"

struct error;

enum pod_dir {
	POD_EMBRYO,
	POD_PREPARE,
	POD_PREPARED,
	POD_RUN,
	POD_EXITED_GARBAGE,
	POD_GARBAGE,
	POD_DIR_MAX
};

enum pod_state {
	POD_STATE_EMBRYO,
	POD_STATE_PREPARING,
	POD_STATE_ABORTED_PREPARE,
	POD_STATE_PREPARED,
	POD_STATE_RUNNING,
	POD_STATE_EXITED,
	POD_STATE_EXITED_DELETING,
	POD_STATE_EXITED_GARBAGE,
	POD_STATE_DELETING,
	POD_STATE_GARBAGE,
};

/* The data directory; nothing is made in it before pod_new(). */
struct pods {
	const char *dir; /* borrowed */
	int data_fd;	 /* O_PATH of it; -EBADF when it does not exist */
};

#define PODS_INIT                                                              \
	{                                                                      \
		.data_fd = -EBADF                                              \
	}

/* A missing directory is no error: there are no pods then. */
int pods_open(struct pods *ret, const char *dir, struct error *err);
void pods_close(struct pods *pods);
#define cleanup_pods __attribute__((__cleanup__(pods_close)))

struct pod {
	const struct pods *pods; /* borrowed, outlives the pod */
	char uuid[UUID_TEXT_LEN + 1];
	enum pod_dir dir;
	int fd;	     /* the directory: what is locked, what is read */
	bool locked; /* exclusively, by us; the lock ends with the last
		      * duplicate of fd */
};

#define POD_INIT                                                               \
	{                                                                      \
		.fd = -EBADF                                                   \
	}

void pod_close(struct pod *pod);
#define cleanup_pod __attribute__((__cleanup__(pod_close)))

/* "prepare", ...: the directory's name. */
const char *pod_dir_name(enum pod_dir dir);
/* "aborted prepare", ...: rkt's words. */
const char *pod_state_text(enum pod_state state);

/* --- finding ---------------------------------------------------------------
 */

/*
 * The pod WORD means: a name given by --pod-name, a UUID, or a prefix of one
 * UUID (any case).  Pods being made or deleted are not looked at.  The full
 * UUID costs one open.  -ENOENT "no matches found for ...", -EINVAL
 * "ambiguous uuid, N matches".
 */
int pod_open(const struct pods *pods, const char *word, struct pod *ret,
	     struct error *err);

/* The pod UUID in the directory DIR. */
int pod_open_in(const struct pods *pods, enum pod_dir dir, const char *uuid,
		struct pod *ret, struct error *err);

/* UUIDs in DIR, sorted, appended to RET. */
int pods_list(const struct pods *pods, enum pod_dir dir, struct strv *ret,
	      struct error *err);

/* UUIDs of all pods that pod_open() looks at, sorted. */
int pods_list_shown(const struct pods *pods, struct strv *ret,
		    struct error *err);

/* From directory and lock, now.  The lock is looked at without taking it
 * from anyone who waits. */
enum pod_state pod_state(const struct pod *pod);

/* --- making and moving -----------------------------------------------------
 */

/* A new pod in `prepare`, locked; makes the data directory if missing. */
int pod_new(struct pods *pods, struct pod *ret, struct error *err);

/* Takes the exclusive lock; -EBUSY if it is another's, -ESTALE if the pod
 * moved meanwhile. */
int pod_lock(struct pod *pod, struct error *err);

/* Moves to DIR; the lock must be held.  SYNC makes it last a power cut. */
int pod_move(struct pod *pod, enum pod_dir dir, bool sync, struct error *err);

/* --- names -----------------------------------------------------------------
 */

/* The UUID behind NAME into RET (UUID_TEXT_LEN + 1); -ENOENT. */
int pod_name_lookup(const struct pods *pods, const char *name, char *ret,
		    struct error *err);
/* Gives NAME to the pod, durably.  -EEXIST if another pod has it. */
int pod_name_set(struct pod *pod, const char *name, struct error *err);
/* Takes the pod's name away, if it has one. */
int pod_name_clear(struct pod *pod, struct error *err);
/* malloc'ed; NULL for an anonymous pod. */
char *pod_name_get(const struct pod *pod);

#endif
