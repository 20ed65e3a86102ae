/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/layer_seen.h"

#include <stdio.h>

#include "aci/http.h"

void layer_seen_note(struct layer_seen *seen, const char *text)
{
	unsigned int n = atomic_load(&seen->n_notes);

	(void)snprintf(seen->notes[n % LAYER_NOTES], LAYER_NOTE_MAX, "%s",
		       text);
	atomic_store(&seen->n_notes, n + 1);
}

void layer_seen_progress(struct layer_seen *seen,
			 const struct http_progress *progress)
{
	seen->done = progress->done;
	seen->resumed = progress->resumed;
	seen->has_begun = true;
}

void layer_seen_end(struct layer_seen *seen)
{
	if (!seen->has_begun)
		return;
	seen->done = seen->total;
	seen->has_ended = true;
}
