/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_JOURNAL_H
#define STAGE1_JOURNAL_H

/*
 * update.journal: a line (spec/history.h) a state of the running transaction,
 * each synced before the next step is taken.
 * When the transaction is over a line for each app is appended to `history`
 * and the journal is removed.  A journal that is there when a pod starts
 * belongs to a stage1 that was killed: appsinfo/APP points to the committed
 * generation, and journal_recover() notes which one that is.  A torn last
 * line never counts.
 */

#include <stdbool.h>
#include <stddef.h>

#include "spec/stage1_abi.h"

struct error;
struct history_event;

/*
 * Before the first line: room on the disk for the lines of N apps, in the
 * journal and in `history`, so that a disk that fills up meanwhile does not
 * keep a transaction from its end.  Failing here has left no journal.
 */
int journal_reserve(int pod_dirfd, size_t n, struct error *err);

int journal_append(int pod_dirfd, const struct history_event *event,
		   struct error *err);

/* Appends what the journal says (history_close_make()) to `history` and removes
 * it.  Synced. */
int journal_close(int pod_dirfd, struct error *err);

/* Makes appsinfo/APP point to generation NUMBER: one rename, synced. */
int journal_commit(int pod_dirfd, const char *app, unsigned int number,
		   struct error *err);

/* The generation appsinfo/APP points to; 0 if that cannot be said. */
unsigned int journal_committed(int pod_dirfd, const char *app);

/* True if generation NUMBER serves or served: one may go back to it. */
bool journal_has_run(int pod_dirfd, const char *app, unsigned int number);

/* Removes generations/APP/NUMBER unless it has run. */
int journal_discard(int pod_dirfd, const char *app, unsigned int number,
		    struct error *err);

/*
 * Removes the generations of APP that are neither the committed one nor among
 * those that the pod keeps (POD_KEEP_FILE) and that came before it; with them
 * goes what holds their images in the store.
 */
int journal_set_keep(int pod_dirfd, unsigned int n, struct error *err);
int journal_collect(int pod_dirfd, const char *app, struct error *err);

/*
 * Settles a journal of a transaction that is over: at a pod's start what a
 * killed stage1 left, with KILLED; later one that could not be closed.  With
 * KILLED what never ran is removed.
 */
int journal_recover(int pod_dirfd, bool killed, struct error *err);

#endif
