/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/layer_progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "aci/image_fetcher.h"
#include "aci/layer_seen.h"
#include "base/alloc.h"
#include "base/error.h"

int layer_progress_open(struct layer_progress *p, struct image_fetcher *f,
			bool is_upload, size_t n, struct error *err)
{
	void *seen =
		mmap(NULL, (n + 1) * sizeof(*p->seen), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (seen == MAP_FAILED)
		return error_sys(err, errno, "share memory");
	*p = (struct layer_progress){
		.f = f,
		.is_upload = is_upload,
		.n = n,
		.seen = seen,
		.shown = xcalloc(n + 1, sizeof(*p->shown)),
		.n_told = xcalloc(n + 1, sizeof(*p->n_told)),
	};
	return 0;
}

void layer_progress_release(struct layer_progress *p)
{
	if (p->seen)
		(void)munmap(p->seen, (p->n + 1) * sizeof(*p->seen));
	free(p->shown);
	free(p->n_told);
}

/* What was too much for the ring is lost. */
static void tell(struct layer_progress *p, size_t i)
{
	const struct layer_seen *seen = &p->seen[i];
	unsigned int n = atomic_load(&seen->n_notes);
	char text[LAYER_NOTE_MAX];

	if (n - p->n_told[i] > LAYER_NOTES)
		p->n_told[i] = n - LAYER_NOTES;
	for (; p->n_told[i] != n; p->n_told[i]++) {
		const char *note = seen->notes[p->n_told[i] % LAYER_NOTES];

		(void)snprintf(text, sizeof(text), "%.*s", LAYER_NOTE_MAX - 1,
			       note);
		image_notice(p->f, "%s", text);
	}
}

static bool has_news(const struct layer_progress *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (atomic_load(&p->seen[i].n_notes) != p->n_told[i])
			return true;
	return false;
}

static void draw(struct layer_progress *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct layer_seen *seen = &p->seen[i];

		p->shown[i] = (struct image_progress){
			.what = seen->has_begun ? "layer" : NULL,
			.url = seen->digest,
			.done = seen->done,
			.total = seen->total,
			.resumed = seen->resumed,
			.ended = seen->has_ended,
			.is_one_of_many = true,
			.is_upload = p->is_upload,
		};
	}
	if (p->f->progress_all)
		p->f->progress_all(p->f->progress_arg, p->shown, p->n);
}

void layer_progress_show(void *arg)
{
	struct layer_progress *p = arg;

	/* Nothing may be written below a picture that is drawn again. */
	if (has_news(p) && p->f->progress_hide)
		p->f->progress_hide(p->f->progress_arg);
	for (size_t i = 0; i < p->n; i++)
		tell(p, i);
	draw(p);
}

void layer_progress_end(struct layer_progress *p)
{
	layer_progress_show(p);
	if (p->f->progress_all)
		p->f->progress_all(p->f->progress_arg, NULL, 0);
}
