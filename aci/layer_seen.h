/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_LAYER_SEEN_H
#define ACI_LAYER_SEEN_H

/* How far a process is that fetches or pushes one layer beside others: in
 * memory that it shares with the one that waits for it (layer_progress.h). */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/oci_digest.h"

struct http_progress;

#define LAYER_NOTES 4
#define LAYER_NOTE_MAX 512 /* with the NUL */

/* Written by the layer's process alone. */
struct layer_seen {
	char digest[OCI_DIGEST_MAX];
	uint64_t done, total, resumed; /* bytes */
	bool has_begun, has_ended;
	/* What the user is to be told, number i in notes[i % LAYER_NOTES]. */
	atomic_uint n_notes;
	char notes[LAYER_NOTES][LAYER_NOTE_MAX];
};

/* Of notes that come faster than they are looked at the oldest are lost. */
void layer_seen_note(struct layer_seen *seen, const char *text);
void layer_seen_progress(struct layer_seen *seen,
			 const struct http_progress *progress);
void layer_seen_end(struct layer_seen *seen);

#endif
