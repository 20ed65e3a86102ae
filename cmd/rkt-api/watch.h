/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_WATCH_H
#define CMD_RKT_API_WATCH_H

/*
 * Pods and images as they are known, and what has changed about them: by
 * inotify(7) in the data directory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/rkt-api/watch_event.h"

struct error;
struct service;
struct watch;

/* TELL gets what happens from now on. */
int watch_new(const struct service *s,
	      void (*tell)(void *data, const struct watch_event *event),
	      void *data, struct watch **ret, struct error *err);
/* Readable when something has changed. */
int watch_fd(const struct watch *w);
/* Milliseconds until watch_run() has something to do without that. */
int watch_timeout(const struct watch *w);
void watch_run(struct watch *w);

#endif
