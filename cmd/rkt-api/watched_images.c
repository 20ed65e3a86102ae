/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/watched_images.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aci/imagestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "cmd/rkt-api/messages.h"
#include "cmd/rkt-api/service.h"

#define BLOB_SUFFIX ".tar"
/* A blob is there before its row: how long we look for that unasked. */
#define PAUSE_MS 100
#define TRIES_MAX 50

struct watched_image {
	struct image_id id;
	char *name;	    /* NULL: not known yet */
	unsigned int tries; /* to learn it */
};

struct watched_images {
	const struct service *service;
	void (*tell)(void *data, const struct watch_event *event);
	void *data;
	bool is_telling;
	struct watched_image *v;
	size_t n, room;
	size_t n_nameless;
};

DEFINE_CLEANUP(struct imagestore *, imagestore_free);
#define cleanup_imagestore cleanup_with(imagestore_free_cleanup)

struct watched_images *
watched_images_new(const struct service *s,
		   void (*tell)(void *data, const struct watch_event *event),
		   void *data)
{
	struct watched_images *w = xcalloc(1, sizeof(*w));

	*w = (struct watched_images){.service = s, .tell = tell, .data = data};
	return w;
}

void watched_images_tell(struct watched_images *w)
{
	w->is_telling = true;
}

static void tell(const struct watched_images *w,
		 const struct watched_image *image, enum api_event_type type)
{
	char id[SHOWN_ID_SIZE];

	show_id(image->id.text, id);
	if (w->is_telling)
		w->tell(w->data,
			&(const struct watch_event){
				.facts = {.type = type,
					  .id = id,
					  .from = image->name ? image->name
							      : "",
					  .time = time(NULL)}});
}

/* --- images ----------------------------------------------------------------
 */

static struct watched_image *find(const struct watched_images *w,
				  const char *id)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->v[i].id.text, id) == 0)
			return &w->v[i];
	return NULL;
}

static struct watched_image *add(struct watched_images *w,
				 const struct image_id *id)
{
	if (w->n == w->room) {
		w->room = w->room * 2 + 16;
		w->v = xreallocarray(w->v, w->room, sizeof(*w->v));
	}
	w->v[w->n] = (struct watched_image){.id = *id};
	w->n_nameless++;
	return &w->v[w->n++];
}

static void take_away(struct watched_images *w, struct watched_image *image)
{
	/* What nobody was told of goes untold. */
	if (image->name)
		tell(w, image, API_EVENT_IMAGE_REMOVED);
	else
		w->n_nameless--;
	free(image->name);
	*image = w->v[--w->n];
}

static void take_name(struct watched_images *w, struct watched_image *image,
		      const char *name)
{
	image->name = xstrdup(name);
	w->n_nameless--;
	tell(w, image, API_EVENT_IMAGE_IMPORTED);
}

/* --- looking ---------------------------------------------------------------
 */

void watched_images_find(struct watched_images *w)
{
	cleanup_imagestore struct imagestore *store = NULL;
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;

	if (service_open_store(w->service, &store, NULL) < 0 ||
	    imagestore_list(store, NULL, &rows, NULL) < 0)
		return;
	for (size_t i = 0; i < rows.n; i++) {
		struct watched_image *image = find(w, rows.v[i].id);
		struct image_id id;

		if (!image && image_id_parse(rows.v[i].id, &id, NULL) == 0)
			image = add(w, &id);
		if (image && !image->name)
			take_name(w, image, rows.v[i].name);
	}
}

/* Without a row for long, it is an image that nobody finds by its name. */
static void learn_name(struct watched_images *w, struct imagestore *store,
		       struct watched_image *image)
{
	cleanup_image_row struct image_row row = {0};

	if (imagestore_get(store, &image->id, &row, NULL) == 0)
		take_name(w, image, row.name);
	else if (++image->tries > TRIES_MAX)
		take_name(w, image, "");
}

static void learn_names(struct watched_images *w)
{
	cleanup_imagestore struct imagestore *store = NULL;

	if (w->n_nameless == 0 ||
	    service_open_store(w->service, &store, NULL) < 0)
		return;
	for (size_t i = 0; i < w->n && w->n_nameless > 0; i++)
		if (!w->v[i].name)
			learn_name(w, store, &w->v[i]);
}

/* Whatever has changed may be the table; and after a pause all the same. */
void watched_images_run(struct watched_images *w)
{
	learn_names(w);
}

int watched_images_timeout(const struct watched_images *w)
{
	return w->n_nameless > 0 ? PAUSE_MS : INT_MAX;
}

void watched_images_changed(struct watched_images *w, const char *file,
			    bool is_new)
{
	size_t len = strlen(file);
	struct watched_image *image;
	struct image_id id;

	if (len != IMAGE_ID_LEN + sizeof(BLOB_SUFFIX) - 1 ||
	    strcmp(file + IMAGE_ID_LEN, BLOB_SUFFIX) != 0)
		return;
	memcpy(id.text, file, IMAGE_ID_LEN);
	id.text[IMAGE_ID_LEN] = '\0';
	image = find(w, id.text);
	if (is_new && !image)
		(void)add(w, &id);
	else if (!is_new && image)
		take_away(w, image);
}
