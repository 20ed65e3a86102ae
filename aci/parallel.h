/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_PARALLEL_H
#define ACI_PARALLEL_H

/* Several things at a time, each in a process of its own that ends with us. */

#include <stddef.h>

struct error;

#define PARALLEL_MAX 4
#define PARALLEL_MS 100

/*
 * Calls WORK for 0 .. N-1, at most PARALLEL_MAX at a time, each in a child
 * process; what it writes to RESULTS + i * SIZE is there afterwards.  The
 * first error counts; what runs then is waited for.  With SIZE 0 RESULTS may
 * be NULL.
 */
int parallel_run(size_t n,
		 int (*work)(void *arg, size_t i, void *result,
			     struct error *err),
		 void *arg, void *results, size_t size, struct error *err);
/* The same without results; TICK is called in our process each PARALLEL_MS
 * while others work. */
int parallel_watch(size_t n,
		   int (*work)(void *arg, size_t i, void *result,
			       struct error *err),
		   void (*tick)(void *arg), void *arg, struct error *err);

#endif
