/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_GENERATION_IMPL_H
#define STAGE1_GENERATION_IMPL_H

/*
 * What the parts of a generation share: stage1/generation.c drives its
 * processes, stage1/generation_make.c makes what they run in.  Nobody else
 * includes this.
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;
struct generation;
struct strv;

/* Loads and plans G, and makes its root, leaf, notify socket and filter. */
int generation_make(struct generation *g, struct error *err);

/*
 * Lets G's leaf, and with it the process PID in it (0: none yet), use the
 * devices of its policy alone; once.
 */
int generation_close_devices(struct generation *g, pid_t pid,
			     struct error *err);

/* NOTIFY: bind(2) is asked about.  NOTES (or NULL) gets what the filter
 * cannot do. */
int generation_make_filter(struct generation *g, bool notify,
			   struct sock_fprog *ret, struct strv *notes,
			   struct error *err);

#endif
