/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_LAYER_PROGRESS_H
#define ACI_LAYER_PROGRESS_H

/*
 * Layers that are fetched or pushed by a process each (parallel.h), seen by
 * the one that waits for them: in shared memory, as what many processes write
 * to one terminal is no picture of anything.
 */

#include <stdbool.h>
#include <stddef.h>

struct error;
struct image_fetcher;
struct image_progress;
struct layer_seen;

struct layer_progress {
	struct image_fetcher *f;
	bool is_upload;
	size_t n;
	struct layer_seen *seen; /* shared */
	struct image_progress *shown;
	unsigned int *n_told; /* of each one's notes */
};

/* Before the processes are made. */
int layer_progress_open(struct layer_progress *p, struct image_fetcher *f,
			bool is_upload, size_t n, struct error *err);
void layer_progress_release(struct layer_progress *p);
#define cleanup_layer_progress cleanup_with(layer_progress_release)

/* In the one that waits, ARG being a struct layer_progress: again and again,
 * and once when all have ended. */
void layer_progress_show(void *arg);
void layer_progress_end(struct layer_progress *p);

#endif
