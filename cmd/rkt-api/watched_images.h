/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_WATCHED_IMAGES_H
#define CMD_RKT_API_WATCHED_IMAGES_H

/* The images that are stored, and their names: of one that is removed nothing
 * else is left. */

#include <stdbool.h>

#include "cmd/rkt-api/watch_event.h"

struct service;
struct watched_images;

struct watched_images *
watched_images_new(const struct service *s,
		   void (*tell)(void *data, const struct watch_event *event),
		   void *data);
/* From now on what is found is told. */
void watched_images_tell(struct watched_images *w);

/* Reads which there are. */
void watched_images_find(struct watched_images *w);
/* FILE is in cas/blob/, or no more. */
void watched_images_changed(struct watched_images *w, const char *file,
			    bool is_new);
/* An image is told of when it has its row in the table. */
void watched_images_run(struct watched_images *w);
int watched_images_timeout(const struct watched_images *w);

#endif
